"""`hookline tail`: arrivals and outcomes of a running deployment, as they happen."""

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.shared.desk import Desk, open_desk
from gateway.cli.shared.happening_lines import STATES, happening_json, line_of, state_of
from gateway.cli.shared.live_lines import LinePrinter
from gateway.cli.shared.options import (
    Moment,
    place_options,
    processor_option,
    since_option,
    source_option,
    type_option,
)
from gateway.cli.shared.printing import note

if TYPE_CHECKING:
    from gateway.adapters.ledger.event_records import EventRecord
    from gateway.adapters.ledger.happenings import Happening

LOOK_SECONDS: Final = 0.25
NOTE_SECONDS: Final = 5.0
MOST_HISTORY: Final = 1000


@click.command()
@place_options
@source_option
@type_option
@processor_option
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only these: may be repeated. failed: an attempt that another one follows.",
)
@since_option
@click.option(
    "-n",
    "most",
    type=click.IntRange(0, MOST_HISTORY),
    metavar="N",
    help="Begin with the newest N events (default 10; with --since all since then, at most 1000).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    source: str | None,
    glob: str | None,
    processor: str | None,
    states: tuple[str, ...],
    since: Moment,
    most: int | None,
    as_json: bool,
) -> None:
    """Follow arrivals and outcomes, until Ctrl-C.

    Reads the ledger and nothing else: it runs beside any gateway and worker, and changes nothing.
    For one that ended it says how long that took since the event came; for a failed attempt, how
    long that ran. What is replayed is seen for the newest 200 events, and while it waits.
    """
    from gateway.adapters.ledger.follow import Follower

    wanted = Wanted(glob or "*", processor, frozenset(states))
    with open_desk() as desk:
        desk.sources(source)  # an unknown name ends here
        follower = Follower(desk.reader, _sources(desk, source), _look_ms(desk))
        show = _json_line if as_json else _text_line()
        count = most if most is not None else MOST_HISTORY if since else 10
        if count:
            bounds = desk.between(since, None)
            _print(follower.history(bounds[0], count, wanted.event), wanted, show)
        try:
            _follow(follower.look, lambda: follower.passed_over, wanted, show)
        except KeyboardInterrupt:
            return
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are meant. No states: all."""

    type: str
    processor: str | None
    states: frozenset[str]

    def event(self, event: "EventRecord") -> bool:
        names = {each.processor for each in event.deliveries}
        return fnmatchcase(event.type, self.type) and (
            self.processor is None or self.processor in names
        )

    def happening(self, each: "Happening") -> bool:
        of = each.delivery.processor if each.delivery else None
        return (
            self.event(each.event)
            and (of is None or self.processor in (None, of))
            and (not self.states or state_of(each) in self.states)
        )


def _sources(desk: Desk, name: str | None) -> Callable[[], Iterable[str]]:
    """Those that had an event by now: one may be added while we watch."""
    return desk.reader.known_sources if name is None else lambda: (name,)


def _look_ms(desk: Desk) -> int:
    return int(desk.app.config.settings.worker.look_interval * 1000)


Show = Callable[["Happening"], None]


def _follow(
    look: Callable[[], "list[Happening]"], passed_over: Callable[[], int], wanted: Wanted, show: Show
) -> None:
    """Raises KeyboardInterrupt, and BrokenPipeError once nobody reads any more."""
    told, next_note = 0, 0.0
    while True:
        _print(look(), wanted, show)
        if passed_over() > told and time.monotonic() > next_note:
            note(f"{passed_over() - told} events came too quickly to be followed one by one.")
            told, next_note = passed_over(), time.monotonic() + NOTE_SECONDS
        _rest()


def _rest() -> None:
    """A moment; ends at once when the other end of the pipe is gone, though nothing is written."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if any(what & select.POLLERR for _, what in poll.poll(LOOK_SECONDS * 1000)):
        raise BrokenPipeError


def _print(found: "Iterable[Happening]", wanted: Wanted, show: Show) -> None:
    for each in found:
        if wanted.happening(each):
            show(each)
    sys.stdout.flush()


def _text_line() -> Show:
    lines = LinePrinter()
    return lambda each: lines.show(line_of(each))


def _json_line(each: "Happening") -> None:
    click.echo(json.dumps(happening_json(each)))
