"""Deliveries of every kind, worked off by `hookline worker` or by a stock `rq worker` under a fault.

The rules: every delivery ends done, once; no fence is given out twice; the run that the ledger has
recorded is one that ended; a process that goes on makes nothing run again, and one that is killed or
stopped only what it held.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rq.job import requeue_job
from rq.serializers import JSONSerializer

from gateway.adapters.ledger import calls as ledger
from tests.adapters.ledger_rig import Row, a_delivery, a_source, an_event
from tests.chaos.sweep.bench import Bench
from tests.chaos.sweep.case import Fate, Outcome, Subject
from tests.chaos.sweep.processes import is_alive

SOURCE: Final = a_source("shop")
RUNS: Final = {"good-1": 1, "good-2": 1, "slow": 1, "fails": 2, "dead": 2, "late": 1, "after": 1}
"""How often each is run when nothing goes wrong."""
LATE: Final = ("late", "after")
HOOKLINE: Final = ("hookline", "worker")
STOCK: Final = ("rq", "worker", "-S", "json", "--worker-ttl", "16", "--maintenance-interval", "1")
LONGEST_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 1.5  # of an undisturbed run: what an idle worker sends is swept as well
PRESS_SECONDS: Final = 2.0
LOOK_MS: Final = 1000


class Crowd:
    """The deliveries of one case, and the operator who presses Requeue."""

    def __init__(self, bench: Bench, subject: Subject) -> None:
        self.bench = bench
        self.subject = subject
        self.words = HOOKLINE if subject is Subject.WORKER else (*STOCK, "shop")
        self.accepted: set[str] = set()
        self.pressed_at = 0.0
        self.pressed = 0
        self.pids: list[int] = []

    def accept(self, *values: str) -> None:
        new = [value for value in values if value not in self.accepted]
        if new:
            self.accepted |= set(new)
            events = [(an_event(value, "shop"), SOURCE, ("shop",)) for value in new]
            self.bench.rig.run(ledger.accept(events, look_ms=LOOK_MS))

    def start(self, url: str = "") -> None:
        options = ("-u", url or self.bench.through) if self.subject is Subject.STOCK else ()
        self.pids.append(self.bench.start(*self.words, *options, url=url))

    def rows(self) -> dict[str, Row]:
        return {
            value: self.bench.rig.row(a_delivery(value, source="shop"))
            for value in sorted(self.accepted)
        }

    def press(self) -> None:
        """Requeue, as rq-dashboard does it; later by the ledger, where that brought nothing."""
        if time.monotonic() < self.pressed_at + PRESS_SECONDS:
            return
        self.pressed_at, delivery = time.monotonic(), a_delivery("dead", source="shop")
        self.pressed += 1
        if self.pressed == 1:
            requeue_job(delivery, connection=self.bench.client, serializer=JSONSerializer)
        else:
            self.bench.rig.run(ledger.replay([delivery], look_ms=LOOK_MS))


async def attempt(bench: Bench, subject: Subject) -> Outcome:
    crowd = Crowd(bench, subject)
    crowd.accept(*(value for value in RUNS if value not in LATE))
    crowd.start()
    done = await _work_off(crowd)
    return judge(crowd, done)


async def _work_off(crowd: Crowd) -> bool:
    """Whether all was done in time."""
    began = settled = time.monotonic()
    while time.monotonic() < began + LONGEST_SECONDS:
        await asyncio.sleep(0.1)
        rows = crowd.rows()
        states = {row.state for row in rows.values()}
        if "done" in states:
            crowd.accept("late")
        if crowd.bench.struck is not None or (not crowd.bench.case and states == {"done"}):
            crowd.accept("after")
        if rows["dead"].state == "dead":
            crowd.press()
        if crowd.bench.needs_another(crowd.pids):
            crowd.start(crowd.bench.direct)
        if crowd.subject is Subject.STOCK:  # as any gateway beside it does
            crowd.bench.rig.run(ledger.sweep(["shop"], LOOK_MS))
        if states != {"done"} or set(rows) != crowd.accepted:
            settled = time.monotonic()
        waited = time.monotonic() - settled
        if waited > IDLE_SECONDS and (crowd.bench.over or not crowd.bench.case or waited > 6):
            return True
        if crowd.bench.over and "after" in rows and states == {"done"} and waited > 0.3:
            return True
    return False


def judge(crowd: Crowd, done: bool) -> Outcome:
    bench, rows = crowd.bench, crowd.rows()
    effects = bench.effects()
    runs = Counter(words[0] for words in effects if words[2] == "start")
    counters: dict[bytes, bytes] = bench.rig.raw("HGETALL", "hookline:counters")
    count = {
        name.decode().rpartition("|")[2]: int(many)
        for name, many in counters.items()
        if name.startswith(b"attempts|shop|shop|")
    }
    extra = sum(max(0, runs[value] - RUNS[value]) for value in rows)
    outcome = Outcome(struck=bench.struck is not None)
    outcome.figures.update(
        {
            "deliveries": len(rows),
            "runs": runs.total(),
            "extra runs": extra,
            "leases that ran out": count.get("crashed", 0),
            "Requeue pressed again, after 2 s": max(0, crowd.pressed - 1),
            "processes that ended by themselves": _ended(crowd),
        }
    )
    outcome.faults += _faults(crowd, rows, effects, count, extra)
    outcome.untimely += _ran_out(crowd, count.get("crashed", 0), extra)
    if not done and not outcome.faults:
        outcome.untimely.append(f"not at rest after {LONGEST_SECONDS:g} s")
    return outcome


def _ended(crowd: Crowd) -> int:
    dead = [pid for pid in crowd.pids if not is_alive(pid)]
    killed = bool(crowd.bench.case and crowd.bench.case.fate is Fate.KILL)
    return len([pid for pid in dead if not (killed and pid == crowd.bench.struck)])


def _faults(
    crowd: Crowd, rows: dict[str, Row], effects: list[list[str]], count: dict[str, int], extra: int
) -> Iterator[str]:
    starts = Counter((words[0], words[3]) for words in effects if words[2] == "start")
    ends = {(words[0], words[3]) for words in effects if words[2] == "end"}
    for value, row in rows.items():
        if row.state != "done":
            yield f"{value} is {row.state} {row.reason} after {row.attempts} attempts: lost"
        elif (value, str(row.fence)) not in ends:
            yield f"{value} is done under fence {row.fence}, under which nothing ran to its end"
    for (value, fence), many in starts.items():
        if many > 1:
            yield f"{value} ran {many} times under fence {fence}"
    if count.get("done", 0) != len(rows):
        yield f"{count.get('done', 0)} ends were recorded as done, of {len(rows)} deliveries"
    crashed, failed = count.get("crashed", 0), count.get("failed", 0)
    if extra > crashed + max(0, failed - 1):  # one is meant to fail
        yield f"{extra} extra runs, {crashed} leases ran out and {failed} attempts failed"
    yield from _leftovers(crowd.bench)


def _ran_out(crowd: Crowd, crashed: int, extra: int) -> Iterator[str]:
    """No lease of a process that goes on does."""
    fate = crowd.bench.case.fate if crowd.bench.case else Fate.ON
    if fate is Fate.ON and (extra or crashed):
        yield f"{extra} extra runs and {crashed} leases that ran out, though the process went on"


def _leftovers(bench: Bench) -> Iterator[str]:
    left: list[Any] = [
        *bench.rig.members("hookline:pending:shop"),
        *bench.rig.members("hookline:dead:shop"),
    ]
    for each in left:
        yield f"{each} is still open"
