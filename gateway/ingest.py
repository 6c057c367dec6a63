"""Flow 1: from a request whose body has been read to the outcome that the caller is told.

The order is the design's: handshake, proof of origin, quota, identity, routing, ledger. A handshake
that must be signed is answered after the proof, and costs no quota. What the ledger cannot take now
goes to the spool, for sources that have one, and then without the quota: that is where the ledger is.
This flow sees no status code; `adapters/http/responses.py` maps outcomes to HTTP.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.core.event import Arrival, Event
from gateway.core.fields import Fields
from gateway.core.handshake import Answer, Proof, answer
from gateway.core.identity import identify
from gateway.core.key_request import wanted
from gateway.core.outcomes import Absence, Acceptance, Outcome, Refusal
from gateway.core.request import InboundRequest
from gateway.core.routing import Router, Routing
from gateway.core.source import Source
from gateway.core.verification import SecretError, VerifiedRequest, verify
from gateway.deadlines import within
from gateway.endings import Asked, Ending
from gateway.ports import (
    FetchedKeys,
    Ledger,
    Lessons,
    NoPressure,
    NoSpool,
    Pressure,
    Quota,
    RefusedRequests,
    Spool,
    Unavailable,
    Visits,
)

Awaited = Coroutine[Any, Any, Ending]

Step = Ending | Asked | Awaited
"""How a request ended; or what the ledger is to be asked, or what awaited, until that is known."""

_Way = Ending | Asked | Coroutine[Any, Any, "_Way"]
"""The same on the way there: what is awaited may lead to something that has to be awaited."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """The flow with its ports. `route` names the processors for an event.

    `deadline` in seconds bounds everything that waits for Redis: senders give us few. `latest` bounds
    that and the spool together.
    `key_deadline` bounds the wait for a provider's key, which is fetched on when nobody waits any more.
    """

    ledger: Ledger
    quota: Quota
    route: Router
    keys: FetchedKeys
    lessons: Lessons
    refused: RefusedRequests
    visits: Visits
    deadline: float = 1.2
    key_deadline: float = 2.5
    spool: Spool = NoSpool()
    latest: float = 1.4
    pressure: Pressure = NoPressure()

    async def receive(self, request: InboundRequest, source: Source) -> Ending:
        """Never raises for anything a caller can send. Unavailable is an outcome, not an error."""
        return await self.seen_through(self._met(request, source))

    def meet(self, request: InboundRequest, source: Source) -> Step:
        """`receive`, which waits only for what has to be waited for: where nobody needs to be asked,
        this is how it ended. Where it is the ledger alone, `ask` does so."""
        step = self._met(request, source)
        return step if isinstance(step, Ending | Asked) else self.seen_through(step)

    def ask(self, asked: Asked, told: Callable[[Ending | Awaited], None]) -> None:
        """Told once, after `deadline` at the latest, how the request ends, or what has to be awaited
        for that: the spool."""

        def hear(answers: Sequence[Acceptance] | Exception) -> None:
            told(self._heard(asked, answers))

        self.ledger.ask(asked.arrivals, asked.source, self.deadline, hear)

    async def seen_through(self, way: _Way) -> Ending:
        """How a request ends, whatever there is to await until then."""
        try:
            while not isinstance(way, Ending):
                way = await (self._answer(way) if isinstance(way, Asked) else way)
        except ABSENT as error:
            absence = error.absence if isinstance(error, Unavailable) else Absence.NO_ANSWER
            return Ending(Outcome.UNAVAILABLE, absence=absence)
        return way

    async def _answer(self, asked: Asked) -> Ending | Awaited:
        future: asyncio.Future[Ending | Awaited] = asyncio.get_running_loop().create_future()

        def tell(way: Ending | Awaited) -> None:
            if not future.done():
                future.set_result(way)
            elif not isinstance(way, Ending):  # nobody waits any more
                way.close()

        self.ask(asked, tell)
        return await future

    def _heard(self, asked: Asked, answers: Sequence[Acceptance] | Exception) -> Ending | Awaited:
        """Never raises: others hear of the same call. A bug is raised where this is awaited."""
        if isinstance(answers, Exception):
            return self._instead(asked, answers)
        try:
            return asked.answered(answers)
        except Exception as error:
            return self._instead(asked, error)

    async def _instead(self, asked: Asked, error: Exception) -> Ending:
        """How a request ends that the ledger did not answer, or whose answer we cannot make."""
        if asked.source.spool and isinstance(error, ABSENT):
            return await self.seen_through(self._keep_since(asked.verified, asked.source, asked.since))
        return await self.seen_through(_raising(error))

    def _met(self, request: InboundRequest, source: Source) -> _Way:
        if source.handshakes and (found := self._handshake(Fields(request), source, UNPROVEN)):
            if found.proof is Proof.ARMED:
                return self._greet(found, request, source)
            return Ending(Outcome.HANDSHAKE, reply=found.reply)
        return self._prove(request, source)

    async def _greet(self, found: Answer, request: InboundRequest, source: Source) -> _Way:
        """A handshake that would teach something; where nobody has armed it, it needs a proof."""
        with within(self.deadline):
            learned = found.learned
            armed = await (
                self.lessons.learn(source, learned) if learned else self.lessons.armed(source)
            )
        if armed:
            return Ending(Outcome.HANDSHAKE, reply=found.reply)
        return self._prove(request, source)

    def _prove(self, request: InboundRequest, source: Source) -> _Way:
        if source.key_source or source.learns:
            return self._prove_by_others(request, source)
        return self._judged(
            verify(request, source.scheme, source.keys, request.received_at), request, source
        )

    async def _prove_by_others(self, request: InboundRequest, source: Source) -> _Way:
        own = await self._other_keys(request, source)
        if isinstance(own, Refusal):
            return self._refused(own, request, source)
        keys = (*source.keys, *own)
        return self._judged(verify(request, source.scheme, keys, request.received_at), request, source)

    async def _other_keys(self, request: InboundRequest, source: Source) -> tuple[Any, ...] | Refusal:
        """Keys that stand in no file of ours: learnt ones, or those that the request names."""
        if not source.key_source:
            with within(self.deadline):
                return await self.lessons.keys(source)
        asked = wanted(source.key_source, Fields(request))
        if isinstance(asked, Refusal):
            return asked
        with within(self.key_deadline):
            found = await self.keys.keys_for(asked, request.received_at)
        try:
            return tuple(source.scheme.load_key(key) for key in found) or Refusal.UNKNOWN_KEY
        except SecretError:  # of another kind than this provider signs with
            return Refusal.UNKNOWN_KEY

    def _judged(
        self, verdict: VerifiedRequest | Refusal, request: InboundRequest, source: Source
    ) -> _Way:
        if isinstance(verdict, Refusal):
            return self._refused(verdict, request, source)
        return self._believed(verdict, source)

    def _refused(self, reason: Refusal, request: InboundRequest, source: Source) -> _Way:
        if source.quarantine:
            return self._quarantine(reason, request, source)
        self.refused.note(request, source, reason)
        return Ending(Outcome.REFUSED, refusal=reason)

    async def _quarantine(self, reason: Refusal, request: InboundRequest, source: Source) -> Ending:
        with within(self.deadline):
            kept = await self.refused.quarantine(request, source, reason)
        return Ending(Outcome.REFUSED, refusal=reason, quarantined=kept)

    def _believed(self, verified: VerifiedRequest, source: Source) -> _Way:
        # Before anything that waits for Redis: a URL must not fail its provider's check by an outage.
        if source.handshakes and (found := self._handshake(verified.fields, source, PROVEN)):
            if found.visit:
                self.visits.visit(found.visit, found.visit_hosts, source=source.name)
            return Ending(Outcome.HANDSHAKE, reply=found.reply, key_index=verified.key_index)
        if verified.request.method != "POST":
            return Ending(Outcome.METHOD_NOT_ALLOWED)
        # Only now: to who has proven nothing, what goes on here is not told.
        if overload := self.pressure.of(source):
            return Ending(Outcome.OVERLOADED, overload=overload)
        if source.spool and self.spool.away:
            return self._keep_or_accept(verified, source)
        if source.rate_limit and not self.quota.spare(source):
            return self._accept_or_keep(verified, source)
        return self._asked(verified, source)

    def _handshake(self, fields: Fields, source: Source, proofs: tuple[Proof, ...]) -> Answer | None:
        return answer(source.handshakes, fields, proofs, source.known)

    async def _keep_or_accept(self, verified: VerifiedRequest, source: Source) -> Ending:
        """The ledger was away a moment ago: nobody has to wait for what will not answer."""
        with within(self.latest):
            with suppress(Unavailable):
                return await self._keep(verified, source)
            try:
                return await self._accept(verified, source)
            except ABSENT:
                self.spool.note(answered=False)
                raise

    async def _accept_or_keep(self, verified: VerifiedRequest, source: Source) -> Ending:
        since = time.monotonic()
        try:
            return await self._accept(verified, source)
        except ABSENT:
            if not source.spool:
                raise
        return await self._keep_since(verified, source, since)

    async def _accept(self, verified: VerifiedRequest, source: Source) -> Ending:
        """The quota is charged only now, so that forged traffic cannot use it up."""
        with within(self.deadline):
            retry_after = await self.quota.charge(source) if source.rate_limit else None
            if retry_after is not None:
                return Ending(Outcome.RATE_LIMITED, retry_after=retry_after)
            asked = self._asked(verified, source)
            if isinstance(asked, Ending):
                return asked
            return asked.answered(await self.ledger.accept(asked.arrivals, source))

    async def _keep_since(self, verified: VerifiedRequest, source: Source, since: float) -> Ending:
        """What the ledger did not take, or did not say that it took: `accept` will know it."""
        self.spool.note(answered=False)
        with within(self.latest - (time.monotonic() - since)):
            return await self._keep(verified, source)

    async def _keep(self, verified: VerifiedRequest, source: Source) -> Ending:
        asked = self._asked(verified, source)
        if isinstance(asked, Ending):
            return asked
        await self.spool.keep(asked.arrivals, source)
        return asked.ending(Outcome.SPOOLED)

    def _asked(self, verified: VerifiedRequest, source: Source) -> Ending | Asked:
        """Of the events those that are wanted, or if none is those that came; and what was filtered."""
        events = identify(verified, source.name, source.identity)
        routings = [(event, self._route(event, verified)) for event in events]
        arrivals = [
            Arrival(event, routing.processors, routing.turns)
            for event, routing in routings
            if routing.processors
        ]
        wanted = tuple(each.event for each in arrivals)
        filtered = dict.fromkeys(each for _, routing in routings for each in routing.filtered)
        named = tuple(filtered)[:MAX_FILTERED]
        asked = Asked(verified, source, wanted or events, arrivals, named, time.monotonic())
        return asked if arrivals else asked.ending(Outcome.IGNORED)

    def _route(self, event: Event, verified: VerifiedRequest) -> Routing:
        """The body's JSON may have been read already, for the event's id or type."""
        whole = event.body is verified.request.body
        return self.route(event, verified.fields.json if whole else None)


async def _raising(error: Exception) -> Ending:
    raise error


ABSENT = (Unavailable, TimeoutError)  # the ledger, or what else was asked
MAX_FILTERED = 20  # of a batch: for its log line
UNPROVEN = (Proof.NONE, Proof.ARMED)
PROVEN = (Proof.SIGNED,)
