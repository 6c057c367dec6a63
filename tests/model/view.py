"""What of a state a server can show: read from the model's, and from a real one."""

import re
from typing import Any, Final, NamedTuple

from tests.adapters.ledger_rig import Rig
from tests.model.server import EVENT, IDS, QUEUE
from tests.model.state import FORGOTTEN, Delivery, State

FAR: Final = 221845392000000  # where blocked ones stand in the index, see `_ledger.lua`
FIELDS: Final = ("s", "a", "c", "m", "f", "r", "t", "q")


class Row(NamedTuple):
    """Of one delivery. `lasting`: a lease or a waiting that has not ended. `rung`: how many were since,
    of one that may be rung again."""

    state: str
    attempts: int
    crashes: int
    own: int
    fence: int
    reason: str
    lasting: bool
    given_up: bool
    look: bool
    rung: int
    shown: bool
    job: str


class View(NamedTuple):
    rows: tuple[Row, ...]
    queue: tuple[tuple[int, int], ...]
    turn: int
    line: tuple[int, ...]
    books: frozenset[tuple[int, int, bool]]
    failed: frozenset[tuple[int, int]]
    scheduled: frozenset[tuple[int, int]]


def modelled(state: State) -> View:
    rows = tuple(_modelled(each) for each in state.deliveries)
    waiting = [n for n in state.numbers() if state.of(n).state == "waiting"]
    scheduled = frozenset((n, state.of(n).fence + 1) for n in waiting)
    return View(rows, state.queue, state.turn, state.line, state.books, state.failed, scheduled)


def _modelled(one: Delivery) -> Row:
    timed = one.state in ("leased", "waiting")
    return Row(
        *one[:6],  # what the two name alike
        lasting=timed and not one.ripe,
        given_up=one.state == "leased" and one.given_up,
        look=one.look and one.open,
        rung=one.since if one.state in ("pending", "leased") else 0,
        shown=one.shown,
        job=one.job,
    )


def stored(rig: Rig) -> View:
    with rig.redis.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hgetall(rig.keys.event(EVENT))
        pipeline.zrange("hookline:pending:github", 0, -1, withscores=True)
        pipeline.zrange("hookline:dead:github", 0, -1)
        pipeline.lrange(QUEUE, 0, -1)
        pipeline.get("hookline:turn:line")
        pipeline.zrange("hookline:line:line", 0, -1)
        for registry in ("wip", "failed", "scheduled"):
            pipeline.zrange(f"rq:{registry}:github", 0, -1)
        pipeline.get("hookline:rings:github")
        for each in IDS:
            pipeline.hget(f"rq:job:{each}", "status")
        found: list[Any] = pipeline.execute()
    clock, record, pending, dead, queue, turn, line, wip, failed, waits, rings, *jobs = found
    now, shown = clock[0] * 1000 + clock[1] // 1000, [_bell(each) for each in failed]
    looks = {_bell(member)[0]: score for member, score in pending}
    _agree(record, set(looks), {_bell(each)[0] for each in dead})
    rows = tuple(
        _stored(record, number, now, looks.get(number), int(rings or 0), (number, 0) in shown, job)
        for number, job in zip((1, 2), jobs, strict=True)
        if record
    )
    return View(
        rows,
        tuple(_bell(each) for each in queue),
        _bell(turn)[0] if turn else 0,
        tuple(_bell(each)[0] for each in line),
        frozenset(_started(rig, each) for each in wip),
        frozenset(each for each in shown if each[1]),
        frozenset(_bell(each) for each in waits),
    )


def _bell(text: bytes) -> tuple[int, int]:
    """Number of the delivery, and of the look; 0: none."""
    found = re.fullmatch(r"dlv_[a-z2-7]+-(\d+)(?:-(\d+))?", text.decode())
    assert found, text
    return int(found[1]), int(found[2] or 0)


def _started(rig: Rig, entry: bytes) -> tuple[int, int, bool]:
    job = entry.rpartition(b":")[0]
    lives = rig.raw("HGET", b"rq:job:" + job, "worker_name") == b"one"
    return (*_bell(job), lives)


def _agree(record: dict[bytes, bytes], pending: set[int], dead: set[int]) -> None:
    """Each delivery is in the index that its state says, and in no other."""
    states = {n: record.get(b"%ds" % n, b"done").decode() for n in (1, 2)}
    assert dead == {n for n, state in states.items() if state == "dead"}, (states, dead)
    assert pending == {n for n, state in states.items() if state not in ("dead", "done")}, states


def _stored(
    record: dict[bytes, bytes],
    number: int,
    now: int,
    look: float | None,
    rings: int,
    shown: bool,
    job: bytes | None,
) -> Row:
    values = (record.get(b"%d%b" % (number, name.encode()), b"").decode() for name in FIELDS)
    state, attempts, crashes, own, fence, reason, time, ring = values
    timed = state in ("leased", "waiting")
    due = look is not None and look - (FAR if look >= FAR else 0) <= now
    return Row(
        state,
        int(attempts or 0),
        int(crashes or 0),
        int(own or 0),
        int(fence or 0),
        reason,
        lasting=timed and int(time) > now,
        given_up=state == "leased" and int(time) <= 0,
        look=due,
        rung=min(FORGOTTEN, rings - int(ring or 0)) if state in ("pending", "leased") else 0,
        shown=shown,
        job=(job or b"").decode(),
    )
