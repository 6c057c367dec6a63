"""What one worker holds: leases taken, kept, recorded and given back, whatever the server does.

A call that failed may have been carried out. Nothing here is lost by that: what ended stays until it
is recorded, and what was leased to us without our hearing of it is found and released unrun.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq.job import Job
from rq.registry import StartedJobRegistry

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import Internal, NotClaimed
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Asked, Call, T, run
from gateway.adapters.worker.bell import Bell
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome

Lease = tuple[str, int]
"""A delivery and the fence under which it is held."""


@dataclass(slots=True)
class Ending:
    """An attempt that ended. `recorded` False: refused, somebody else held the delivery by then."""

    claimed: Claimed
    finish: Finish
    seconds: float
    tries: int = 0
    recorded: bool = False

    @property
    def lease(self) -> Lease:
        return (self.finish.delivery, self.finish.fence)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What was asked of the server: to record `endings`, and whether to lease more."""

    asked: Asked
    endings: list[Ending]
    claims: bool


class Leases:
    """Of the worker called `worker`. `internal` takes in what processors emit.

    Every method that talks to the server raises redis.RedisError.
    """

    def __init__(
        self,
        client: "Redis",
        keys: Keys,
        worker: str,
        lease_ms: int,
        look_ms: int,
        internal: Internal | None = None,
        abandon_after: int = ledger.ABANDON_AFTER,
    ) -> None:
        self._client = client
        self._keys = keys
        self._worker = worker
        self._lease_ms = lease_ms
        self._look_ms = look_ms
        self._internal = internal
        self._abandon_after = abandon_after
        self._held: dict[Lease, Claimed] = {}
        self._ended: dict[Lease, Ending] = {}
        self._crashed: list[Lease] = []
        self._turn: _Turn | None = None

    def held(self) -> list[Claimed]:
        """What was claimed and is not recorded yet. May be asked from any thread."""
        return list(self._held.values())

    def keys(self) -> list[Lease]:
        """For whoever renews them."""
        return list(self._held)

    def running(self) -> list[Claimed]:
        """What of it has not ended."""
        return [claimed for lease, claimed in self._held.items() if lease not in self._ended]

    def ask(self, shares: Mapping[str, int], bells: Sequence[Bell]) -> None:
        """To record what ended, and to lease so many from each queue and what bells were taken for: in
        one round trip, which is what a worker with quick processors spends its time on. Returns at
        once; `hear` has to come before the next question. With nothing to do nobody is asked.
        """
        endings = self._tried()
        calls: list[Call[Any]] = [self._finish_call(each.finish for each in endings)] if endings else []
        claims = bool(shares or bells)
        if claims:
            calls.append(self._claim_call(shares, bells))
        if calls:
            self._turn = _Turn(Asked(self._client, self._keys, calls), endings, claims)

    @property
    def under_way(self) -> bool:
        """Whether something was asked that was not heard yet."""
        return self._turn is not None

    @property
    def unrecorded(self) -> bool:
        """Whether anything has ended that is to be recorded."""
        return bool(self._ended)

    def hear(self) -> tuple[list[Ending], list[Claimed | NotClaimed]]:
        """Waits for what was asked: what is recorded now, and what was leased, or could not be."""
        turn, self._turn = self._turn, None
        if turn is None:
            return [], []
        replies = turn.asked.replies()
        rows: list[Claimed | NotClaimed] = replies.pop() if turn.claims else []
        self._held |= {(row.delivery, row.fence): row for row in rows if isinstance(row, Claimed)}
        return self._settled(turn.endings, replies.pop() if turn.endings else []), rows

    def ended(self, finish: Finish, seconds: float) -> None:
        """Keeps how an attempt ended, until `record`."""
        lease = (finish.delivery, finish.fence)
        if finish.outcome is AttemptOutcome.CRASHED:
            self._crashed.append(lease)
        elif lease in self._held:
            self._ended[lease] = Ending(self._held[lease], finish, seconds)

    def record(self) -> list[Ending]:
        """One call for all that ended. Repeating it is harmless: the fence sees to it."""
        endings = self._tried()
        if not endings:
            return []
        return self._settled(endings, self._run(self._finish_call(each.finish for each in endings)))

    def _tried(self) -> list[Ending]:
        endings = list(self._ended.values())
        for ending in endings:
            ending.tries += 1
        return endings

    def _settled(self, endings: list[Ending], flags: list[bool]) -> list[Ending]:
        for ending, recorded in zip(endings, flags, strict=True):
            # What is refused now may have been recorded by the try before.
            ending.recorded = recorded or ending.tries > 1
            self._forget(ending.lease)
        return endings

    def give_up_crashed(self) -> list[Bell]:
        """Lets the leases of crashed attempts run out now: the next claim counts the crash."""
        if not self._crashed:
            return []
        self._run(ledger.renew(self._crashed, 0))
        crashed, self._crashed = self._crashed, []
        for lease in crashed:
            self._forget(lease)
        return [Bell(delivery) for delivery, _ in crashed]

    def recover(self, queues: Iterable[str]) -> None:
        """After a failed call: keeps what is held, and releases what was leased to us unheard.

        Otherwise each such lease would run out, and be taken for a crash of its processor.
        """
        if self._held:
            self._run(ledger.renew(self.keys(), self._lease_ms))
        self._release(lease for lease in self._leased_to_us(queues) if lease not in self._held)

    def release(self) -> None:
        """Gives back what still runs: another worker may start it at once, and it was no attempt."""
        self._release(lease for lease in self.keys() if lease not in self._ended)
        self._held.clear()

    def _release(self, leases: Iterable[Lease]) -> None:
        finishes = [Finish(*lease, None, AttemptOutcome.RELEASED) for lease in leases]
        if finishes:
            self._run(self._finish_call(finishes))

    def _leased_to_us(self, queues: Iterable[str]) -> list[Lease]:
        """As RQ's books have it, in which `claim` has entered what it leased, and to whom."""
        keys = [StartedJobRegistry(queue, connection=self._client).key for queue in queues]
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.zrange(key, 0, -1)
            entries = [
                entry.decode().rpartition(":") for found in pipeline.execute() for entry in found
            ]
            # A stock worker's entries end with the id of an execution.
            looks = [(job, fence) for job, _, fence in entries if fence.isdigit()]
            for job, _ in looks:
                pipeline.hget(Job.key_for(job), "worker_name")
            workers = pipeline.execute()
        return [
            (job.rpartition("-")[0], int(fence))
            for (job, fence), worker in zip(looks, workers, strict=True)
            if worker == self._worker.encode()
        ]

    def _forget(self, lease: Lease) -> None:
        self._held.pop(lease, None)
        self._ended.pop(lease, None)

    def _finish_call(self, finishes: Iterable[Finish]) -> Call[list[bool]]:
        return ledger.finish(finishes, keep_books=True, look_ms=self._look_ms, internal=self._internal)

    def _claim_call(
        self, shares: Mapping[str, int], bells: Iterable[Bell]
    ) -> Call[list[Claimed | NotClaimed]]:
        return ledger.claim(
            lease_ms=self._lease_ms,
            worker=self._worker,
            keep_books=True,
            queues=shares.items(),
            taken=[(bell.job, bell.queue) for bell in bells],
            look_ms=self._look_ms,
            abandon_after=self._abandon_after,
        )

    def _run(self, call: Call[T]) -> T:
        return run(self._client, self._keys, call)
