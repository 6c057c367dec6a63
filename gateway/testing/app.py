"""The whole path in one process: a deployment's own sources and processors over a ledger in memory.

A request is verified, identified and routed by the real ingest; what runs then are the author's
processors. Nothing is sent, nothing stored.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.application import Application
from gateway.core.event import INTERNAL, Arrival, delivery_id
from gateway.core.event import Event as Stored
from gateway.core.outcomes import DeliveryState, Outcome
from gateway.core.request import InboundRequest
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.endings import Ending
from gateway.faults import suggest
from gateway.fixture import Fixture
from gateway.ingest import Ingest
from gateway.plugins import Event, Processor, Registry
from gateway.routes import build_router
from gateway.testing.clock import NOON, Clock
from gateway.testing.deliveries import MOST_RUNS, NOTHING, Given, run_delivery
from gateway.testing.events import as_text, joined
from gateway.testing.memory import Kept, MemoryLedger, Nobody, NoKeys
from gateway.testing.requests import draw
from gateway.testing.results import DeliveryResult

Sent = InboundRequest | Fixture | Path | str


class App:
    """Sources and processors, and what has come in since this was made."""

    def __init__(
        self,
        sources: Iterable[Source],
        processors: Mapping[str, Processor],
    ) -> None:
        self.sources = {each.name: each for each in sources}
        self.processors = dict(processors)
        self.ledger = MemoryLedger()
        conditions = {each.name: each.when for each in self.sources.values() if each.when}
        self._route = build_router(self.processors, conditions)

    @classmethod
    def of(cls, application: Application) -> "App":
        """A new one, into which nothing has come."""
        return cls(application.config.sources, application.processors)

    def signed_request(
        self,
        source: str,
        type: str | None = None,
        body: bytes | None = None,
        *,
        now: float = NOON.timestamp(),
        provider_id: str | None = None,
    ) -> InboundRequest:
        """As the source's provider would send it at `now` (Unix seconds); without a body, a sample."""
        return draw(self._source(source), body, now, type, provider_id)

    def receive(self, *sent: Sent, source: str = "") -> "Received":
        """Requests one after the other: each verified at its own time. Fixtures bring their secret.

        The source is the fixture's, else `source`, else the one whose path the request names.
        """
        with ThreadPoolExecutor(1) as pool:  # a test may have an event loop of its own
            endings = pool.submit(asyncio.run, self._receive(sent, source)).result()
        return Received(self, tuple(endings))

    async def _receive(self, sent: Sequence[Sent], source: str) -> list[Ending]:
        ports = Nobody()
        ingest = Ingest(
            ledger=self.ledger,
            quota=ports,
            route=self._route,
            keys=NoKeys(),
            lessons=ports,
            refused=ports,
            visits=ports,
        )
        return [await ingest.receive(*self._meeting(each, source)) for each in sent]

    def _meeting(self, sent: Sent, name: str) -> tuple[InboundRequest, Source]:
        if isinstance(sent, InboundRequest):
            return sent, self._source(name or self._at(sent.path))
        fixture = sent if isinstance(sent, Fixture) else Fixture.read(sent)
        return fixture.request(), fixture.at_home(self._source(name or fixture.source))

    def _at(self, path: str) -> str:
        for each in self.sources.values():
            if each.path == path:
                return each.name
        known = ", ".join(f"{each.path} ({each.name})" for each in self.sources.values())
        raise LookupError(f"no source has the path {path}; there are: {known}")

    def _source(self, name: str) -> Source:
        if name not in self.sources:
            raise LookupError(f"no source is named {name!r}: {suggest(name, list(self.sources))}")
        return self.sources[name]

    def run(self, *, clock: Clock | None = None, given: Given = NOTHING) -> list[DeliveryResult]:
        """Every open delivery to its end, and those of what they emit.

        Raises AssertionError when that goes on for too long: it leads back to itself.
        """
        results: list[DeliveryResult] = []
        while waiting := self._waiting():
            kept, name = waiting[0]
            if len(results) == MOST_RUNS:
                raise AssertionError(
                    f"{MOST_RUNS} deliveries have run, and {name} still has more: "
                    f"does {kept.event.type!r} lead to itself?"
                )
            result, emitted = self._run(kept, self.processors[name], clock, given)
            kept.states[name] = result.state
            results.append(result)
            self._take(emitted)
        return results

    def _waiting(self) -> list[tuple[Kept, str]]:
        return [
            (kept, name)
            for kept in self.ledger.events.values()
            for name, state in kept.states.items()
            if state is DeliveryState.PENDING
        ]

    def _run(
        self, kept: Kept, processor: Processor, clock: Clock | None, given: Given
    ) -> tuple[DeliveryResult, Sequence[Stored]]:
        registry = Registry([processor])
        source = self.sources.get(kept.source.name)
        own = {each.yields for each in processor.lifespans}
        result = run_delivery(
            processor.name,
            event_of(kept.event, 1 + list(kept.states).index(processor.name)),
            registry,
            policy=source.retry if source else RetryPolicy(),
            timeout=source.attempt_timeout if source else 60.0,
            clock=clock,
            given={each: value for each, value in given.items() if each in own},
        )
        return result, result.stored

    def _take(self, emitted: Iterable[Stored]) -> None:
        for event in emitted:
            names = self._route(event).processors
            if names:
                source = self.sources.get(event.source) or _internal()
                asyncio.run(self.ledger.accept([Arrival(event, names)], source))


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """How requests ended at the gateway, in order."""

    app: App
    endings: tuple[Ending, ...]

    @property
    def outcome(self) -> Outcome:
        """Of the last request."""
        return self.endings[-1].outcome

    @property
    def outcomes(self) -> list[Outcome]:
        return [each.outcome for each in self.endings]

    @property
    def ending(self) -> Ending:
        """Of the last request: its refusal, reply, acceptance."""
        return self.endings[-1]

    @property
    def events(self) -> list[Event]:
        """As processors get them: each once, though it came twice."""
        found = {event.id: event for ending in self.endings for event in ending.events}
        return [event_of(each) for each in found.values()]

    @property
    def processors(self) -> list[str]:
        """The names of those that shall have them, in order."""
        kept = [self.app.ledger.events.get(each.id) for each in self.events]
        return [name for each in kept if each for name in each.states]

    def run(self, *, clock: Clock | None = None, given: Given = NOTHING) -> list[DeliveryResult]:
        """Every delivery to its end. `given`: objects in the place of lifespans, by their types."""
        return self.app.run(clock=clock, given=given)

    def __repr__(self) -> str:
        return f"<Received: {'; '.join(map(_line, self.endings))}>"

    def __str__(self) -> str:
        """A line for each request."""
        return "\n".join(_line(each) for each in self.endings)


def _line(ending: Ending) -> str:
    types = ", ".join(f"{each.type or 'event'} of {each.source}" for each in ending.events)
    said = ", ".join(filter(None, (ending.reason, *ending.filtered)))
    reason = f": {said}" if said and said != ending.outcome else ""
    return f"{ending.outcome.value}{reason}{f' ({types})' if types else ''}"


def event_of(stored: Stored, number: int = 1) -> Event:
    """A stored event as a processor gets it, in its delivery of that number."""
    return Event(
        id=stored.id,
        source=stored.source,
        type=stored.type,
        provider_id=stored.provider_id,
        headers=joined(as_text(stored.headers)),
        body=stored.body,
        received_at=datetime.fromtimestamp(stored.received_at, UTC),
        delivery=delivery_id(stored.id, number),
    )


def _internal() -> Source:
    from gateway.core.schemes.unverified import UnverifiedScheme

    return Source(INTERNAL, "", INTERNAL, UnverifiedScheme(), ())
