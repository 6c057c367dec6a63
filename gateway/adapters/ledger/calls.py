"""The ledger: what each script takes and answers, as typed calls. See `lua/` for what they do.

Nothing here talks to a server: a function makes a Call, `scripts.run` or `run_async` carries it out.
"""

import base64
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.adapters.ledger import scripts, terms
from gateway.adapters.ledger.kept import pack, unpack
from gateway.adapters.ledger.scripts import Call
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import DELIVERY_PREFIX, EVENT_PREFIX, Event, Turn
from gateway.core.outcomes import Acceptance, DeadReason
from gateway.core.retry import Dead, Done, Wait
from gateway.core.routing import Routing
from gateway.core.source import Source

Wanted = tuple[Event, Source, Sequence[str]] | tuple[Event, Source, Sequence[str], Sequence[Turn]]
"""An event, its source, the names of its processors, and the turns of those that keep an order."""

MOST_CRASHES: Final = 3
ABANDON_AFTER: Final = 10
LOOK_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """`word`: busy, waiting, pending, blocked, done, overtaken, dead, missing, poison, abandoned,
    body_missing, replayed, foreign."""

    word: str
    delivery: str
    processor: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Internal:
    """How emitted events are taken in: as those of `source`, for the processors that `route` names."""

    source: Source
    route: Callable[[Event], Routing]

    def wanted(self, event: Event) -> Wanted:
        routing = self.route(event)
        return event, self.source, routing.processors, routing.turns


def accept(batch: Sequence[Wanted], look_ms: int = LOOK_MS) -> Call[list[Acceptance]]:
    """An answer to each event, in order. All that is new is stored, or nothing is."""
    args: list[bytes | str | int | float] = [look_ms]
    known: dict[int, str] = {}
    for wanted in batch:
        _add_event(args, known, *wanted)
    return Call(
        scripts.ACCEPT, tuple(args), lambda reply: [Acceptance(word.decode()) for word in reply]
    )


def claim(
    *,
    lease_ms: int,
    worker: str,
    keep_books: bool,
    queues: Iterable[tuple[str, int]] = (),
    taken: Iterable[tuple[str, str]] = (),
    look_ms: int = LOOK_MS,
    abandon_after: int = ABANDON_AFTER,
    token: str = "",
) -> Call[list[Claimed | NotClaimed]]:
    """Up to so many from each queue, and the (id, queue) pairs that were taken from RQ already.

    With a `token` of its own such a pair may be claimed again where the reply was lost: it gives the
    same lease, and counts no further attempt. What is taken from queues here would be another.
    """
    pairs = [item for pair in queues for item in pair]
    explicit = [item for pair in taken for item in pair]
    reasons = (DeadReason.POISON, DeadReason.ABANDONED, DeadReason.BODY_MISSING)
    traces = [TRACES[reason] for reason in reasons]
    head = (lease_ms, MOST_CRASHES, abandon_after, worker, int(keep_books), token, look_ms)
    args = (*head, *traces, len(pairs) // 2, *pairs, *explicit)
    return Call(scripts.CLAIM, args, lambda reply: [_claimed(row) for row in reply])


def renew(leases: Iterable[tuple[str, int]], lease_ms: int) -> Call[list[bool]]:
    """Whether each (delivery, fence) is still ours. With 0 ms they are given up, for good."""
    flat = [item for lease in leases for item in lease]
    return Call(scripts.RENEW, (lease_ms, *flat), lambda reply: [bool(flag) for flag in reply])


def finish(
    finished: Iterable[Finish],
    *,
    keep_books: bool,
    look_ms: int = LOOK_MS,
    internal: Internal | None = None,
) -> Call[list[bool]]:
    """Whether each was recorded; False: stale, somebody else holds the delivery now.

    With it what it emitted is stored, or nothing of either. `internal` is needed where anything was.
    """
    args: list[bytes | str | int | float] = []
    known: dict[int, str] = {}
    for each in finished:
        args += _finish_args(each)
        for event in each.emitted:
            assert internal, "an emitted event has a place to go"
            _add_event(args, known, *internal.wanted(event))
    return Call(
        scripts.FINISH,
        (int(keep_books), look_ms, *args),
        lambda reply: [word == b"finished" for word in reply],
    )


def sweep(sources: Iterable[str], look_ms: int = LOOK_MS, most: int = 200) -> Call[tuple[int, int]]:
    """How many due deliveries were looked at, and how many bells rung again."""
    return Call(scripts.SWEEP, (most, look_ms, *sources), lambda reply: (reply[0], reply[1]))


def replay(
    deliveries: Iterable[str], *, also_done: bool = False, look_ms: int = LOOK_MS
) -> Call[list[str]]:
    """A word each: replayed, missing, body_missing, or the state that keeps it from being replayed."""
    return Call(scripts.REPLAY, (look_ms, int(also_done), *deliveries), _words)


def discard(deliveries: Iterable[str], *, look_ms: int = LOOK_MS) -> Call[list[str]]:
    """A word each: discarded, missing, or the state that keeps it from being discarded."""
    return Call(scripts.DISCARD, (look_ms, *deliveries), _words)


@dataclass(frozen=True, slots=True)
class Refiled:
    """How many dead letters were looked at; `filed` among RQ's failed jobs again; `replayed`, because
    somebody had pressed Requeue. `total`: how many the source has."""

    looked: int
    filed: int
    replayed: int
    total: int = field(default=0, compare=False)


def refile(source: str, first: int, most: int, look_ms: int = LOOK_MS) -> Call[Refiled]:
    """Looks whether RQ's tools show these dead letters, from the `first`, the oldest first."""
    traces = (part for pair in TRACES.items() for part in pair)
    return Call(scripts.REFILE, (source, first, most, look_ms, *traces), lambda reply: Refiled(*reply))


def step(delivery: str, fence: int, name: str, value: bytes) -> Call[bool]:
    """Whether what the step gave (JSON) is recorded; False: somebody else holds the delivery now."""
    return Call(scripts.STEP, (delivery, fence, name, value), bool)


def prune(source: str, cursor: str, most: int) -> Call[tuple[str, int]]:
    """From where to go on, "" when nothing is left; how many entries of expired events are gone.

    `cursor`: what the call before this one gave; "" for the first."""
    call = (source, cursor or "-", most)
    return Call(scripts.PRUNE, call, lambda reply: (reply[0].decode(), reply[1]))


def trace(text: str) -> str:
    """A text as RQ keeps an exception's: its tools show it on the page of a failed job."""
    return base64.b64encode(zlib.compress(text.encode())).decode()


TRACES: Final = {reason: trace(f"Dead letter: {reason.value}") for reason in DeadReason}


def _add_event(
    args: list[bytes | str | int | float],
    known: dict[int, str],
    event: Event,
    source: Source,
    processors: Sequence[str],
    turns: Sequence[Turn] = (),
) -> None:
    """`known`: the terms of each source in this call."""
    if (packed := known.get(id(source))) is None:
        known[id(source)] = packed = terms.pack(source)
    args += (
        event.id,
        packed,
        event.type,
        event.provider_id,
        int(source.revive_dead),
        pack(event.headers, event.body),
        len(event.body),
        event.proof,
        len(processors),
    )
    args += processors
    args.append(len(turns))
    for each in turns:
        args += (each.number, each.key, int(each.blocks), each.version)


def _finish_args(finish: Finish) -> tuple[str | int, ...]:
    verdict: tuple[str | int, ...]
    match finish.decision:
        case Done():
            verdict = ("done",)
        case Wait(delay, counted):
            verdict = ("wait" if counted else "defer", max(0, round(delay * 1000)))
        case Dead(reason):
            verdict = ("dead", reason, TRACES[reason])
        case None:
            verdict = ("release",)
    head = (finish.delivery, finish.fence, finish.outcome, finish.error)
    return (*head, len(finish.emitted), *verdict)


def _claimed(row: list[Any]) -> Claimed | NotClaimed:
    if row[0] != b"run":
        return NotClaimed(*(part.decode("utf-8", "replace") for part in row))
    texts = [part.decode() if isinstance(part, bytes) else part for part in row[1:10]]
    delivery, fence, attempt, crashes, source, kind, provider_id, received, processor = texts
    return Claimed(
        delivery,
        int(fence),
        int(attempt),
        int(crashes),
        source,
        kind,
        provider_id,
        int(received),
        processor,
        EVENT_PREFIX + delivery[len(DELIVERY_PREFIX) :].partition("-")[0],
        *unpack(row[10]),
        alone=bool(row[11]),
    )


def _words(reply: list[bytes]) -> list[str]:
    return [word.decode() for word in reply]
