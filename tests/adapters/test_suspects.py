"""Suspects: what a worker was running when its process ended is tried alone, and only what dies again
stays so."""

import os
import socket
import subprocess
import sys

from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.adapters.worker.suspects import ALONE_SECONDS, TRYING, Suspects, Way, left_running
from gateway.core.delivery import Claimed
from tests.adapters.ledger_rig import a_source, an_event
from tests.adapters.worker_rig import Running, a_processor, a_worker, an_app, in_threads, until

__all__ = ["in_threads"]


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
    redis.sadd("rq:workers", f"rq:worker:{worker}")
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


def test_a_worker_that_died_while_it_tried_suspects_was_killed_by_none_of_them(redis: "Redis") -> None:
    """Else workers that are killed from outside, again and again, would never get beyond trying."""
    leased(redis, "before", died())
    leased(redis, "w", died())
    redis.hset("rq:worker:w", TRYING, 1)
    assert left_running(redis, ["github"]) == set()


def test_a_worker_says_that_it_tries_until_nobody_is_suspected(
    redis: "Redis", redis_url: str, in_threads: None
) -> None:
    leased(redis, "w", died())
    app = an_app(a_processor(lambda event: None, name="deadly"), lease=60.0)
    worker = a_worker(app, redis_url)
    with Running(worker):
        until(lambda: redis.hget(worker.key, TRYING))
        worker._attempts.suspects.ended("deadly")
        until(lambda: not redis.hget(worker.key, TRYING))


def test_one_is_tried_alone_while_the_others_wait_and_is_acquitted_when_it_ends() -> None:
    suspects = Suspects()
    suspects.accuse(["innocent"])
    assert [suspects.way_of("innocent") for _ in range(3)] == [Way.ALONE, Way.LATER, Way.LATER]
    assert suspects.way_of("another") is Way.BESIDE
    suspects.ended("innocent")
    assert suspects.way_of("innocent") is Way.BESIDE


def test_what_could_not_be_tried_is_tried_with_the_next_one() -> None:
    suspects = Suspects()
    suspects.accuse(["deadly"])
    assert suspects.way_of("deadly") is Way.ALONE
    suspects.not_tried("deadly")
    assert [suspects.way_of("deadly") for _ in range(2)] == [Way.ALONE, Way.LATER]
    suspects.not_tried("another")
    assert suspects.way_of("another") is Way.BESIDE


def test_one_that_died_alone_runs_so_for_a_while_also_if_it_ends_well_between() -> None:
    now = 100.0
    suspects = Suspects(lambda: now)
    suspects.accuse(["deadly"])
    suspects.crashed("deadly")
    assert [suspects.way_of("deadly") for _ in range(3)] == [Way.ALONE, Way.ALONE, Way.LATER]
    suspects.ended("deadly")
    now += ALONE_SECONDS - 1
    assert suspects.way_of("deadly") is Way.ALONE
    now += 2
    assert suspects.way_of("deadly") is Way.BESIDE
