"""The edge: the ASGI app that providers call.

Known paths are answered by a raw ASGI callable; Starlette serves the health checks beside it. Its
request and response objects cost about 50 µs a request here, more than verifying a signature does.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.adapters.http.bodies import BodyRefused, InFlight
from gateway.adapters.http.lasting import Lasting
from gateway.adapters.http.limiters import FloodGuard
from gateway.adapters.http.responses import respond
from gateway.core.addresses import client_address, flood_key
from gateway.core.outcomes import Outcome, Overload, Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.source import Source
from gateway.deadlines import within
from gateway.ingest import Ending, Ingest
from gateway.logs import LineBudget, line_writer, logger, place_of

HEALTH_PATHS: Final = ("/livez", "/readyz")
# Anybody can cause these at will: counted always, logged a few a second.
CHEAP: Final = frozenset(
    {
        Outcome.REFUSED,
        Outcome.FLOODED,
        Outcome.METHOD_NOT_ALLOWED,
        Outcome.HEADERS_TOO_LARGE,
        Outcome.BODY_TOO_LARGE,
        Outcome.BODY_TIMEOUT,
        Outcome.DISCONNECTED,
        Outcome.OVERLOADED,
        Outcome.HANDSHAKE,
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost us before anything about it is known. Seconds and bytes."""

    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    body_deadline: float = 10.0
    max_in_flight: int = 256 * 1024 * 1024


class Deployment:
    """What one load of the configuration gives the edge; swapped whole on reload."""

    __slots__ = ("by_path", "decoy", "flood", "ingest", "limits")

    def __init__(
        self,
        sources: Mapping[str, Source],
        decoy: Source,
        ingest: Ingest,
        flood: FloodGuard,
        limits: Limits,
    ) -> None:
        self.by_path = {source.path: source for source in sources.values()}
        self.decoy = decoy
        self.ingest = ingest
        self.flood = flood
        self.limits = limits


class Edge:
    """`health` is the ASGI app for everything that is no webhook. `clock` gives Unix seconds."""

    def __init__(
        self,
        deployment: Deployment,
        health: Any,
        lasting: Lasting,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.deployment = deployment
        self._health = health
        self._counters = lasting.counters
        self._secret_use = lasting.secret_use
        self._clock = clock
        self._log = logger()
        self._line = line_writer()
        self._refused_lines = LineBudget()
        self._bodies = InFlight()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in HEALTH_PATHS:
            await self._health(scope, receive, send)
            return
        started = time.perf_counter()
        deployment = self.deployment
        # An unknown path meets a source with a secret nobody has: same steps, same time, same 401.
        source = deployment.by_path.get(scope["path"], deployment.decoy)
        size = 0
        try:
            request, ending = await self._admit(scope, receive, source, deployment)
            size = len(request.body) if request else 0
            if request and ending is None:
                ending = await deployment.ingest.receive(request, source)
        except asyncio.CancelledError:  # the grace after SIGTERM is over: it may or may not be stored
            ending = Ending(Outcome.UNAVAILABLE)
        except Exception as error:  # a bug of ours: the caller gets a plain 500, the log says where
            self._log.error("request.failed", error=type(error).__name__, where=place_of(error))
            ending = Ending(Outcome.INTERNAL_ERROR)
        if source is deployment.decoy and ending and ending.outcome is Outcome.REFUSED:
            ending = Ending(Outcome.REFUSED, refusal=Refusal.UNKNOWN_SOURCE)
        assert ending is not None
        try:
            response = respond(ending, source)
            if ending.outcome is not Outcome.DISCONNECTED:
                await response.send(send)
        finally:
            self._bodies.give(size)
        name = "" if source is deployment.decoy else source.name
        if ending.key_index is not None and ending.key_index < len(source.secrets):
            self._secret_use.count(name, source.secrets[ending.key_index])
        self._note(name, ending, response.status, size, time.perf_counter() - started)

    async def _admit(
        self, scope: Any, receive: Any, source: Source, deployment: Deployment
    ) -> tuple[InboundRequest | None, Ending | None]:
        """Steps 1 to 3: everything that needs no proof. A request, or how it ended here."""
        if scope["method"] not in source.methods:
            return None, Ending(Outcome.METHOD_NOT_ALLOWED)
        raw = scope["headers"]
        limits = deployment.limits
        if len(raw) > limits.max_headers or _head_size(scope) > limits.max_header_bytes:
            return None, Ending(Outcome.HEADERS_TOO_LARGE)
        headers = Headers(tuple(raw))
        peer = scope["client"][0] if scope.get("client") else None
        address = client_address(peer, headers.all(b"x-forwarded-for"), source.trusted_proxies)
        if refusal := source.allowed.refuse(address):
            return None, Ending(Outcome.REFUSED, refusal=refusal)
        if (retry_after := deployment.flood.hit(flood_key(address))) is not None:
            return None, Ending(Outcome.FLOODED, retry_after=retry_after)
        try:
            with within(limits.body_deadline):
                body = await self._bodies.read(receive, headers, source.max_body, limits.max_in_flight)
        except TimeoutError:
            return None, Ending(Outcome.BODY_TIMEOUT)
        except BodyRefused as refused:
            overload = Overload.BODIES_HELD if refused.outcome is Outcome.OVERLOADED else None
            return None, Ending(refused.outcome, overload=overload)
        request = InboundRequest(
            scope["method"],
            scope["path"],
            scope["query_string"],
            headers,
            body,
            str(address) if address else None,
            self._clock(),
            source.url,
        )
        return request, None

    def _note(self, source: str, ending: Ending, status: int, size: int, seconds: float) -> None:
        """The one line and the one count of this request."""
        reason = ending.reason
        self._counters.request(source, ending.outcome, reason, seconds)
        event = ending.event
        left_out = self._refused_lines.take() if ending.outcome in CHEAP else 0
        if left_out is None:
            return
        level = self._log.error if ending.outcome.ours else self._line
        level(
            f"request.{ending.outcome}",
            source=source or None,
            reason=reason or None,
            status=status,
            event_id=event.id if event else None,
            event_type=event.type if event else None,
            provider_id=event.provider_id if event else None,
            count=len(ending.events) if len(ending.events) > 1 else None,
            filtered=list(ending.filtered) or None,
            key=ending.key_index,
            bytes=size,
            ms=round(seconds * 1000, 2),
            left_out=left_out or None,
        )


def _head_size(scope: Any) -> int:
    """Bytes of the URL and of all header fields."""
    fields = sum([len(name) + len(value) for name, value in scope["headers"]])
    return fields + len(scope["path"]) + len(scope["query_string"])
