"""The edge without a server: exchanges by hand, ports that note who asked them, in order."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from structlog.testing import capture_logs

from gateway.adapters.http.counters import Counters
from gateway.adapters.http.edge import Deployment, Edge, Limits
from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.flood import FloodGuard
from gateway.adapters.http.lasting import Lasting
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import Arrival, Event
from gateway.core.outcomes import Acceptance, Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.routing import Routing
from gateway.core.schemes.token import TokenScheme
from gateway.core.source import Source
from gateway.core.template import Reference
from gateway.ingest import Ingest
from gateway.ports import Ledger, Quota
from tests import leaping

NOW = 1_700_000_000.0
TOKEN = TokenScheme((Reference("header", "x-token"),))
SHOP = Source("shop", "/hooks/shop", "shop", TOKEN, (TOKEN.load_key(b"right"),), max_body=1000)
DECOY = Source("unknown", "", "", TOKEN, (TOKEN.load_key(b"nobody has it"),), max_body=1000)
RIGHT = (b"x-token", b"right")
WRONG = (b"x-token", b"wrong")
Header = tuple[bytes, bytes]
END: Final = "end"
GONE: Final = "gone"


class Flood:
    """The flood guard; who asks it is written down."""

    def __init__(self, asked: list[str], limit: str) -> None:
        self._guard = FloodGuard(limit)
        self._asked = asked

    def hit(self, address: str) -> float | None:
        self._asked.append(f"flood {address}")
        return self._guard.hit(address)


@dataclass(frozen=True)
class Sent:
    """What went out to the caller; status 0: nothing did."""

    status: int = 0
    headers: tuple[Header, ...] = ()
    body: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


def sent(wire: bytes) -> Sent:
    """What one answer's bytes say."""
    head, _, body = wire.partition(b"\r\n\r\n")
    if not head:
        return Sent()
    first, *lines = head.split(b"\r\n")
    pairs = (line.split(b": ", 1) for line in lines)
    return Sent(int(first.split()[1]), tuple((name, value) for name, value in pairs), body)


class Caller:
    """The other end, and what an exchange needs of the connection to it. Each time more is read, the
    next of `pieces` comes: bytes, the END of the body, or that the caller is GONE; then silence."""

    def __init__(self, pieces: Iterator[bytes | str], peer: str | None, asked: list[str]) -> None:
        self.peer = peer
        self.transport: Any = self
        self.heard = b""
        self.exchange: Exchange
        self._pieces = pieces
        self._asked = asked
        self._closed = False
        self.over = asyncio.Event()

    def resume_reading(self) -> None:
        self._asked.append("body")
        self.come(next(self._pieces, None))

    def come(self, piece: bytes | str | None) -> None:
        if isinstance(piece, bytes):
            self.exchange.came(piece)
        elif piece == END:
            self.exchange.ended()
        elif piece == GONE:
            self.exchange.lost()

    def is_closing(self) -> bool:
        return self._closed

    def write(self, data: bytes) -> None:
        self.heard += data

    def close(self) -> None:
        self._closed = True
        self.over.set()

    def answered(self) -> None:
        """As a connection hears it."""
        self.over.set()

    def see_through(self, exchange: Exchange, rest: Coroutine[Any, Any, None]) -> None:
        self.rest = asyncio.ensure_future(rest)


@dataclass
class Rig(Ledger, Quota):
    """An edge with its ports. `asked` has every port in the order in which they were asked."""

    sources: Sequence[Source] = (SHOP,)
    limits: Limits = field(default_factory=Limits)
    flood: str = "1000/minute"
    wait: float | None = None
    error: Exception | None = None
    hang: bool = False
    breaks_off: bool = False
    asked: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    """How long the last call took."""
    counters: Counters = field(init=False)

    def __post_init__(self) -> None:
        decoy = replace(DECOY, trusted_proxies=self.sources[0].trusted_proxies)
        by_name = {source.name: source for source in self.sources}
        nowhere = async_client("redis://127.0.0.1:1", 0.1)
        lasting = Lasting.of(nowhere, Keys())
        self.counters = lasting.counters
        ingest = Ingest(
            self, self, self._route, lasting.keys, lasting.lessons, self, lasting.visits, 0.5
        )
        deployment = Deployment(by_name, decoy, ingest, Flood(self.asked, self.flood), self.limits)
        self.edge = Edge(deployment, lasting, lambda: NOW)

    async def charge(self, source: Source) -> float | None:
        self.asked.append("quota")
        return self.wait

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        self.asked.append("ledger")
        if self.error:
            raise self.error
        if self.hang:
            await asyncio.Event().wait()
        self.events += [each.event for each in arrivals]
        return [Acceptance.ACCEPTED] * len(arrivals)

    def note(self, request: InboundRequest, source: Source, reason: Refusal) -> None:
        self.refused.append((source.name, reason))

    async def quarantine(self, request: InboundRequest, source: Source, reason: Refusal) -> bool:
        self.refused.append((source.name, reason))
        return True

    def _route(self, event: Event, parsed: Callable[[], Any] | None = None) -> Routing:
        return Routing(("archive",))

    def call(
        self,
        *headers: Header,
        body: bytes | Iterable[bytes | str] = b"{}",
        path: str = "/hooks/shop",
        method: str = "POST",
        query: bytes = b"",
        peer: str | None = "192.0.2.9",
    ) -> Sent:
        """One request, whole at once, or as the pieces of a `body` come: see `Caller`."""
        caller = Caller(iter(()) if isinstance(body, bytes) else iter(body), peer, self.asked)
        exchange = Exchange(caller, method, path, query, Headers(headers))
        caller.exchange = exchange
        if isinstance(body, bytes):
            exchange.came(body)
            exchange.ended()
        leaping.run(self._run(exchange, caller))
        return sent(caller.heard)

    async def _run(self, exchange: Exchange, caller: Caller) -> None:
        with capture_logs() as lines:
            if rest := self.edge.answer(exchange):
                await rest
            if self.breaks_off:
                self.edge.break_off()
            if not rest and not exchange.response_complete:
                await caller.over.wait()
            self.seconds = asyncio.get_running_loop().time()
        self.lines += lines

    def counted(self) -> dict[str, int]:
        """`source|outcome|reason` of every request so far."""
        counts = self.counters._counts.items()
        return {name.removeprefix("requests|"): n for name, n in counts if name.startswith("requests|")}
