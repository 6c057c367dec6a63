"""How an explanation is shown: for a person at three in the morning, and as JSON."""

import base64
import shutil
import textwrap
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.filtering import filters_json, show_filters
from gateway.cli.shared.printing import print_json, printable

if TYPE_CHECKING:
    from gateway.core.source import Source
    from gateway.diagnosis import Case, Explanation, Finding, Signed
    from gateway.diagnosis.filters import Sifted

    Filtered = tuple[Source, tuple[Sifted, ...]] | None

LABEL: Final = 10
WIDEST: Final = 100
LINES: Final = 5  # of what is signed; of what is longer, parts are left out
SEEN: Final = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", "\0": "␀", "\ufeff": "[BOM]"})


def show(case: "Case", found: "Explanation", filtered: "Filtered", *, as_json: bool) -> None:
    """`filtered`: a source and who would get its events; None without a source."""
    if as_json:
        print_json(explanation_json(found) | ({"events": filters_json(*filtered)} if filtered else {}))
        return
    width = min(shutil.get_terminal_size().columns, WIDEST)
    _show_verdict(found)
    for number, finding in enumerate(found.findings, 1):
        _show_finding(number, finding, width)
    click.echo()
    _show_fact("Source" if case.source else "Preset", case.source or case.preset or "-", width)
    _show_fact("Scheme", found.scheme, width)
    _show_fact("Secret", _secret_text(found), width)
    _show_fact("Judged", f"as of {_utc(case.now)}", width)
    _show_signed(found, width)
    if filtered:
        show_filters(*filtered)


def explanation_json(found: "Explanation") -> dict[str, Any]:
    return {
        "verified": found.verified,
        "reason": found.reason,
        "scheme": found.scheme,
        "signed": _signed_json(found.signed),
        "signed_once_mended": _signed_json(found.mended),
        "secret": {
            "tried": list(found.secrets),
            "fits": None if found.matched is None else found.secrets[found.matched],
            "position": None if found.matched is None else found.matched + 1,
        },
        "findings": [each._asdict() for each in found.findings],
    }


def _signed_json(signed: "Signed | None") -> dict[str, Any] | None:
    if signed is None:
        return None
    return {
        "template": signed.template,
        "size": signed.size,
        "body_at": signed.body_at,
        "content_base64": base64.b64encode(signed.content).decode(),
    }


def _show_verdict(found: "Explanation") -> None:
    if found.verified:
        click.secho("✓ It verifies.", fg="green", bold=True)
    else:
        click.secho(f"✗ Refused: {found.reason}", fg="red", bold=True)


def _show_fact(label: str, text: str, width: int) -> None:
    room = textwrap.wrap(printable(text), width - LABEL, break_on_hyphens=False) or ["-"]
    for at, line in enumerate(room):
        click.echo(click.style(("" if at else label).ljust(LABEL), bold=True) + line)


def _secret_text(found: "Explanation") -> str:
    many = len(found.secrets)
    if found.matched is not None:
        which = f" (number {found.matched + 1} of {many})" if many > 1 else ""
        fits = "matches" if found.verified else "fits, once that is mended"
        return f"{found.secrets[found.matched]}{which} {fits}"
    if not many:
        return "none"
    names = ", ".join(found.secrets)
    if found.reason != "signature_mismatch":  # it got no farther than that
        return f"{names}, with nothing to compare it with"
    return f"{names}: {'does not fit as it is' if many == 1 else 'none fits'}"


def _show_signed(found: "Explanation", width: int) -> None:
    """What came, and beside it what was signed, around the first byte that differs."""
    before, after = found.signed, found.mended
    if after is None:
        _show_message("Checked" if found.matched is None else "Signed", before, width, 0)
        return
    differs = _difference(before.content, after.content) if before else 0
    _show_message("Checked", before, width, differs)
    _show_message("Signed", after, width, differs)


def _difference(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _show_message(label: str, signed: "Signed | None", width: int, around: int) -> None:
    if signed is None:
        _show_fact(label, "no bytes of the request, or a part of what is signed is missing", width)
        return
    body = f", the body from byte {signed.body_at}" if signed.body_at else ""
    differs = f"; differs from byte {around}" if around and label == "Checked" else ""
    _show_fact(label, f"{signed.template} = {signed.size:,} bytes{body}{differs}", width)
    for line in shown_bytes(signed.content, width - LABEL, around):
        click.echo(" " * LABEL + click.style(line, dim=True))


def shown_bytes(content: bytes, width: int, around: int = 0) -> list[str]:
    """Every byte visible; of what is long, the beginning, the end and what lies around a place."""
    if len(content) <= LINES * width:
        return _broken(_visible(content), width)
    start = max(0, min(around - width // 2, len(content) - width))
    pieces = [(0, width), (start, start + width), (len(content) - width, len(content))]
    lines: list[str] = []
    told = 0
    for first, last in pieces:
        if first > told:
            lines.append(f"··· {first - told:,} bytes ···")
        if last > told:
            lines += _broken(_visible(content[max(first, told) : last]), width)
            told = last
    return lines


def _visible(content: bytes) -> str:
    """Spaces at the ends as ·, line ends as signs, what is no text as \\xNN."""
    text = content.decode("utf-8", "backslashreplace")
    bare = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    dotted = "·" * before + bare + "·" * (len(text) - before - len(bare))
    return printable(dotted.translate(SEEN))


def _broken(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)] or ["(nothing)"]


def _show_finding(number: int, finding: "Finding", width: int) -> None:
    sure = "proven" if finding.certain else "likely"
    colour = "yellow" if finding.certain else "cyan"
    click.echo(f"\n{click.style(f'{number}. {finding.code}', fg=colour, bold=True)}  {sure}")
    for line in textwrap.wrap(printable(finding.message), width - 3, break_on_hyphens=False):
        click.echo(f"   {line}")
    mend = textwrap.wrap(printable(finding.mend), width - 5, break_on_hyphens=False)
    for at, line in enumerate(mend):
        click.echo(f"   {'  ' if at else '→ '}{line}")


def _utc(seconds: float) -> str:
    from gateway.diagnosis.clocks import utc

    return utc(seconds)
