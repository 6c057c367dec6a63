"""Lifespans: opened before the first attempt, closed after the last, wherever attempts run."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis

from gateway.adapters.worker import lifespans as lifespans_module
from gateway.adapters.worker.lifespans import LifespanFailed
from gateway.core.outcomes import AttemptOutcome
from gateway.isolated import opened, run_here
from gateway.plugins import Event, Registry
from gateway.process import NotBegun, Ready, prepare
from tests.adapters.ledger_rig import Rig, a_delivery
from tests.adapters.test_runner import SECONDS, Bench, gate
from tests.adapters.worker_rig import (
    Running,
    a_claim,
    a_worker,
    an_app,
    drain,
    in_threads,
    lines,
    until,
)

__all__ = ["in_threads", "lines"]


class Database:
    """What a sync lifespan yields."""


class Session:
    """What an async lifespan yields. It belongs to a loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()


class Book:
    """A registry with a lifespan of each kind, and what became of them, in order."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.seen: list[Any] = []
        self.registry = Registry()
        self.opening_fails = False
        self.closing_fails = False

        @self.registry.lifespan
        def database() -> Iterator[Database]:
            self.notes.append("open database")
            yield Database()
            self.notes.append("close database")
            if self.closing_fails:
                raise OSError("secret of the closing")

        @self.registry.lifespan
        @asynccontextmanager
        async def session() -> AsyncIterator[Session]:
            if self.opening_fails:
                raise ConnectionError("no server")  # it fails to open
            found = Session()
            self.notes.append("open session")
            yield found
            assert asyncio.current_task() is found.task, "anyio's cancel scopes would not bear that"
            self.notes.append("close session")

        @self.registry.processor(source="github")
        def sync(event: Event, found: Database) -> None:
            self.seen.append(found)

        @self.registry.processor(source="github", name="later")
        async def later(event: Event, found: Session, database: Database) -> None:
            assert found.loop is asyncio.get_running_loop()
            self.seen.append(found)

        self.sync, self.later = self.registry.processors

    def ready(self, name: str = "sync") -> Ready:
        processors = {each.name: each for each in self.registry.processors}
        ready = prepare(a_claim(name), processors, SECONDS)
        assert isinstance(ready, Ready)
        return ready


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def run(bench: Bench, ready: Ready) -> BaseException | None:
    bench.runner.start(ready, bench.results.put)
    return bench.next().error


def test_they_are_opened_once_for_any_number_of_attempts_and_closed_the_last_one_first(
    book: Book,
) -> None:
    bench = Bench()
    bench.runner.open(book.registry.lifespans)
    assert book.notes == ["open database", "open session"]
    assert [run(bench, book.ready(name)) for name in ("sync", "later") * 3] == [None] * 6
    assert len(set(map(id, book.seen))) == 2
    bench.runner.close()
    assert book.notes[2:] == ["close session", "close database"]


def test_a_runner_may_open_again_after_it_has_closed(book: Book) -> None:
    bench = Bench()
    for _ in range(2):
        bench.runner.open(book.registry.lifespans)
        assert run(bench, book.ready("later")) is None
        bench.runner.close()
    assert book.notes == ["open database", "open session", "close session", "close database"] * 2


def test_one_that_cannot_be_opened_says_where_and_closes_the_others(book: Book) -> None:
    book.opening_fails = True
    bench = Bench()
    with pytest.raises(LifespanFailed) as error:
        bench.runner.open(book.registry.lifespans)
    line = book.registry.lifespans[1].open.__wrapped__.__code__.co_firstlineno + 4  # type: ignore[attr-defined]
    place = f"{__file__}:{line}"
    text = f"{place}: the lifespan session cannot be opened: ConnectionError: no server"
    assert (str(error.value), error.value.origin) == (text, place)
    assert book.notes == ["open database", "close database"]


def test_one_that_fails_to_close_keeps_no_other_from_it_and_its_message_out_of_the_log(
    book: Book, lines: list[MutableMapping[str, Any]]
) -> None:
    book.closing_fails = True
    bench = Bench()
    bench.runner.open(book.registry.lifespans)
    bench.runner.close()
    assert book.notes[2:] == ["close session", "close database"]
    (line,) = [each for each in lines if each["event"] == "lifespan.close_failed"]
    assert (line["lifespan"], line["error"]) == ("database", "OSError")
    assert line["where"].startswith(f"{__file__}:")
    assert "secret" not in str(line)


def test_what_never_opens_is_given_up_on(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()

    @registry.lifespan
    async def hangs() -> AsyncIterator[Session]:
        await asyncio.sleep(SECONDS)
        yield Session()

    monkeypatch.setattr(lifespans_module, "OPEN_SECONDS", 0.05)
    line = registry.lifespans[0].open.__wrapped__.__code__.co_firstlineno + 2  # type: ignore[attr-defined]
    with pytest.raises(LifespanFailed, match="hangs cannot be opened: TimeoutError: took") as error:
        Bench().runner.open(registry.lifespans)
    assert error.value.origin == f"{__file__}:{line}"


def test_what_never_closes_is_given_up_on(
    monkeypatch: pytest.MonkeyPatch, lines: list[MutableMapping[str, Any]]
) -> None:
    registry = Registry()

    @registry.lifespan
    async def hangs() -> AsyncIterator[Session]:
        yield Session()
        await asyncio.sleep(SECONDS)

    monkeypatch.setattr(lifespans_module, "CLOSE_SECONDS", 0.05)
    bench = Bench()
    bench.runner.open(registry.lifespans)
    bench.runner.close()
    (line, *_) = [each for each in lines if each["event"] == "lifespan.close_failed"]
    assert (line["lifespan"], line["error"]) == ("hangs", "TimeoutError")


def test_a_loop_that_is_replaced_gets_objects_of_its_own_and_the_old_ones_are_closed_at_its_end(
    book: Book,
) -> None:
    bench = Bench(abandon_seconds=0.5)
    with gate() as shut:

        @book.registry.processor(source="github")
        async def blocks(event: Event, session: Session) -> None:
            book.seen.append(session)
            shut.wait(SECONDS)

        bench.runner.open(book.registry.lifespans)
        bench.runner.start(book.ready("blocks"), bench.results.put)
        until(lambda: book.seen)
        assert run(bench, book.ready("later")) is None
        old, new = book.seen
        assert new.loop is not old.loop
        assert book.notes == ["open database", "open session", "open session"]
        shut.set()
        assert bench.next().error is None
        until(lambda: "close session" in book.notes)
    assert run(bench, book.ready("later")) is None
    assert book.seen[-1] is new
    bench.runner.close()
    assert book.notes[3:] == ["close session", "close session", "close database"]


def test_one_that_fails_on_the_new_loop_fails_attempts_and_is_tried_again(book: Book) -> None:
    bench = Bench(abandon_seconds=0.5)
    with gate() as shut:

        @book.registry.processor(source="github")
        async def blocks(event: Event) -> None:
            shut.wait(SECONDS)

        bench.runner.open(book.registry.lifespans)
        bench.runner.start(book.ready("blocks"), bench.results.put)
        book.opening_fails = True
        assert isinstance(run(bench, book.ready("later")), NotBegun)
        book.opening_fails = False
        assert run(bench, book.ready("later")) is None
    bench.runner.close()


def test_an_attempt_that_was_moved_from_a_loop_whose_opening_blocks_ends_once() -> None:
    """What then becomes of that opening is nobody's business any more."""
    bench, registry, openings = Bench(abandon_seconds=0.5), Registry(), iter(range(9))
    before = set(threading.enumerate())
    with gate() as shut:

        @registry.lifespan
        async def session() -> AsyncIterator[Session]:
            if next(openings) == 1:
                shut.wait(SECONDS)
                raise ConnectionError
            yield Session()

        @registry.processor(source="github")
        async def blocks(event: Event) -> None:
            shut.wait(SECONDS)

        @registry.processor(source="github")
        async def later(event: Event, session: Session) -> None: ...

        processors = {each.name: each for each in registry.processors}
        bench.runner.open(registry.lifespans)
        for name in ("blocks", "later"):
            ready = prepare(a_claim(name), processors, SECONDS)
            assert isinstance(ready, Ready)
            bench.runner.start(ready, bench.results.put)
        ended = bench.next()
        assert (ended.ready.processor.name, ended.error) == ("later", None)
    assert bench.next().ready.processor.name == "blocks"
    until(lambda: _loops(set(threading.enumerate()) - before) == 1)
    assert bench.runner.abandoned == 0
    assert bench.results.empty()
    bench.runner.close()


def _loops(threads: set[threading.Thread]) -> int:
    return sum(each.name == "processors-loop" for each in threads)


# Where attempts run


def test_a_worker_opens_before_its_first_delivery_and_closes_after_its_last(
    rig: Rig, redis_url: str, book: Book
) -> None:
    rig.accept(*"12345", processors=("sync", "later"))
    drain(an_app(book.sync, book.later), redis_url)
    assert {rig.row(a_delivery(value, number)).state for value in "12345" for number in (1, 2)} == {
        "done"
    }
    assert book.notes == ["open database", "open session", "close session", "close database"]


def test_a_worker_whose_lifespan_fails_claims_nothing(rig: Rig, redis_url: str, book: Book) -> None:
    book.opening_fails = True
    rig.accept("1", processors=("sync",))
    with pytest.raises(LifespanFailed):
        drain(an_app(book.sync, book.later), redis_url)
    assert (rig.row(a_delivery()).state, rig.row(a_delivery()).attempts) == ("pending", 0)


def test_what_still_runs_at_the_end_of_the_grace_is_given_back_before_anything_is_closed(
    rig: Rig, redis_url: str, in_threads: None, book: Book
) -> None:
    started = threading.Event()
    states: list[str] = []

    @book.registry.lifespan
    def watch() -> Iterator[threading.Event]:
        yield started
        states.append(rig.row(a_delivery()).state)

    @book.registry.processor(source="github")
    async def waits(event: Event, session: Session) -> None:
        started.set()
        await asyncio.sleep(SECONDS)

    watching = book.registry.processor(source="github", name="watching")
    watching(lambda_taking_the_event)
    rig.accept("1", processors=("waits",))
    app = an_app(*book.registry.processors, grace=0.1)
    with Running(a_worker(app, redis_url)) as running:
        until(started.is_set)
        running.stop()
    assert states == ["pending"]


def lambda_taking_the_event(event: Event, started: threading.Event) -> None: ...


def test_a_processor_alone_in_a_process_gets_what_it_takes_and_nothing_else(book: Book) -> None:
    app = an_app(book.sync, book.later)
    for _ in range(2):
        finish, _ = run_here(app, a_claim("sync"))
        assert finish.outcome is AttemptOutcome.DONE
    assert book.notes == ["open database", "close database"] * 2


def test_alone_in_a_process_a_lifespan_that_fails_is_a_failed_attempt_with_its_place(
    book: Book,
) -> None:
    book.opening_fails = True
    finish, _ = run_here(an_app(book.later), a_claim("later"))
    assert finish.outcome is AttemptOutcome.FAILED
    assert f'"where": "{__file__}:' in finish.error
    assert "the lifespan session cannot be opened" in finish.error


def test_opened_is_for_as_many_attempts_as_one_likes(book: Book) -> None:
    from gateway.isolated import run_to_end

    with opened(book.later):
        assert [run_to_end(book.ready("later")).error for _ in range(3)] == [None] * 3
    assert book.notes == ["open database", "open session", "close session", "close database"]
