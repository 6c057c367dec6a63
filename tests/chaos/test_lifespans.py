"""Lifespans in real processes: a worker's, an isolated child's, a stock worker's."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.rig import Crew, a_deployment
from tests.e2e.rig import until

PROCESSORS = """
import os
from collections.abc import AsyncIterator, Iterator

def tell(what):
    with open(os.environ["EFFECTS"] + ".lifespans", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

class Database: ...
class Session: ...

@registry.lifespan
def database() -> Iterator[Database]:
    tell("open database")
    yield Database()
    tell("close database")

@registry.lifespan
async def session() -> AsyncIterator[Session]:
    tell("open session")
    yield Session()
    tell("close session")

@registry.processor(source="github")
async def process(event: Event, session: Session, database: Database) -> None:
    note(event, "start")
    note(event, "end")
"""
LIFE = ["open database", "open session", "close session", "close database"]
VALUES = ("1", "2", "3")


@pytest.fixture
def crew(tmp_path: Path, redis_url: str) -> Iterator[Crew]:
    with Crew(a_deployment(tmp_path, PROCESSORS, lease="1h", grace="1m"), redis_url) as found:
        yield found


def told(crew: Crew) -> dict[str, list[str]]:
    """By process, what its lifespans did."""
    file = crew.deployment.root / "effects.log.lifespans"
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        what, _, pid = line.rpartition(" ")
        found.setdefault(pid, []).append(what)
    return found


def all_done(crew: Crew) -> bool:
    return all(crew.row(value).state == "done" for value in VALUES)


def test_a_worker_opens_them_once_and_closes_them_on_sigterm(crew: Crew) -> None:
    crew.accept(*VALUES)
    worker = crew.worker()
    until(lambda: all_done(crew))
    assert told(crew) == {str(worker.pid): LIFE[:2]}
    assert worker.stop() == 0
    assert told(crew) == {str(worker.pid): LIFE}


def test_isolated_each_delivery_opens_and_closes_its_own_and_the_worker_none(crew: Crew) -> None:
    crew.accept(*VALUES)
    worker = crew.worker("--isolate")
    until(lambda: all_done(crew))
    assert list(told(crew).values()) == [LIFE] * 3
    assert str(worker.pid) not in told(crew)


def test_a_stock_worker_opens_and_closes_them_for_each_delivery(crew: Crew) -> None:
    crew.accept(*VALUES)
    crew.stock("github", options=["--burst"])
    until(lambda: all_done(crew))
    until(lambda: sum(map(len, told(crew).values())) == 3 * len(LIFE))
    assert list(told(crew).values()) == [LIFE] * 3


def test_a_worker_that_starts_anew_closes_and_opens_them(crew: Crew) -> None:
    crew.accept("1")
    worker = crew.worker()
    until(lambda: crew.row("1").state == "done")
    worker.signal(signal.SIGHUP)
    until(lambda: len(worker.lines("worker.started")) == 2)
    crew.accept("2", "3")
    until(lambda: all_done(crew))
    assert told(crew) == {str(worker.pid): [*LIFE, *LIFE[:2]]}
