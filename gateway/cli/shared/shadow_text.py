"""How a shadow replay is told: what differs, event by event, and a row a processor at the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.shared.live_lines import duration
from gateway.cli.shared.printing import print_json, print_text, printable, short
from gateway.cli.shared.tables import print_table
from gateway.cli.shared.traces import shortened_trace
from gateway.shadow import MEANING, Comparison, Emitted, Run, Verdict, tallies

COLORS: Final = {Verdict.FIXED: "green", Verdict.BROKEN: "red"}


def show_comparison(each: Comparison) -> None:
    verdict = click.style(each.verdict, fg=COLORS.get(each.verdict, "yellow"), bold=True)
    words = (each.event, each.source, each.type, each.processor)
    differs = f"  (differs in {', '.join(each.differences)})" if each.verdict is Verdict.CHANGED else ""
    click.echo(f"{verdict}  {printable('  '.join(words))}{differs}")
    click.echo(f"    recorded  {printable(_run_text(each.recorded, 'has not run'))}")
    click.echo(f"    now       {printable(_run_text(each.shadow, 'is not wanted'))}")
    if each.shadow and each.shadow.trace:
        for line in shortened_trace(each.shadow.trace, Path.cwd()):
            click.echo(f"              {printable(line)}")


def _run_text(run: Run | None, nothing: str) -> str:
    if run is None:
        return nothing
    failed = f"{run.error} at {short(run.where)}" if run.where else run.error or run.message
    took = "" if run.seconds is None else duration(run.seconds * 1000)
    types = ", ".join(each.type for _, each in sorted(run.emitted.items()))
    return "  ".join(filter(None, (run.outcome, failed, took, types and f"emits {types}")))


def show_summary(found: Sequence[Comparison]) -> None:
    seen = [
        each for each in Verdict if each is Verdict.SAME or any(one.verdict is each for one in found)
    ]
    rows = [
        (
            each.processor,
            each.runs,
            *(each.verdicts[verdict] for verdict in seen),
            duration(each.seconds * 1000),
        )
        for each in tallies(found)
    ]
    print_text("")
    print_table(("processor", "runs", *seen, "mean time"), rows)
    for verdict in seen:
        if verdict is not Verdict.SAME:
            print_text(f"{verdict}: {MEANING[verdict]}")


def summary_json(found: Sequence[Comparison]) -> None:
    """All of them, those as recorded too."""
    print_json([comparison_json(each) for each in found])


def comparison_json(each: Comparison) -> dict[str, Any]:
    names = ("event", "source", "type", "processor", "verdict", "differences")
    runs = {"recorded": _run_json(each.recorded), "shadow": _run_json(each.shadow)}
    return {name: getattr(each, name) for name in names} | runs


def _run_json(run: Run | None) -> Mapping[str, Any] | None:
    if run is None:
        return None
    names = ("outcome", "error", "message", "where", "seconds")
    emitted = [_emitted_json(number, each) for number, each in sorted(run.emitted.items())]
    return {name: getattr(run, name) for name in names} | {"emitted": emitted}


def _emitted_json(number: int, each: Emitted) -> Mapping[str, Any]:
    body = None if each.body is None else each.body.decode("utf-8", "backslashreplace")
    return {"number": number, "type": each.type, "body": body}
