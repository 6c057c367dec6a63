"""Suspects: what a worker was running when its process ended is tried alone, and only what dies again
stays so."""

import os
import socket
import subprocess
import sys
from collections import Counter

from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.adapters.worker.bell import BellRinger
from gateway.adapters.worker.intake import Intake
from gateway.adapters.worker.suspects import ALONE_AT_ONCE, ALONE_SECONDS, Suspects, left_running
from gateway.core.delivery import Claimed
from gateway.plugins import Event
from tests.adapters.ledger_rig import a_source, an_event
from tests.adapters.worker_rig import a_processor, an_app


def died() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leased(redis: "Redis", worker: str, pid: int, host: str = "") -> None:
    """A delivery of processor `deadly`, as this worker has leased it."""
    accepted = [(an_event(worker), a_source(), ("deadly",))]
    run(redis, Keys(), ledger.accept(accepted))
    call = ledger.claim(lease_ms=1000, worker=worker, keep_books=True, queues=[("github", 1)])
    assert isinstance(run(redis, Keys(), call)[0], Claimed)
    redis.hset(f"rq:worker:{worker}", mapping={"hostname": host or socket.gethostname(), "pid": pid})


def test_what_a_dead_worker_was_running_is_suspected(redis: "Redis") -> None:
    leased(redis, "w", died())
    assert left_running(redis, ["github", "other"]) == {"deadly"}


def test_what_a_living_worker_runs_is_not_and_of_other_machines_nothing_is_known(
    redis: "Redis",
) -> None:
    leased(redis, "here", os.getppid())
    leased(redis, "there", died(), host="elsewhere")
    assert left_running(redis, ["github"]) == set()


def test_in_a_container_the_dead_one_had_our_own_number(redis: "Redis") -> None:
    leased(redis, "w", os.getpid())
    assert left_running(redis, ["github"]) == {"deadly"}


def test_one_that_ends_well_alone_is_acquitted() -> None:
    suspects = Suspects()
    suspects.accuse(["deadly", "innocent"])
    assert suspects.alone("innocent")
    assert suspects.at_once() == {"deadly": 1, "innocent": 1}
    suspects.ended("innocent")
    assert not suspects.alone("innocent")
    assert suspects.at_once() == {"deadly": 1}


def test_one_that_died_alone_runs_so_for_a_while_also_if_it_ends_well_between() -> None:
    now = 100.0
    suspects = Suspects(lambda: now)
    suspects.accuse(["deadly"])
    suspects.crashed("deadly")
    assert suspects.at_once() == {"deadly": ALONE_AT_ONCE}
    suspects.ended("deadly")
    assert suspects.at_once() == {"deadly": ALONE_AT_ONCE}
    now += ALONE_SECONDS - 1
    assert suspects.alone("deadly")
    now += 2
    assert not suspects.alone("deadly")
    assert suspects.at_once() == {}


def test_a_worker_takes_no_more_of_a_suspect_than_may_run_at_once(redis: "Redis") -> None:
    def deadly(event: Event) -> None: ...

    def other(event: Event) -> None: ...

    sources = [a_source(), a_source("shop")]
    app = an_app(deadly, a_processor(other, "shop"), sources=sources)
    suspects, queues = Suspects(), ["github", "shop"]
    ringer = BellRinger("redis://127.0.0.1:1", Keys(), lambda bell: None)
    intake = Intake(app, redis, queues, 8, ringer, suspects)
    before, _ = intake.choose([])
    suspects.accuse(["deadly"])
    tried, _ = intake.choose([])
    assert Counter(before) == {"github": 4, "shop": 4}
    assert Counter(tried) == {"github": 1, "shop": 4}
