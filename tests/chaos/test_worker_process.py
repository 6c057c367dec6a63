"""`python -m gateway worker` as a process: signals, kills, poison, and a server that goes away."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rq import Worker
from rq.command import send_shutdown_command

from tests.chaos.rig import Crew, a_deployment, is_alive
from tests.e2e.redis_server import RedisServer
from tests.e2e.rig import until

# An event's name says what happens to it.
PROCESSORS = """
import os, signal, threading, time

@registry.processor(source="github")
def process(event: Event) -> None:
    note(event, "start")
    kind = event.provider_id.partition("-")[0]
    if kind == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "leaves":
        threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()
    elif kind == "slow":
        time.sleep(1)
    elif kind == "endless" and event.fence == 1:
        time.sleep(3600)
    elif kind == "fails":
        raise ValueError(event.provider_id)
    else:
        time.sleep(0.005)
    note(event, "end")
"""
Start = Callable[..., Crew]


@pytest.fixture
def crew(tmp_path: Path, redis_url: str) -> Iterator[Crew]:
    with Crew(a_deployment(tmp_path, PROCESSORS, lease="1h", grace="1m"), redis_url) as found:
        yield found


def done(crew: Crew, *values: str) -> bool:
    return all(crew.row(value).state == "done" for value in values)


def running(crew: Crew, *values: str) -> bool:
    begun = {run.value for run in crew.runs()}
    return begun >= set(values)


def numbers(many: int, kind: str = "good") -> list[str]:
    return [f"{kind}-{number}" for number in range(many)]


def test_it_drains_and_stops_on_sigterm(crew: Crew) -> None:
    crew.accept(*numbers(100))
    worker = crew.worker()
    until(lambda: done(crew, *numbers(100)))
    (listed,) = Worker.all(connection=crew.client)
    assert listed.pid == worker.pid
    assert worker.stop() == 0
    assert Counter(run.value for run in crew.runs()) == Counter(numbers(100))
    assert Worker.all(connection=crew.client) == []
    assert worker.lines("worker.stopped")[0]["done"] == 100


@pytest.mark.parametrize("how", ["SIGINT", "rq's shutdown command"])
def test_it_stops_warm(crew: Crew, how: str) -> None:
    worker = crew.worker()
    crew.accept("slow-1")
    until(lambda: running(crew, "slow-1"))
    if how == "SIGINT":
        worker.signal(signal.SIGINT)
    else:
        (listed,) = Worker.all(connection=crew.client)
        send_shutdown_command(crew.client, listed.name)
    assert worker.process.wait(60) == 0
    assert (crew.row("slow-1").state, crew.row("slow-1").attempts) == ("done", 1)


def test_what_outlasts_the_grace_is_run_by_another_at_once(tmp_path: Path, redis_url: str) -> None:
    deployment = a_deployment(tmp_path, PROCESSORS, lease="1h", grace="300ms")
    with Crew(deployment, redis_url) as crew:
        first = crew.worker()
        crew.accept(*numbers(3, "endless"))
        until(lambda: running(crew, *numbers(3, "endless")))
        crew.worker()
        first.signal(signal.SIGTERM)
        until(lambda: done(crew, *numbers(3, "endless")))
        rows = [crew.row(value) for value in numbers(3, "endless")]
        assert {(row.attempts, row.crashes, row.fence) for row in rows} == {(1, 0, 2)}
        assert first.process.wait(60) == 0


def test_threads_that_a_processor_leaves_behind_do_not_keep_the_worker(crew: Crew) -> None:
    worker = crew.worker()
    crew.accept("leaves-1")
    until(lambda: done(crew, "leaves-1"))
    assert worker.stop() == 0


def test_an_isolated_child_dies_with_its_worker(crew: Crew) -> None:
    worker = crew.worker("--isolate")
    crew.accept("endless-1")
    until(lambda: running(crew, "endless-1"))
    (run,) = crew.runs()
    assert run.pid != worker.pid
    worker.kill()
    until(lambda: not is_alive(run.pid))


@pytest.fixture
def mortal(tmp_path: Path, redis_url: str) -> Iterator[Crew]:
    """Whose leases end soon after who held them has died."""
    with Crew(a_deployment(tmp_path, PROCESSORS, lease="1s"), redis_url) as found:
        yield found


def test_poison_is_dead_after_three_and_starves_nobody(mortal: Crew) -> None:
    crew = mortal
    crew.accept(*numbers(100), "poison-1", *numbers(200)[100:])
    workers = [crew.worker("--concurrency", "4")]
    deadline = time.monotonic() + 120
    while not (done(crew, *numbers(200)) and crew.row("poison-1").state == "dead"):
        assert time.monotonic() < deadline
        if workers[-1].process.poll() is not None:
            workers.append(crew.worker("--concurrency", "4"))
        time.sleep(0.05)
    poison = crew.row("poison-1")
    assert (poison.reason, poison.attempts, poison.crashes) == ("poison", 3, 3)
    assert len(workers) == 2, "it took one worker with it, then only its own process"
    runs = Counter(run.value for run in crew.runs())
    assert runs["poison-1"] == 3
    for value in numbers(200):
        row = crew.row(value)
        assert row.attempts == row.crashes + 1 <= 2
        assert 1 <= runs[value] <= row.attempts
    assert workers[-1].lines("delivery.dead")[0]["reason"] == "poison"


def test_a_server_that_is_killed_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "redis"
    data.mkdir()
    with (
        RedisServer(data) as server,
        Crew(a_deployment(tmp_path, PROCESSORS, lease="1s", redis=""), server.url) as crew,
    ):
        worker = crew.worker()
        crew.accept(*numbers(5, "slow"), *numbers(50))
        until(lambda: running(crew, *numbers(5, "slow")))
        server.kill()
        until(lambda: worker.lines("worker.redis_unavailable"))
        until(lambda: all(run.ended for run in crew.runs()))
        server.start()  # its lease has been over for a while
        until(lambda: done(crew, *numbers(5, "slow"), *numbers(50)))
        assert Counter(run.value for run in crew.runs()) == Counter(numbers(5, "slow") + numbers(50))
        crew.accept("good-later")
        until(lambda: done(crew, "good-later"))
        assert worker.process.poll() is None
        assert worker.stop() == 0


def test_a_server_that_hangs_longer_than_the_lease_makes_nothing_run_twice(tmp_path: Path) -> None:
    data = tmp_path / "redis"
    data.mkdir()
    with (
        RedisServer(data) as server,
        Crew(a_deployment(tmp_path, PROCESSORS, lease="500ms", redis=""), server.url) as crew,
    ):
        worker = crew.worker()
        crew.accept(*numbers(3, "slow"), *numbers(200))
        until(lambda: running(crew, *numbers(3, "slow")))
        server.signal(signal.SIGSTOP)
        threading.Event().wait(2.0)  # the pause itself, four times the lease
        server.signal(signal.SIGCONT)
        until(lambda: done(crew, *numbers(3, "slow"), *numbers(200)))
        rows = [crew.row(value) for value in (*numbers(3, "slow"), *numbers(200))]
        assert {(row.attempts, row.crashes) for row in rows} == {(1, 0)}
        assert set(Counter(run.value for run in crew.runs()).values()) == {1}
        assert worker.stop() == 0


def test_no_body_and_no_message_of_an_exception_is_logged(crew: Crew) -> None:
    crew.accept("fails-canary")
    worker = crew.worker()
    until(lambda: worker.lines("attempt.failed"))
    (line,) = worker.lines("attempt.failed")
    assert line["error"] == "ValueError"
    assert "all.py:" in line["where"]
    assert "fails-canary" not in worker.text()
