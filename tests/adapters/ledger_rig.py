"""What the ledger's tests share: events by a short name, calls in one line, a clock that can be moved.

Scripts read the server's own clock, so time passes here by moving every stored time into the past.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, T, run
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import Event, delivery_id, event_id
from gateway.core.outcomes import Acceptance, AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Decision, Done
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.source import Source

LEASE: Final = 1_000_000  # milliseconds; far above what a test takes, so that only `pass_time` counts
LOOK: Final = 2_000_000
DONE: Final = Done()
EXHAUSTED: Final = Dead(DeadReason.EXHAUSTED)
OUTCOMES: Final = {Done: AttemptOutcome.DONE, type(None): AttemptOutcome.RELEASED}

PASS_TIME: Final = """
local prefix, rq, ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('DEL', '') -- time passes on a server that is out of memory too
for _, key in ipairs(redis.call('KEYS', prefix .. ':event:*')) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local number = string.match(field, '^(%d+)s$')
    if number then
      local since = redis.call('HGET', key, number .. 't') or redis.call('HGET', key, 'r')
      redis.call('HSET', key, number .. 't', since - ms)
    end
  end
end
for pattern, age in pairs({[prefix .. ':pending:*'] = ms, [rq .. ':scheduled:*'] = ms / 1000}) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -age, member)
    end
  end
end
for _, key in ipairs(redis.call('KEYS', prefix .. ':*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ms) end
end
"""


def a_source(name: str = "github", **changes: Any) -> Source:
    return Source(name, f"/in/{name}", name, UnverifiedScheme(), (), **changes)


GITHUB: Final = a_source()


def an_event(
    value: str = "1", source: str = "github", body: bytes = b"{}", *, content: str = ""
) -> Event:
    """`content` names what was signed; without it the event has no proof."""
    return Event(
        id=event_id(source, "id", value.encode()),
        source=source,
        type="push",
        provider_id=value,
        headers=((b"X-GitHub-Event", b"push"), (b"X-Odd", b"\xff\xfe")),
        body=body,
        received_at=0.0,
        proof=a_proof(content, source) if content else b"",
    )


def a_proof(content: str, source: str = "github") -> bytes:
    return blake2b(f"{source} {content}".encode(), digest_size=16).digest()


def a_delivery(value: str = "1", number: int = 1, source: str = "github") -> str:
    return delivery_id(an_event(value, source).id, number)


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery as its event's record has it. `time` in milliseconds."""

    state: str
    attempts: int
    crashes: int
    fence: int
    time: int
    processor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rig:
    redis: "Redis"
    keys: Keys = Keys()

    def run(self, call: Call[T]) -> T:
        return run(self.redis, self.keys, call)

    def raw(self, *command: Any) -> Any:
        return self.redis.execute_command(*command)  # type: ignore[no-untyped-call]

    def accept(
        self, *values: str, source: Source = GITHUB, processors: Sequence[str] = ("archive",)
    ) -> list[Acceptance]:
        batch = [(an_event(value, source.name), source, processors) for value in values]
        return self.run(ledger.accept(batch, LOOK))

    def claim(
        self,
        *queues: tuple[str, int],
        taken: Sequence[tuple[str, str]] = (),
        lease_ms: int = LEASE,
        books: bool = True,
        token: str = "",
        abandon_after: int = ledger.ABANDON_AFTER,
    ) -> list[Claimed | NotClaimed]:
        wanted = queues or (() if taken else (("github", 1),))
        call = ledger.claim(
            lease_ms=lease_ms,
            worker="w1",
            keep_books=books,
            queues=wanted,
            taken=taken,
            look_ms=LOOK,
            token=token,
            abandon_after=abandon_after,
        )
        return self.run(call)

    def run_one(self, queue: str = "github", **options: Any) -> Claimed:
        """The next delivery of the queue, leased; fails the test when there is none."""
        (row,) = self.claim((queue, 1), **options)
        assert isinstance(row, Claimed), row
        return row

    def finish(
        self, held: Claimed, decision: Decision | None = DONE, error: str = "", *, books: bool = True
    ) -> bool:
        """Whether it was recorded. Decision None gives the delivery back unrun."""
        outcome = OUTCOMES.get(type(decision), AttemptOutcome.FAILED)
        finish = Finish(held.delivery, held.fence, decision, outcome, error)
        (recorded,) = self.run(ledger.finish([finish], keep_books=books, look_ms=LOOK))
        return recorded

    def give_up(self, held: Claimed) -> None:
        """Its holder lives on, and has seen it crash."""
        assert self.run(ledger.renew([(held.delivery, held.fence)], 0)) == [True]

    def bury(self, value: str = "1") -> str:
        """An accepted event whose one delivery is a dead letter now."""
        self.accept(value)
        assert self.finish(self.run_one(), EXHAUSTED)
        return a_delivery(value)

    def sweep(self, *sources: str, most: int = 200) -> tuple[int, int]:
        return self.run(ledger.sweep(sources or ("github",), LOOK, most))

    def row(self, delivery: str) -> Row:
        digest, number = delivery.removeprefix("dlv_").split("-")
        names = ("r", *(number + name for name in "sacftpr"))
        fields = self.raw("HMGET", self.keys.event(f"evt_{digest}"), *names)
        received, state, attempts, crashes, fence, time, processor, reason = (
            (field or b"").decode() for field in fields
        )
        tried, crashed, given = (int(each or 0) for each in (attempts, crashes, fence))
        return Row(state, tried, crashed, given, int(time or received), processor, reason)

    def queued(self, queue: str = "github") -> list[str]:
        return [job.decode() for job in self.raw("LRANGE", self.keys.queue(queue), 0, -1)]

    def members(self, zset: str) -> set[str]:
        return {member.decode() for member in self.raw("ZRANGE", zset, 0, -1)}

    def arrived(self, source: str = "github") -> list[str]:
        """The events of its index, the oldest first."""
        return [event for _, event in self._arrivals(source)]

    def came_at(self, event: str, ms: int, source: str = "github") -> None:
        """As if it had been received then."""
        self.raw("HSET", self.keys.event(event), "r", ms)
        rows = [(each, at) for at, each in self._arrivals(source) if each != event] + [(event, ms)]
        self.redis.delete(self.keys.arrived(source))
        for number, (each, at) in enumerate(sorted(rows, key=lambda row: row[1])):
            self.redis.xadd(self.keys.arrived(source), {"e": each[4:]}, id=f"{at}-{number + 1}")

    def _arrivals(self, source: str) -> list[tuple[int, str]]:
        entries: Any = self.redis.xrange(self.keys.arrived(source))
        return [
            (int(entry.partition(b"-")[0]), f"evt_{letters.decode()}")
            for entry, fields in entries
            for letters in fields[b"e"].split()
        ]

    def lives(self, key: str | bytes) -> int:
        """Milliseconds until the key expires; -1 never, -2 no such key."""
        return int(self.raw("PTTL", key))

    def scan(self, pattern: str) -> list[str]:
        return sorted(key.decode() for key in self.redis.scan_iter(pattern, count=1000))

    def proofs(self) -> set[bytes]:
        """Keys that are no text."""
        return set(self.redis.scan_iter("hookline:proof:*", count=1000))

    def now(self) -> int:
        seconds, micros = self.raw("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def pass_time(self, ms: int) -> None:
        """Every stored time is `ms` older from now on; what would have expired is gone."""
        self.redis.eval(PASS_TIME, 0, self.keys.prefix, self.keys.rq, ms)

    def snapshot(self) -> dict[bytes, tuple[bytes | None, int]]:
        """The whole database: every key as DUMP gives it, and when it expires."""
        keys = self.redis.scan_iter(count=1000)
        return {key: (self.redis.dump(key), self.raw("PEXPIRETIME", key)) for key in keys}
