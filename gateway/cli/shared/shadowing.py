"""`hookline replay --shadow`: past events through a new version of a file, and what would differ."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import click

from gateway.adapters.ledger.event_records import EventRecord
from gateway.adapters.ledger.recorded import Recorded
from gateway.cli.shared.exits import BAD_CONFIG, FAILED, INTERRUPTED, NOT_FOUND, fail
from gateway.cli.shared.listing import MOST_LOOKED_AT
from gateway.cli.shared.printing import counted, note
from gateway.cli.shared.progress import progress
from gateway.cli.shared.shadow_child import VARIABLE, ShadowChild, ShadowFaulty
from gateway.cli.shared.shadow_text import show_comparison, show_summary, summary_json
from gateway.core.event import INTERNAL
from gateway.shadow import Comparison, Run, Verdict, differences

if TYPE_CHECKING:
    from gateway.cli.shared.desk import Desk
    from gateway.core.delivery import Claimed

USUAL: Final = 20


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: the events named, else the newest `most` since then (Unix seconds)."""

    file: Path
    ids: Sequence[str]
    sources: Sequence[str]
    since: float
    most: int | None
    processor: str | None
    wants: Callable[[EventRecord], bool]

    def events(self, desk: "Desk") -> Iterator[EventRecord]:
        """Those of one source or of several, the newest first; status 3 for an id that is unknown."""
        if self.ids:
            return iter([desk.find(each)[0] for each in self.ids])
        newest = desk.reader.received(self.sources, self.since, newest_first=True)
        return filter(self.wants, islice(newest, MOST_LOOKED_AT))


def run_shadow(desk: "Desk", order: Order, *, yes: bool, as_json: bool) -> NoReturn:
    """0: as recorded; 1: something would differ; 3: there is nothing to run; 78: the file is faulty."""
    _agree(order, yes=yes)
    found: list[Comparison] = []
    session: Session | None = None
    try:
        with ShadowChild(order.file) as child:
            session = Session(desk, order, child)
            with _bar(order, as_json=as_json) as advance:
                for each in session.comparisons(advance):
                    found.append(each)
                    if not as_json and each.verdict is not Verdict.SAME:
                        show_comparison(each)
    except ShadowFaulty:
        fail(BAD_CONFIG, f"{order.file} cannot be run: see above.")
    except KeyboardInterrupt:
        note("Interrupted: what follows is about the events before that.")
        _tell(found, session.without_body if session else 0, as_json=as_json)
        sys.exit(INTERRUPTED)
    _tell(found, session.without_body, as_json=as_json)
    if not found:
        fail(NOT_FOUND, f"No event to run: none that a processor of {order.file} wants or ran for.")
    sys.exit(0 if all(each.verdict is Verdict.SAME for each in found) else FAILED)


def _bar(order: Order, *, as_json: bool) -> AbstractContextManager[Callable[[int], None]]:
    """Not where lines come one after the other on the same terminal."""
    if sys.stdout.isatty() and not as_json:
        return nullcontext(lambda _: None)
    return progress("replaying", order.most or len(order.ids) or USUAL)


def _agree(order: Order, *, yes: bool) -> None:
    """What an author's code does elsewhere cannot be kept from happening: only asked about."""
    name = order.file.name
    if order.ids:
        many = counted(len(order.ids), "event")
    else:
        many = f"up to {counted(order.most, 'event')}" if order.most else "every event since then"
    note(
        f"Hookline's ledger stays as it is: nothing is leased, finished, recorded or emitted.\n"
        f"But {name} runs for real, for {many}: what it does elsewhere, in a database, by mail or over"
        f" an API, happens.\nIts code sees {VARIABLE}=1 in the environment, and can hold back."
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"This runs {name} on real events: add --yes.")
    if not click.confirm("Run it?", err=True):
        fail(FAILED, "Nothing was run.")


class Child(Protocol):
    """Who has the file (`ShadowChild`)."""

    @property
    def timeouts(self) -> Mapping[str, float]:
        """By its processors' names."""

    def wants(self, claimed: "Claimed", /) -> list[str]: ...
    def run(self, claimed: "Claimed", steps: Mapping[str, str], /) -> Run: ...


class Session:
    """One file against the events of an order."""

    def __init__(self, desk: "Desk", order: Order, child: Child) -> None:
        self._desk = desk
        self._order = order
        self._child = child
        self._recorded = Recorded(desk.reader)
        names = {*child.timeouts, *_same_file(desk, order.file)}
        self._names = names & {order.processor} if order.processor else names
        self.without_body = 0

    def comparisons(self, advance: Callable[[int], None]) -> Iterator[Comparison]:
        """Of the newest events that concern the file. Raises ShadowFaulty, redis.RedisError."""
        met = 0
        for event in self._order.events(self._desk):
            if met == self._order.most and not self._order.ids:
                return
            claimed = self._recorded.as_claimed(event)
            if claimed is None:
                self.without_body += 1
                continue
            concerned = False
            for each in self._of_event(event, claimed):
                concerned = True
                yield each
            met += concerned
            advance(concerned)

    def _of_event(self, event: EventRecord, claimed: "Claimed") -> Iterator[Comparison]:
        wanted = [each for each in self._child.wants(claimed) if each in self._names]
        ran = {each.processor: each for each in event.deliveries if each.processor in self._names}
        for name in dict.fromkeys((*wanted, *ran)):
            delivery = ran.get(name)
            recorded = self._recorded.run_of(delivery) if delivery else None
            if recorded is None and name not in wanted:
                continue
            shadow = None
            if name in wanted:
                steps: Mapping[str, str] = {}
                own = replace(claimed, processor=name)
                if delivery:
                    own = replace(own, delivery=delivery.id, attempt=max(1, delivery.attempts))
                    steps = self._recorded.steps(delivery.id)
                shadow = self._child.run(own, steps)
            found = tuple(differences(recorded, shadow, self._is_wanted))
            yield Comparison(event.id, event.source, event.type, name, recorded, shadow, found)

    def _is_wanted(self, emitted: str) -> bool:
        """Whether an event of ours of this type would be stored."""
        processors = self._desk.app.processors.values()
        return any(each.route.wants(INTERNAL, emitted) for each in processors)


def _same_file(desk: "Desk", file: Path) -> list[str]:
    """The processors of the deployed file of this name: the new version may lack one of them."""
    return [
        each.name
        for each in desk.app.processors.values()
        if Path(each.origin.rpartition(":")[0]).name == file.name
    ]


def _tell(found: Sequence[Comparison], without_body: int, *, as_json: bool) -> None:
    if as_json:
        summary_json(found)
    elif found:
        show_summary(found)
    if without_body:
        many = counted(without_body, "event was", "events were")
        note(f"{many} left out: the body is not kept any more.")
