"""What `hookline presets list` says beside its table: how many there are, and what stayed out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.catalogue.family import FAMILIES, family_of
from gateway.catalogue.left_out import left_out
from gateway.units import duration_text

if TYPE_CHECKING:
    from gateway.catalogue import Preset

Named = tuple[str, "Preset"]

MARKED = re.compile(r"(<!-- generated: ([\w-]+)[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


def closing_words(found: Sequence[Named], total: int) -> Iterator[tuple[str, str]]:
    """Paragraphs, each with its indent: how many were found; of all, by trust and family, and what
    stayed out, and why."""
    if len(found) < total:
        yield f"{len(found)} of {total} presets.", ""
        return
    trust = Counter(preset.trust for _, preset in found)
    families = Counter(family_of(preset.verify) for _, preset in found)
    yield "", ""
    yield f"{total} presets. Trust: {_counts(trust.most_common())}.", ""
    yield f"Families: {_counts(families.most_common())}.", ""
    many = sum(len(each.providers) for each in left_out())
    yield "", ""
    yield f"Stayed out ({many}), because how they prove origin has not been confirmed:", ""
    for each in left_out():
        yield f"{each.why} {each.instead}", "  "
        yield ", ".join(each.providers), "    "


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{many} {word}" for word, many in counts)


def write_tables(page: Path, presets: Sequence[Named]) -> None:
    """Fills in what stands between a page's marks. Raises OSError."""
    page.write_text(with_tables(page.read_text(encoding="utf-8"), presets), encoding="utf-8")


def with_tables(text: str, presets: Sequence[Named]) -> str:
    tables = {
        "presets": _table(presets),
        "families": _families(presets),
        "left-out": _left_out(),
    }
    return MARKED.sub(lambda found: f"{found[1]}{tables[found[2]]}\n{found[3]}", text)


def _table(presets: Sequence[Named]) -> str:
    head = (
        "| preset | provider | family | body signed | id signed | handshake | batch | deadline "
        "| tries again | trust |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_line(name, preset) for name, preset in presets)])


def _line(name: str, preset: "Preset") -> str:
    identity, sender = preset.identity, preset.sender
    unverified = preset.verify.scheme == "unverified"
    cells = (
        f"`{name}`",
        f"[{_escaped(preset.name)}]({preset.links[0]})",
        family_of(preset.verify),
        "-" if unverified else yes(preset.body_signed),
        "-" if unverified or not identity.event_id else yes(identity.event_id_signed),
        ", ".join(sorted({each.proof.value for each in preset.handshakes})) or "-",
        "yes" if identity.batch else "-",
        duration_text(sender.deadline) if sender.deadline else "-",
        sender.retries,
        preset.trust,
    )
    return f"| {' | '.join(cells)} |"


def yes(value: bool) -> str:
    return "yes" if value else "no"


def _families(presets: Sequence[Named]) -> str:
    counts = Counter(family_of(preset.verify) for _, preset in presets)
    lines = [f"| `{word}` | {counts[word]} | {text} |" for word, text in FAMILIES.items()]
    return "\n".join(["| family | presets | what proves origin |\n|---|---|---|", *lines])


def _left_out() -> str:
    return "\n".join(
        f"* {each.why} {each.instead}\n  {_providers(each.providers)}." for each in left_out()
    )


def _providers(named: dict[str, str]) -> str:
    return ", ".join(f"{_escaped(name)} (`{key}`)" for key, name in named.items())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[").replace("]", "\\]")
