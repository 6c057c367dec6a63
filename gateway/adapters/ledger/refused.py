"""Keeps refused requests: in a log, cut and masked, or whole in the quarantine. See `lua/refuse.lua`.

Both are bounded for each source, since anybody can send what is refused.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.batcher import Batcher
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, run_async
from gateway.core.capture import Captured, refusal_id
from gateway.core.masking import body_is_proof, masked_headers, masked_url, proof_places
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.logs import LineBudget
from gateway.ports import Unavailable

Store = Literal["refused", "quarantine"]

MOST_HEADERS: Final = 8 * 1024
MOST_URL: Final = 2 * 1024
MOST_WAITING: Final = 256
AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one source, in bytes. `body`: how much of one is kept. `lives`: seconds since the last request
    came; 0 is for ever."""

    requests: int
    size: int
    body: int
    lives: float = 0.0


LOG: Final = Bounds(200, 1024 * 1024, 4 * 1024, 30 * 86400.0)
QUARANTINE: Final = Bounds(10_000, 64 * 1024 * 1024, 1 << 40)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request to keep. `left_out`: how many of its source were refused before it and not kept."""

    id: str
    captured: Captured
    proof: frozenset[str] = frozenset()
    left_out: int = 0

    @property
    def head(self) -> bytes:
        """`proof` goes with it, so that it is masked also when its source is configured otherwise."""
        return to_json(self.captured.head() | {"proof": sorted(self.proof), "left_out": self.left_out})


def refuse(store: Store, bounds: Bounds, batch: Iterable[Refused]) -> Call[list[str]]:
    """A word each: kept, known or full."""
    args: list[bytes | str | int] = [store, bounds.requests, bounds.size, int(bounds.lives * 1000)]
    for each in batch:
        captured = each.captured
        came = int((captured.received_at or 0.0) * 1000)
        args += (captured.source, each.id, came, captured.reason, each.head, captured.body)
    return Call(scripts.REFUSE, tuple(args), lambda reply: [word.decode() for word in reply])


def settle(store: Store, source: str, verdicts: Iterable[tuple[str, str]]) -> Call[list[str]]:
    """Takes requests out, or gives them a new reason: (id, "" or the reason). A word each: discarded,
    refused or missing."""
    flat = [item for verdict in verdicts for item in verdict]
    return Call(scripts.SETTLE, (store, source, *flat), lambda reply: [word.decode() for word in reply])


def whole(request: InboundRequest, source: Source, reason: str) -> Refused:
    """As it arrived, for the quarantine."""
    captured = Captured.of(request, source.name, reason)
    return Refused(refusal_id(captured, once=True), captured, proof_places(source.scheme))


def for_the_log(
    request: InboundRequest, source: Source, reason: str, most_body: int, left_out: int = 0
) -> Refused:
    """Masked and cut: nothing in it is of use to who would forge a request."""
    proof = proof_places(source.scheme)
    captured = Captured.of(request, source.name, reason)
    captured = replace(
        captured,
        url=masked_url(captured.url, proof)[:MOST_URL],
        headers=_within(masked_headers(captured.headers, proof)),
        body=b"" if body_is_proof(proof) else captured.body[:most_body],
    )
    return Refused(refusal_id(captured, once=False), captured, proof, left_out)


def _within(headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """The first ones, up to so many bytes."""
    kept: list[tuple[bytes, bytes]] = []
    room = MOST_HEADERS
    for name, value in headers:
        room -= len(name) + len(value)
        if room < 0:
            break
        kept.append((name, value))
    return tuple(kept)


class Refusals:
    """Of one gateway process. `per_second`: so many of a source are logged, the rest is counted."""

    def __init__(
        self,
        client: "Redis",
        keys: Keys,
        *,
        log: Bounds = LOG,
        quarantine: Bounds = QUARANTINE,
        per_second: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._keys = keys
        self._log = log
        self._quarantine = quarantine
        self._budgets = defaultdict[str, LineBudget](lambda: LineBudget(per_second, clock))
        self._lost: Counter[str] = Counter()
        self._waiting: deque[Refused] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._batcher: Batcher[Refused, str] = Batcher(
            self._keep_whole, size=lambda each: len(each.captured.body)
        )

    def note(self, request: InboundRequest, source: Source, reason: str) -> None:
        """Into the log, soon. Never waits and never raises: what cannot be kept is counted.

        Nothing of an unknown path, which has no source: anybody can think of a thousand.
        """
        if not source.path:
            return
        left_out = self._budgets[source.name].take()
        if left_out is None:
            return
        left_out += self._lost.pop(source.name, 0)
        if len(self._waiting) >= MOST_WAITING:
            self._lost[source.name] = left_out + 1
            return
        self._waiting.append(for_the_log(request, source, reason, self._log.body, left_out))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def quarantine(self, request: InboundRequest, source: Source, reason: str) -> bool:
        """Whole and durable when this returns True; False: the source's quarantine is full. The same
        request is kept once. Raises Unavailable, and then it may yet be kept."""
        try:
            return await self._batcher.submit(whole(request, source, reason)) != "full"
        except (RedisError, OSError) as error:
            raise Unavailable from error

    async def aclose(self) -> None:
        """Waits until what was noted is written, or known to be lost."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        try:
            while self._waiting:
                most = min(AT_ONCE, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(most)]
                try:
                    await run_async(self._client, self._keys, refuse("refused", self._log, batch))
                except (RedisError, OSError):
                    for each in batch:
                        self._lost[each.captured.source] += each.left_out + 1
        finally:
            self._writer = None

    async def _keep_whole(self, batch: Sequence[Refused]) -> list[str]:
        call = refuse("quarantine", self._quarantine, batch)
        return await run_async(self._client, self._keys, call)
