"""How it is shown who would get an event, and which condition (`when`) keeps it from whom."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.printing import counted, printable

if TYPE_CHECKING:
    from gateway.core.judging import Finding
    from gateway.core.request import InboundRequest
    from gateway.core.source import Source
    from gateway.diagnosis.filters import Sifted, Tried

INDENT: Final = 10
LONGEST: Final = 60  # of a value
MOST: Final = 5  # events of a batch, and values of one field


def filters_of(request: "InboundRequest", source_name: str) -> "tuple[Source, tuple[Sifted, ...]]":
    """By the configured source and the processors of this deployment."""
    from gateway.cli.shared.deployment import load_or_exit, source_or_exit
    from gateway.diagnosis.filters import filters

    app = load_or_exit()
    source = source_or_exit(app, source_name)
    return source, filters(request, source, app.processors)


def show_filters(source: "Source", sifted: "tuple[Sifted, ...]") -> None:
    """Nothing where there is no condition to explain."""
    label = "Filters"
    for each in sifted[:MOST]:
        for line in _lines(each, source) if each.tried else ():
            click.echo(f"{click.style(label.ljust(INDENT), bold=True)}{line}")
            label = ""
    if len(sifted) > MOST:
        click.echo(f"{' ' * INDENT}and {counted(len(sifted) - MOST, 'further event')}")


def filters_json(source: "Source", sifted: "tuple[Sifted, ...]") -> list[dict[str, Any]]:
    return [
        {
            "type": each.type,
            "filtered": each.is_filtered,
            "processors": list(each.processors),
            "conditions": [
                {
                    "of": tried.of,
                    "condition": tried.condition,
                    "holds": tried.holds,
                    "tests": [_finding_json(one, source) for one in tried.findings],
                }
                for tried in each.tried
            ],
        }
        for each in sifted
    ]


def _finding_json(finding: "Finding", source: "Source") -> dict[str, Any]:
    from gateway.diagnosis.filters import masked

    found = [_short(each) for each in masked(finding, source)[:MOST]]
    return {"test": finding.test, "holds": finding.held, "found": found, "note": finding.note}


def verdict_of(sifted: "Sifted") -> str:
    """`ignored (filtered)`, or who gets it."""
    if sifted.is_filtered:
        return "ignored (filtered)"
    return (
        f"goes to {', '.join(sifted.processors)}" if sifted.processors else "ignored: nobody takes it"
    )


def _lines(sifted: "Sifted", source: "Source") -> Iterator[str]:
    yield printable(f"An event of type {sifted.type or '-'}: {verdict_of(sifted)}")
    for tried in sifted.tried:
        yield f"{_mark(tried.holds)} {printable(f'{tried.of}: {tried.condition}')}"
        yield from _tests(tried, source)


def _tests(tried: "Tried", source: "Source") -> Iterator[str]:
    from gateway.diagnosis.filters import masked

    for each in tried.findings:
        found = " and ".join(_short(value) for value in masked(each, source)[:MOST])
        told = "; ".join(text for text in (f"found {found}" if found else "", each.note) if text)
        name = "" if each.test == tried.condition else f"{each.test}: "
        if told:
            yield f"    {_mark(each.held)} {printable(name + told)}"


def _mark(holds: bool | None) -> str:
    if holds is None:
        return click.style("?", fg="yellow")
    return click.style("✓", fg="green") if holds else click.style("✗", fg="red")


def _short(value: Any) -> str:
    from gateway.core.operators import a_kind, written

    text = a_kind(value) if isinstance(value, dict | list) else written(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
