"""The ports of the ingest without a server: a ledger in memory, and nobody to ask for anything else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.event import Arrival, Event
from gateway.core.key_request import KeyRequest
from gateway.core.outcomes import Acceptance, DeliveryState, Refusal
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.ports import Ledger, Quota

OPEN = DeliveryState.PENDING


@dataclass(slots=True)
class Kept:
    """An event with the states of its deliveries by processor."""

    event: Event
    source: Source
    states: dict[str, DeliveryState]

    @property
    def acceptance(self) -> Acceptance:
        """What a repeat is told."""
        states = self.states.values()
        if DeliveryState.DEAD in states:
            return Acceptance.DEAD
        return Acceptance.PENDING if OPEN in states else Acceptance.DONE


@dataclass(slots=True)
class MemoryLedger(Ledger):
    """Each event once, by id and by what was signed, as the real one; nothing in it expires.

    It keeps no order: deliveries run in the order in which they came.
    """

    events: dict[str, Kept] = field(default_factory=dict)
    proofs: dict[bytes, str] = field(default_factory=dict)

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        return [self._accept(arrival, source) for arrival in arrivals]

    def _accept(self, arrival: Arrival, source: Source) -> Acceptance:
        event = arrival.event
        if known := self.events.get(event.id):
            return self._repeated(known, source)
        if event.proof and (first := self.proofs.get(event.proof)):
            return self.events[first].acceptance
        self.events[event.id] = Kept(event, source, dict.fromkeys(arrival.processors, OPEN))
        if event.proof:
            self.proofs[event.proof] = event.id
        return Acceptance.ACCEPTED

    def _repeated(self, known: Kept, source: Source) -> Acceptance:
        said = known.acceptance
        if said is not Acceptance.DEAD or not source.revive_dead:
            return said
        dead = [name for name, state in known.states.items() if state is DeliveryState.DEAD]
        known.states.update(dict.fromkeys(dead, OPEN))
        return Acceptance.REVIVED


class Nobody(Quota):
    """Quota, lessons, refused requests and visits: nothing is limited, armed, kept or called."""

    async def charge(self, source: Source) -> float | None:  # noqa: ARG002 - the port's
        return None

    async def armed(self, source: Source) -> bool:  # noqa: ARG002 - the port's
        return False

    async def learn(self, source: Source, secret: bytes) -> bool:  # noqa: ARG002 - the port's
        return False

    async def keys(self, source: Source) -> tuple[Any, ...]:  # noqa: ARG002 - the port's
        return ()

    def note(self, request: InboundRequest, source: Source, reason: Refusal) -> None:
        """Not kept."""

    async def quarantine(self, request: InboundRequest, source: Source, reason: Refusal) -> bool:  # noqa: ARG002 - the port's
        return False

    def visit(self, url: str, hosts: Sequence[str], *, source: str) -> None:
        """Not called."""


class NoKeys:
    """No provider's key can be fetched: a test goes out to nobody."""

    async def keys_for(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:  # noqa: ARG002 - the port's
        return ()
