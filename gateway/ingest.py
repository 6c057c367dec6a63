"""Flow 1: from a request whose body has been read to the outcome that the caller is told.

The order is the design's: handshake, proof of origin, quota, identity, routing, ledger. A handshake
that must be signed is answered after the proof, and costs no quota.
This flow sees no status code; `adapters/http/responses.py` maps outcomes to HTTP.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.core import handshake
from gateway.core.event import Event
from gateway.core.fields import Fields
from gateway.core.handshake import Reply
from gateway.core.identity import identify
from gateway.core.outcomes import Acceptance, Outcome, Refusal
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.core.verification import VerifiedRequest, verify


class Unavailable(Exception):  # noqa: N818 - an outcome of the port, not a bug
    """The ledger could not be reached, or did not answer in time: nothing is known to be stored."""


class Ledger(Protocol):
    async def accept(self, event: Event, source: Source, processors: tuple[str, ...]) -> Acceptance:
        """Durable when this returns. Raises Unavailable."""


class Quota(Protocol):
    async def charge(self, source: Source) -> float | None:
        """None when within the source's rate limit, else seconds until it may be tried again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, with what the log line and the response need."""

    outcome: Outcome
    refusal: Refusal | None = None
    acceptance: Acceptance | None = None
    event: Event | None = None
    reply: Reply | None = None
    retry_after: float | None = None
    key_index: int | None = None


@dataclass(frozen=True, slots=True)
class Ingest:
    """The flow with its ports. `route` names the processors for (source, event type).

    `deadline` in seconds bounds everything that waits for Redis: senders give us few.
    """

    ledger: Ledger
    quota: Quota
    route: Callable[[str, str], tuple[str, ...]]
    deadline: float = 1.2

    async def receive(self, request: InboundRequest, source: Source) -> Ending:
        """Never raises for anything a caller can send. Unavailable is an outcome, not an error."""
        if source.handshakes:
            reply = handshake.answer(source.handshakes, Fields(request), signed=False)
            if reply:
                return Ending(Outcome.HANDSHAKE, reply=reply)
        verified = verify(request, source.scheme, source.keys, request.received_at)
        if isinstance(verified, Refusal):
            return Ending(Outcome.REFUSED, refusal=verified)
        # Before anything that waits for Redis: a URL must not fail its provider's check by an outage.
        if source.handshakes and (
            reply := handshake.answer(source.handshakes, verified.fields, signed=True)
        ):
            return Ending(Outcome.HANDSHAKE, reply=reply, key_index=verified.key_index)
        if request.method != "POST":
            return Ending(Outcome.METHOD_NOT_ALLOWED)
        try:
            async with asyncio.timeout(self.deadline):
                return await self._accept(verified, source)
        except (Unavailable, TimeoutError):
            return Ending(Outcome.UNAVAILABLE)

    async def _accept(self, verified: VerifiedRequest, source: Source) -> Ending:
        # The quota is charged only now, so that forged traffic cannot use it up.
        retry_after = await self.quota.charge(source) if source.rate_limit else None
        if retry_after is not None:
            return Ending(Outcome.RATE_LIMITED, retry_after=retry_after)
        event = identify(verified, source.name, source.identity)
        processors = self.route(source.name, event.type)
        if not processors:
            return Ending(Outcome.IGNORED, event=event, key_index=verified.key_index)
        acceptance = await self.ledger.accept(event, source, processors)
        stored = acceptance is Acceptance.ACCEPTED
        outcome = Outcome.ACCEPTED if stored else Outcome.DUPLICATE
        return Ending(outcome, acceptance=acceptance, event=event, key_index=verified.key_index)
