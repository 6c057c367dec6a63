"""The edge: what every request of a provider meets before the flow, and the way back to its answer.

Up to the ledger nothing waits where nobody has to be asked: a refused request is answered before its
connection reads on, without a task of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from gateway.adapters.http.bodies import BodyRefused, InFlight
from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.lasting import Lasting
from gateway.adapters.http.notes import Notes
from gateway.adapters.http.responses import respond
from gateway.core.addresses import caller_of
from gateway.core.outcomes import Outcome, Overload, Refusal
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.deadlines import within
from gateway.endings import Asked, Ending
from gateway.ingest import Awaited, Ingest, Step
from gateway.logs import logger, place_of

UNKNOWN: Final = Ending(Outcome.REFUSED, refusal=Refusal.UNKNOWN_SOURCE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost us before anything about it is known. Seconds and bytes."""

    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    body_deadline: float = 10.0
    max_in_flight: int = 256 * 1024 * 1024


class Flood(Protocol):
    """Counts who calls (`flood.py`)."""

    def hit(self, address: str) -> float | None:
        """None when within the limit, else seconds until it may be tried again."""


class Deployment:
    """What one load of the configuration gives the edge; swapped whole on reload."""

    __slots__ = ("by_path", "decoy", "flood", "ingest", "limits")

    def __init__(
        self,
        sources: Mapping[str, Source],
        decoy: Source,
        ingest: Ingest,
        flood: Flood,
        limits: Limits,
    ) -> None:
        self.by_path = {source.path: source for source in sources.values()}
        self.decoy = decoy
        self.ingest = ingest
        self.flood = flood
        self.limits = limits


class Case(NamedTuple):
    """A request with what it meets, and when it came (`time.perf_counter`)."""

    exchange: Exchange
    source: Source
    deployment: Deployment
    started: float


class Edge:
    """`clock` gives Unix seconds."""

    def __init__(
        self,
        deployment: Deployment,
        lasting: Lasting,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.deployment = deployment
        self._notes = Notes(lasting)
        self._clock = clock
        self._bodies = InFlight()
        self._open: dict[Exchange, Case] = {}

    def answer(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Answers at once where nobody has to be waited for; where that is the ledger alone, as soon as
        it has answered. Else gives what a task has to await; where that is cancelled, the caller is
        told to come again."""
        started = time.perf_counter()
        deployment = self.deployment
        # An unknown path meets a source with a secret nobody has: same steps, same time, same 401.
        source = deployment.by_path.get(exchange.path, deployment.decoy)
        case = Case(exchange, source, deployment, started)
        try:
            step = self._met(case)
        except Exception as error:
            step = _failed(error)
        if isinstance(step, Asked):
            self._open[exchange] = case
            deployment.ingest.ask(step, partial(self._hear, exchange))
            return None
        if not isinstance(step, Ending):
            return self._awaited(case, step)
        self._end(case, step)
        return None

    def break_off(self) -> None:
        """Tells all that wait for the ledger to come again: it may or may not have their events."""
        while self._open:
            _, case = self._open.popitem()
            self._end(case, Ending(Outcome.UNAVAILABLE))

    def _hear(self, exchange: Exchange, step: Ending | Awaited) -> None:
        """What became of a request that the ledger was asked about."""
        case = self._open.pop(exchange, None)
        if case is None:  # broken off
            if not isinstance(step, Ending):
                step.close()
            return
        if isinstance(step, Ending):
            try:
                self._end(case, step)
            except Exception as error:  # must not reach others, who hear of the same call
                _failed(error)
                exchange.drop()
        else:
            exchange.go_on(self._awaited(case, step))

    async def _awaited(self, case: Case, step: Awaitable[Ending]) -> None:
        try:
            ending = await step
        except asyncio.CancelledError:  # the grace after SIGTERM is over: it may or may not be stored
            ending = Ending(Outcome.UNAVAILABLE)
        except Exception as error:
            ending = _failed(error)
        self._end(case, ending)

    def _met(self, case: Case) -> Step:
        """Steps 1 to 3: everything that needs no proof; then the flow."""
        exchange, source, limits = case.exchange, case.source, case.deployment.limits
        if exchange.method not in source.methods:
            return Ending(Outcome.METHOD_NOT_ALLOWED)
        headers = exchange.headers
        if len(headers.raw) > limits.max_headers or _head_size(exchange) > limits.max_header_bytes:
            return Ending(Outcome.HEADERS_TOO_LARGE)
        forwarded = headers.all(b"x-forwarded-for")
        caller = caller_of(exchange.peer, forwarded, source.trusted_proxies)
        if refusal := source.allowed.refuse(caller.address):
            return Ending(Outcome.REFUSED, refusal=refusal)
        if (retry_after := case.deployment.flood.hit(caller.flood_key)) is not None:
            return Ending(Outcome.FLOODED, retry_after=retry_after)
        if (body := exchange.whole()) is None:
            return self._read(case, caller.text)
        try:
            self._bodies.take(body, source.max_body, limits.max_in_flight)
        except BodyRefused as refused:
            return _no_body(refused)
        return self._received(case, caller.text, body)

    async def _read(self, case: Case, client: str | None) -> Ending:
        """The body of a request that was not whole when its head was."""
        limits = case.deployment.limits
        try:
            with within(limits.body_deadline):
                body = await self._bodies.read(
                    case.exchange, case.source.max_body, limits.max_in_flight
                )
        except TimeoutError:
            return Ending(Outcome.BODY_TIMEOUT)
        except BodyRefused as refused:
            return _no_body(refused)
        return await case.deployment.ingest.seen_through(self._received(case, client, body))

    def _received(self, case: Case, client: str | None, body: bytes) -> Step:
        exchange, source = case.exchange, case.source
        exchange.size = len(body)
        request = InboundRequest(
            exchange.method,
            exchange.path,
            exchange.query,
            exchange.headers,
            body,
            client,
            self._clock(),
            source.url,
        )
        return case.deployment.ingest.meet(request, source)

    def _end(self, case: Case, ending: Ending) -> None:
        exchange, source = case.exchange, case.source
        known = source is not case.deployment.decoy
        if not known and ending.outcome is Outcome.REFUSED:
            ending = UNKNOWN
        self._bodies.give(exchange.size)
        response = respond(ending, source)
        if ending.outcome is not Outcome.DISCONNECTED:
            exchange.answer(response)
        seconds = time.perf_counter() - case.started
        self._notes.take(source if known else None, ending, response.status, exchange.size, seconds)


def _failed(error: Exception) -> Ending:
    """A bug of ours: the caller gets a plain 500, the log says where."""
    logger().error("request.failed", error=type(error).__name__, where=place_of(error))
    return Ending(Outcome.INTERNAL_ERROR)


def _no_body(refused: BodyRefused) -> Ending:
    overload = Overload.BODIES_HELD if refused.outcome is Outcome.OVERLOADED else None
    return Ending(refused.outcome, overload=overload)


def _head_size(exchange: Exchange) -> int:
    """Bytes of the URL and of all header fields."""
    fields = sum([len(name) + len(value) for name, value in exchange.headers.raw])
    return fields + len(exchange.path) + len(exchange.query)
