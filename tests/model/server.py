"""The model's steps on a real server, with the real scripts.

A unit of time is so long that only the clock's own step makes it pass.
"""

from typing import Any, Final

from redis import Redis
from rq.job import Job, requeue_job
from rq.serializers import JSONSerializer

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.worker.leases import Leases
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import Turn
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Decision, Done, Wait
from tests.adapters.ledger_rig import Rig, a_delivery, a_source, an_event
from tests.model.state import ABANDON_AFTER, Hand, State, World
from tests.model.steps import Step

UNIT: Final = 100_000_000  # milliseconds
QUEUE: Final = "rq:queue:github"
BELLS: Final = "stock:bells"
ENDS: Final[dict[str, Decision | None]] = {
    "done": Done(),
    "wait": Wait(UNIT / 1000),
    "dead": Dead(DeadReason.EXHAUSTED),
    "release": None,
}
IDS: Final = (a_delivery("1", 1), a_delivery("1", 2))
EVENT: Final = an_event("1").id
# Of two that are due, or dead, the first comes first: the model does not know since when they are.
IN_ORDER: Final = """
local past, far = redis.call('TIME')[1] * 1000 - 1000, 221845392000000
for i, id in ipairs(ARGV) do
  local score = tonumber(redis.call('ZSCORE', 'hookline:pending:github', id) or 'inf')
  local base = score >= far and far or 0
  if score - base <= past + 2000 then
    redis.call('ZADD', 'hookline:pending:github', base + past + i, id)
  end
  redis.call('ZADD', 'hookline:dead:github', 'XX', past + i, id)
end
"""
LONG_AGO: Final = "2000-01-01T00:00:00.000000Z"


class Server:
    """One event's ledger on an own, empty server."""

    def __init__(self, redis: "Redis", world: World) -> None:
        self.rig = Rig(redis)
        self.world = world
        forever = 10.0**10
        self._source = a_source(dedup_window=forever, retention=forever, revive_dead=world.revives)

    def do(self, step: Step, before: State) -> str:
        """What it answers, as the model says it. `before`: the model's state, for what workers hold."""
        match step.who:
            case "sender":
                return self._send(before)
            case "clock":
                self.rig.pass_time(UNIT)
            case "sweeper":
                self._in_order()
                if step.what == "sweeps":
                    self.rig.run(ledger.sweep(["github"], UNIT))
                else:
                    self.rig.run(ledger.refile("github", 0, 10, UNIT))
            case "worker" | "stock":
                hand = before.one if step.who == "worker" else before.stock
                return self._work(step, hand)
            case _:
                return self._operate(step)
        return ""

    def _in_order(self) -> None:
        self.rig.redis.eval(IN_ORDER, 0, *IDS)

    def _send(self, before: State) -> str:
        turns = [Turn(n, "line", self.world.blocks, "") for n in (1, 2)] if self.world.line else []
        row = (an_event("1"), self._source, ("one", "two"), turns)
        (word,) = self.rig.run(ledger.accept([row], UNIT))
        if not before.deliveries and (self.world.crashes or self.world.own):
            worn: dict[str, int] = {"f": 0, "c": self.world.crashes, "m": self.world.own}
            record: dict[Any, Any] = {
                f"{n}{field}": many for n in (1, 2) for field, many in worn.items()
            }
            self.rig.redis.hset(self.rig.keys.event(EVENT), mapping=record)
        return word.value

    # Workers

    def _work(self, step: Step, hand: Hand) -> str:
        books = step.who == "worker"
        match step.what:
            case "claims":
                return self._claim(step.who, hand)
            case "runs":
                return ""
            case "pops":
                self.rig.raw("LPOP", QUEUE)
                self.rig.raw("INCR", BELLS)
                return ""
            case "recovers":
                Leases(self.rig.redis, Keys(), "one", UNIT, UNIT).recover(["github"])
                return ""
            case "is killed":
                return self._forget_worker() if books else ""
            case "is seen to crash":
                return self._see_crash(hand)
            case "renews" | "gives up":
                long = UNIT if step.what == "renews" else 0
                lease = (IDS[hand.delivery - 1], hand.number)
                (kept,) = self.rig.run(ledger.renew([lease], long))
                return "kept" if kept else "lost"
        return self._finish(step, hand, books=books)

    def _claim(self, who: str, hand: Hand) -> str:
        delivery = IDS[hand.delivery - 1]
        if who == "stock" and hand.look == 0:
            (said,) = self.rig.run(ledger.replay([delivery], look_ms=UNIT))
            return said
        own = hand.phase == "bell"
        call = ledger.claim(
            lease_ms=UNIT,
            worker="one",
            keep_books=who == "worker",
            queues=() if own else [("github", 1)],
            taken=[(delivery, "")] if own else (),
            look_ms=UNIT,
            abandon_after=ABANDON_AFTER,
            token=self._token if who == "stock" else "",
        )
        (row,) = self.rig.run(call)
        if isinstance(row, NotClaimed):
            return row.word
        assert isinstance(row, Claimed)
        return "run"

    @property
    def _token(self) -> str:
        """Another for each bell that is taken; counted on the server, where all is kept that lasts."""
        return "token-" + (self.rig.raw("GET", BELLS) or b"0").decode()

    def _forget_worker(self) -> str:
        """The next process has another name."""
        for key in self.rig.scan("rq:job:*"):
            if self.rig.raw("HGET", key, "worker_name") == b"one":
                self.rig.raw("HSET", key, "worker_name", "killed")
        return ""

    def _see_crash(self, hand: Hand) -> str:
        """As the parent of the work horse does; it leaves alone what is gone."""
        delivery = IDS[hand.delivery - 1]
        score = self.rig.now() / 1000 + 86400
        if hand.look:
            self.rig.redis.zadd("rq:failed:github", {f"{delivery}-{hand.look}": score})
        elif self.rig.raw("EXISTS", f"rq:job:{delivery}"):
            self.rig.raw("HSET", f"rq:job:{delivery}", "status", "failed")
            self.rig.redis.zadd("rq:failed:github", {delivery: score})
        return ""

    def _finish(self, step: Step, hand: Hand, *, books: bool) -> str:
        decision = ENDS[step.decision]
        outcome = AttemptOutcome.DONE if step.decision == "done" else AttemptOutcome.FAILED
        finish = Finish(IDS[hand.delivery - 1], hand.number, decision, outcome)
        (recorded,) = self.rig.run(ledger.finish([finish], keep_books=books, look_ms=UNIT))
        return "finished" if recorded else "stale"

    # Operators

    def _job(self, name: str) -> Job:
        return Job.fetch(name, connection=self.rig.redis, serializer=JSONSerializer)

    def _operate(self, step: Step) -> str:
        delivery = IDS[step.delivery - 1]
        match step.what:
            case "replays":
                return self.rig.run(ledger.replay([delivery], look_ms=UNIT))[0]
            case "discards":
                return self.rig.run(ledger.discard([delivery], look_ms=UNIT))[0]
            case "deletes the failed job":
                self._job(delivery).delete()
            case "presses Requeue":
                requeue_job(delivery, connection=self.rig.redis, serializer=JSONSerializer)
                self.rig.raw("HSET", f"rq:job:{delivery}", "enqueued_at", LONG_AGO)
            case "empties the queue":
                self.rig.raw("DEL", QUEUE)
            case "doubles a bell":
                self.rig.raw("RPUSH", QUEUE, self.rig.raw("LINDEX", QUEUE, 0))
        return ""
