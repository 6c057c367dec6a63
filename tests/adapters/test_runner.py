"""The runner: attempts at once, each under its limit, and nothing that one does touches another."""

import asyncio
import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

import pytest

from gateway.adapters.worker.loops import LoopThread
from gateway.adapters.worker.runner import Ended, Runner
from gateway.plugins import Event, RetryAfter
from gateway.process import AttemptTimeout, where
from tests.adapters.worker_rig import a_ready, lines, until

__all__ = ["lines"]

SECONDS = 60.0
RACES = 1000


class Bench:
    """A runner whose limits are enforced often, and what it reported."""

    def __init__(self, abandon_seconds: float = SECONDS) -> None:
        self.runner = Runner(abandon_seconds)
        self.results: SimpleQueue[Ended] = SimpleQueue()

    def start(self, function: Callable[..., Any], timeout: float = SECONDS, **claim: Any) -> None:
        self.runner.start(a_ready(function, timeout, **claim), self.results.put)

    def next(self, once: threading.Event | None = None) -> Ended:
        """`once`: limits are looked at when that is set; on a busy machine an attempt begins late."""
        assert once is None or once.wait(SECONDS)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            self.runner.enforce_timeouts()
            try:
                return self.results.get(timeout=0.01)
            except Empty:
                continue
        raise AssertionError("nothing ended")

    def run(self, function: Callable[..., Any], timeout: float = SECONDS) -> BaseException | None:
        """How one attempt ended."""
        self.start(function, timeout)
        return self.next().error

    def assert_works(self) -> None:
        """New attempts of both kinds begin and end."""
        assert self.run(returns) is None
        assert self.run(returns_async) is None


@pytest.fixture
def bench() -> Bench:
    return Bench()


@contextmanager
def gate() -> Iterator[threading.Event]:
    """Closed until the test is over, so that no thread of it stays."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def returns(event: Event) -> None: ...


async def returns_async(event: Event) -> None:
    await asyncio.sleep(0)


def test_both_kinds_run_and_return(bench: Bench) -> None:
    bench.assert_works()


def test_a_def_runs_in_a_thread_and_an_async_def_on_one_loop(bench: Bench) -> None:
    seen: list[tuple[str, object]] = []

    def plain(event: Event) -> None:
        seen.append((threading.current_thread().name, None))

    async def coroutine(event: Event) -> None:
        seen.append((threading.current_thread().name, asyncio.get_running_loop()))

    for function in (plain, coroutine, coroutine):
        bench.run(function)
    (thread, _), (loop_thread, loop), (_, same_loop) = seen
    assert thread == "processor"
    assert loop_thread == "processors-loop"
    assert loop is same_loop


def test_many_of_both_kinds_run_at_once(bench: Bench) -> None:
    meeting = threading.Barrier(20 + 1)

    def plain(event: Event) -> None:
        meeting.wait(SECONDS)

    async def coroutine(event: Event) -> None:
        await asyncio.to_thread(meeting.wait, SECONDS)

    for _ in range(16):
        bench.start(plain)
    for _ in range(4):  # the loop's own thread pool is small on a small machine
        bench.start(coroutine)
    meeting.wait(SECONDS)
    assert [bench.next().error for _ in range(20)] == [None] * 20


def test_no_attempt_waits_behind_a_busy_one(bench: Bench) -> None:
    """However starts and ends interleave: a start takes an idle thread or makes one."""
    with gate() as opened:
        for _ in range(300):
            bench.start(returns)
            bench.start(lambda event: opened.wait(SECONDS) and None)
            bench.start(returns)
            assert bench.next().error is None
            assert bench.next().error is None
        opened.set()
        for _ in range(300):
            bench.next()


def test_threads_are_used_again(bench: Bench) -> None:
    names = set()

    def plain(event: Event) -> None:
        names.add(threading.get_ident())

    for _ in range(200):
        bench.run(plain)
    assert len(names) < 20  # a thread that is on its way back to idle is not waited for


def raises(error: BaseException) -> tuple[Callable[[Event], None], Callable[[Event], Any]]:
    def plain(event: Event) -> None:
        raise error

    async def coroutine(event: Event) -> None:
        await asyncio.sleep(0)
        raise error

    return plain, coroutine


ERRORS = [
    ValueError("x"),
    RetryAfter(1),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    TimeoutError("the author's own"),
    BaseException("bare"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_is_raised_is_reported_and_the_next_ones_run(
    bench: Bench, error: BaseException
) -> None:
    for function in raises(error):
        assert bench.run(function) is error
    bench.assert_works()


def test_sys_exit_in_a_processor_ends_nothing(bench: Bench) -> None:
    assert isinstance(bench.run(lambda event: sys.exit("no")), SystemExit)
    bench.assert_works()


def test_sys_exit_in_a_task_that_a_processor_started_does_not_end_the_loop(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    async def leave() -> NoReturn:
        sys.exit(1)

    async def waits_for_it(event: Event) -> None:
        await asyncio.sleep(0.05)

    async def starts_it(event: Event) -> None:
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        task.exception()

    bench.start(waits_for_it)
    bench.start(starts_it)
    assert [bench.next().error for _ in range(2)] == [None, None]
    bench.assert_works()


def test_a_processor_that_stops_the_loop_stops_nobody(bench: Bench) -> None:
    async def stop(event: Event) -> None:
        asyncio.get_running_loop().stop()

    assert bench.run(stop) is None
    bench.assert_works()


def test_threads_and_tasks_that_a_processor_leaves_behind_do_no_harm(bench: Bench) -> None:
    with gate() as opened:

        def leaves_a_thread(event: Event) -> None:
            threading.Thread(target=opened.wait, args=(SECONDS,)).start()

        async def leaves_a_task(event: Event) -> None:
            bench.__dict__.setdefault("tasks", []).append(asyncio.create_task(asyncio.sleep(0.2)))

        assert bench.run(leaves_a_thread) is None
        assert bench.run(leaves_a_task) is None
        bench.assert_works()


def test_what_one_attempt_sets_in_its_context_is_not_there_for_the_next(bench: Bench) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    def plain(event: Event) -> None:
        seen.append(variable.get())
        variable.set(variable.get() + 1)

    for _ in range(5):
        bench.run(plain)
    assert seen == [0] * 5


def lazy(event: Event) -> Any:
    return returns_async(event)  # as a decorator that forgot to be async does


def lazier(event: Event) -> Any:
    return (number for number in range(3))


@pytest.mark.parametrize("function", [lazy, lazier])
def test_a_processor_that_only_promises_its_work_has_failed(
    bench: Bench, function: Callable[[Event], Any]
) -> None:
    error = bench.run(function)
    assert isinstance(error, TypeError)
    assert "that nobody runs" in str(error)


# Time limits


def loops(event: Event) -> None:
    while True:
        pass


def swallows(event: Event) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            time.sleep(0.001)
        except Exception:
            continue


async def waits(event: Event) -> None:
    await asyncio.sleep(SECONDS)


@pytest.mark.parametrize("function", [loops, swallows, waits])
def test_an_attempt_that_takes_too_long_is_interrupted(
    bench: Bench, function: Callable[[Event], Any]
) -> None:
    bench.start(function, timeout=0.05)
    ended = bench.next()
    assert isinstance(ended.error, AttemptTimeout)
    assert str(ended.error) == "took longer than 0.05 s"
    assert 0.05 <= ended.seconds < SECONDS
    assert where(ended.error).startswith(f"{__file__}:")
    assert not bench.runner.abandoned
    bench.assert_works()


def test_the_place_of_an_interrupted_attempt_is_where_it_was(bench: Bench) -> None:
    error = bench.run(loops, timeout=0.05)
    assert error is not None
    line = loops.__code__.co_firstlineno
    assert where(error) in {f"{__file__}:{line + 1}", f"{__file__}:{line + 2}"}


def test_one_that_swallows_its_interrupt_and_returns_has_timed_out(bench: Bench) -> None:
    """A part of its work is missing, where the interrupt came out."""

    def plain(event: Event) -> None:
        try:
            loops(event)
        except BaseException:
            return

    async def coroutine(event: Event) -> None:
        try:
            await asyncio.sleep(SECONDS)
        except BaseException:
            return

    for function in (plain, coroutine):
        assert isinstance(bench.run(function, timeout=0.05), AttemptTimeout)


def test_a_timeout_of_the_authors_own_is_not_ours(bench: Bench) -> None:
    async def gives_up(event: Event) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(SECONDS)

    error = bench.run(gives_up)
    assert isinstance(error, TimeoutError)
    assert not isinstance(error, AttemptTimeout)


def test_what_does_not_listen_is_abandoned_and_its_late_result_dropped() -> None:
    bench, begun = Bench(abandon_seconds=0.1), threading.Event()
    with gate() as opened:

        def in_c(event: Event) -> None:
            begun.set()
            opened.wait(SECONDS)

        bench.start(in_c, timeout=0.1)
        error = bench.next(once=begun).error
        assert isinstance(error, AttemptTimeout)
        assert f"{__file__}:{in_c.__code__.co_firstlineno + 2}" == where(error)
        assert bench.runner.abandoned == 1
        bench.assert_works()
        opened.set()
        until(lambda: not bench.runner.abandoned)
    bench.assert_works()
    assert bench.results.empty()


def test_a_thread_that_was_abandoned_takes_no_further_attempt() -> None:
    bench, begun = Bench(abandon_seconds=0.02), threading.Event()
    threads = set()
    with gate() as opened:

        def in_c(event: Event) -> None:
            threads.add(threading.current_thread())
            begun.set()
            opened.wait(SECONDS)

        for _ in range(5):
            begun.clear()
            bench.start(in_c, timeout=0.05)
            assert isinstance(bench.next(once=begun).error, AttemptTimeout)
        assert len(threads) == bench.runner.abandoned == 5
        opened.set()
        until(lambda: not any(thread.is_alive() for thread in threads))


def test_a_coroutine_that_refuses_to_be_cancelled_is_abandoned() -> None:
    bench = Bench(abandon_seconds=0.1)
    with gate() as opened:

        async def stays(event: Event) -> None:
            while not opened.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue

        assert isinstance(bench.run(stays, timeout=0.05), AttemptTimeout)
        assert bench.runner.abandoned == 1
        bench.assert_works()
    until(lambda: not bench.runner.abandoned)


def test_one_that_blocks_the_loop_is_abandoned_and_starves_nobody() -> None:
    bench = Bench(abandon_seconds=0.1)
    with gate() as opened:

        async def blocks(event: Event) -> None:
            opened.wait(SECONDS)

        bench.start(blocks, timeout=0.05, event="evt_blocks")
        bench.start(returns_async, event="evt_behind")
        ends = {ended.ready.event.id: ended.error for ended in (bench.next(), bench.next())}
        assert isinstance(ends["evt_blocks"], AttemptTimeout)
        assert ends["evt_behind"] is None
        bench.assert_works()
    until(lambda: not bench.runner.abandoned)
    assert bench.results.empty()


def test_one_that_blocks_the_loop_within_its_limit_makes_the_others_wait_no_longer_than_the_grace() -> (
    None
):
    bench = Bench(abandon_seconds=0.1)
    with gate() as opened:

        async def blocks(event: Event) -> None:
            opened.wait(SECONDS)

        bench.start(blocks, event="evt_blocks")
        bench.start(returns_async, event="evt_behind")
        assert bench.next().ready.event.id == "evt_behind"
        opened.set()
        ended = bench.next()
        assert (ended.ready.event.id, ended.error) == ("evt_blocks", None)


def one_blocks_the_loop(bench: Bench) -> int:
    """Until another one, behind it, has ended elsewhere. The line at which it waited."""
    with gate() as opened:

        async def blocks(event: Event) -> None:
            opened.wait(SECONDS)

        bench.start(blocks)
        bench.start(returns_async)
        assert bench.next().error is None
    assert bench.next().error is None
    return blocks.__code__.co_firstlineno + 1


def test_who_blocks_the_loop_is_told_once_with_the_line(
    lines: list[MutableMapping[str, Any]],
) -> None:
    line_of_wait = one_blocks_the_loop(Bench(abandon_seconds=0.1))
    (line,) = [each for each in lines if each.get("processor") == "blocks"]
    assert line["event"] == "processor.blocks_loop"
    assert line["where"] == f"{__file__}:{line_of_wait}"
    assert line["seconds"] >= 0.1


def test_it_is_told_also_where_the_first_look_finds_nobody_at_work(
    lines: list[MutableMapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine may come to the loop late: silent, and nobody's doing yet."""
    runs, nobody = LoopThread.runs, iter([("", None)])
    monkeypatch.setattr("gateway.adapters.worker.runner.BLOCKS_SECONDS", 0.02)
    monkeypatch.setattr(
        LoopThread, "runs", lambda loop, outside: next(nobody, None) or runs(loop, outside)
    )
    one_blocks_the_loop(Bench(abandon_seconds=0.5))
    assert [each["processor"] for each in lines if each["event"] == "processor.blocks_loop"] == [
        "blocks"
    ]


def test_as_long_as_it_blocks_it_is_told_no_second_time_and_the_next_time_it_is(
    bench: Bench, lines: list[MutableMapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.worker.runner.BLOCKS_SECONDS", 0.02)

    async def blocks(event: Event) -> None:
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            pass

    for times in (1, 2):
        assert bench.run(blocks) is None
        assert len([each for each in lines if each["event"] == "processor.blocks_loop"]) == times


def test_a_task_that_a_processor_has_left_behind_is_told_by_its_line(
    bench: Bench, lines: list[MutableMapping[str, Any]]
) -> None:
    bench = Bench(abandon_seconds=0.1)
    with gate() as opened:

        async def blocks_later() -> None:
            opened.wait(SECONDS)

        async def starts_it(event: Event) -> None:
            bench.__dict__["task"] = asyncio.create_task(blocks_later())

        bench.start(starts_it)
        assert bench.next().error is None

        def told() -> bool:
            bench.runner.enforce_timeouts()
            return bool(lines)

        until(told)
    (line,) = [each for each in lines if each["event"] == "processor.blocks_loop"]
    assert (line["processor"], line["where"]) == (
        "",
        f"{__file__}:{blocks_later.__code__.co_firstlineno + 1}",
    )


def test_a_loop_that_was_replaced_ends_with_its_last_attempt() -> None:
    bench = Bench(abandon_seconds=0.05)

    before = set(threading.enumerate())

    def loops_alive() -> int:
        """Of this test: others' end when they will."""
        return sum(each.name == "processors-loop" for each in set(threading.enumerate()) - before)

    with gate() as opened:

        async def blocks(event: Event) -> None:
            opened.wait(SECONDS)

        for _ in range(3):
            assert isinstance(bench.run(blocks, timeout=0.01), AttemptTimeout)
        assert bench.run(returns_async) is None
        opened.set()
        until(lambda: loops_alive() == 1)
        assert not bench.runner.abandoned


def test_an_interrupt_that_comes_late_never_hits_the_next_attempt() -> None:
    """Attempts end right at their limit, thousands of times, each followed by an innocent one."""
    bench = Bench()
    interrupted = 0

    def ends_at_its_limit(event: Event) -> None:
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass

    def innocent(event: Event) -> None:
        for _ in range(50):
            sum(range(20))

    stopped = threading.Event()

    def enforce() -> None:
        while not stopped.is_set():
            bench.runner.enforce_timeouts()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    enforcer = threading.Thread(target=enforce)
    enforcer.start()
    try:
        for _ in range(RACES):
            bench.start(ends_at_its_limit, timeout=0.0005)
            error = bench.results.get(timeout=SECONDS).error
            assert error is None or isinstance(error, AttemptTimeout)
            interrupted += error is not None
            bench.start(innocent)
            assert bench.results.get(timeout=SECONDS).error is None
    finally:
        stopped.set()
        enforcer.join()
        sys.setswitchinterval(before)
    assert interrupted, "the race was not provoked"


def test_no_further_thread_is_an_error_of_the_start_and_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for function in (returns, returns_async):
            with pytest.raises(RuntimeError, match="new thread"):
                bench.start(function)
    assert bench.results.empty()
    bench.assert_works()
