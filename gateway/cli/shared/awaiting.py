"""Waits for how the next attempt of replayed deliveries ends, and shows it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.shared.exits import FAILED
from gateway.cli.shared.happening_lines import happening_json, line_of
from gateway.cli.shared.live_lines import LinePrinter
from gateway.cli.shared.printing import counted, note, print_json, printable
from gateway.cli.shared.traces import shortened_trace

if TYPE_CHECKING:
    from gateway.adapters.ledger.happenings import Happening
    from gateway.adapters.ledger.vigil import Vigil

WAIT_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05
QUIET_SECONDS: Final = 5.0


def await_outcomes(vigil: "Vigil", deliveries: Sequence[str], *, as_json: bool) -> int:
    """0: all are done; 1: one is not, or has not run within a minute. Raises redis.RedisError."""
    left, outcomes = set(deliveries), list["Happening"]()
    lines, began, told = LinePrinter(), time.monotonic(), False
    while left and (waited := time.monotonic() - began) < WAIT_SECONDS:
        for each in vigil.look():
            if each.delivery and each.delivery.id in left and each.word not in ("replayed", "blocked"):
                left.discard(each.delivery.id)
                outcomes.append(each)
                if not as_json:
                    show_outcome(each, lines, vigil.began)
        if waited > QUIET_SECONDS and not outcomes and not told:
            note("No outcome yet: does a worker run, and is it free?")
            told = True
        time.sleep(LOOK_SECONDS)
    if as_json:
        print_json([happening_json(each, vigil.began) for each in outcomes])
    if left:
        many = counted(len(left), "delivery has", "deliveries have")
        note(f"{many} not run within {WAIT_SECONDS:g} s: {', '.join(sorted(left)[:5])}")
    return 0 if not left and all(each.word == "done" for each in outcomes) else FAILED


def show_outcome(each: "Happening", lines: LinePrinter, since: float) -> None:
    """Its line, and of a failure the trace."""
    lines.show(line_of(each, since))
    if each.failure:
        for text in shortened_trace(each.failure.trace, Path.cwd()):
            click.echo(f"    {printable(text)}")
