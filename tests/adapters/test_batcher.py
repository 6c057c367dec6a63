"""Group commit: who shares a flush, who hears of its end, and who does not."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from gateway.adapters.ledger.batcher import Batcher


class Flushes:
    """A flush that waits to be let go; answers each item with itself in capitals."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fails: dict[int, Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, batch: Sequence[str]) -> list[str]:
        self.batches.append(list(batch))
        number = len(self.batches)
        await self.gate.wait()
        if number in self.fails:
            raise self.fails[number]
        return [item.upper() for item in batch]


async def started(flushes: Flushes, many: int) -> None:
    async with asyncio.timeout(60):
        while len(flushes.batches) < many:
            await asyncio.sleep(0)


async def submit(batcher: Batcher[str, str], *items: str) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)  # each has put its item in the line
    return tasks


def check(test: Callable[[Flushes], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await test(Flushes())

    asyncio.run(main())


def test_each_gets_its_own_answer_whatever_the_order_of_arrival() -> None:
    async def test(flushes: Flushes) -> None:
        batcher = Batcher(flushes)
        assert await asyncio.gather(*map(batcher.submit, "cab")) == ["C", "A", "B"]

    check(test)


def test_a_single_item_goes_at_once_and_what_arrives_meanwhile_goes_together() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.gate.clear()
        batcher = Batcher(flushes)
        first = await submit(batcher, "a")
        await started(flushes, 1)
        rest = await submit(batcher, "b", "c", "d")
        assert flushes.batches == [["a"]]
        flushes.gate.set()
        await asyncio.gather(*first, *rest)
        assert flushes.batches == [["a"], ["b", "c", "d"]]

    check(test)


def test_takes_at_most_so_many_items() -> None:
    async def test(flushes: Flushes) -> None:
        batcher = Batcher(flushes, most_items=2)
        assert await asyncio.gather(*map(batcher.submit, "abcde")) == list("ABCDE")
        assert [len(batch) for batch in flushes.batches] == [2, 2, 1]

    check(test)


def test_takes_at_most_so_many_bytes_and_a_larger_item_alone() -> None:
    async def test(flushes: Flushes) -> None:
        batcher = Batcher(flushes, most_bytes=5, size=len)
        items = ["aa", "bbb", "c", "too-large", "dd", "ee"]
        await asyncio.gather(*map(batcher.submit, items))
        assert flushes.batches == [["aa", "bbb"], ["c"], ["too-large"], ["dd", "ee"]]

    check(test)


def test_an_error_reaches_every_waiter_of_that_batch_and_no_other() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.gate.clear()
        flushes.fails[2] = OSError("gone")
        batcher = Batcher(flushes, most_items=2)
        tasks = await submit(batcher, *"abcdef")
        flushes.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["A", "B", "gone", "gone", "E", "F"]

    check(test)


def test_goes_on_after_an_error() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.fails[1] = OSError("gone")
        batcher = Batcher(flushes)
        with pytest.raises(OSError, match="gone"):
            await batcher.submit("a")
        assert await batcher.submit("b") == "B"

    check(test)


@pytest.mark.parametrize("many", [0, 1, 3])
def test_a_flush_that_answers_too_few_or_too_many_keeps_nobody_waiting(many: int) -> None:
    async def answer(batch: Sequence[str]) -> list[str]:
        return ["x"] * many

    async def main() -> None:
        async with asyncio.timeout(60):
            batcher = Batcher(answer)
            answers = await asyncio.gather(*map(batcher.submit, "ab"), return_exceptions=True)
            assert all(isinstance(answer, ValueError | str) for answer in answers)

    asyncio.run(main())


def test_who_gave_up_waiting_is_not_sent_and_costs_no_flush() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.gate.clear()
        batcher = Batcher(flushes, most_items=2)
        tasks = await submit(batcher, *"abcde")
        await started(flushes, 1)  # a and b are under way
        for task in tasks[2:]:
            task.cancel()
        await asyncio.gather(*tasks[2:], return_exceptions=True)
        late = await submit(batcher, "f")
        flushes.gate.set()
        assert await asyncio.gather(*tasks[:2], *late) == ["A", "B", "F"]
        assert flushes.batches == [["a", "b"], ["f"]]

    check(test)


def test_when_everybody_gave_up_nothing_is_flushed() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.gate.clear()
        batcher = Batcher(flushes)
        first = await submit(batcher, "a")
        await started(flushes, 1)
        (second,) = await submit(batcher, "b")
        second.cancel()
        flushes.gate.set()
        await asyncio.gather(*first, second, return_exceptions=True)
        assert await batcher.submit("c") == "C"
        assert flushes.batches == [["a"], ["c"]]

    check(test)


def test_who_gives_up_during_the_flush_does_not_disturb_the_others() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.gate.clear()
        batcher = Batcher(flushes)
        first, second = await submit(batcher, "a", "b")
        await started(flushes, 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        flushes.gate.set()
        assert await second == "B"
        assert flushes.batches == [["a", "b"]]

    check(test)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_never_runs_more_flushes_at_once_than_it_may(at_once: int) -> None:
    running = most = 0

    async def flush(batch: Sequence[int]) -> Sequence[int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return batch

    async def main() -> None:
        async with asyncio.timeout(60):
            batcher: Batcher[int, int] = Batcher(flush, most_items=3, most_flights=at_once, full=3)
            waits: list[Awaitable[int]] = [batcher.submit(number) for number in range(100)]
            assert await asyncio.gather(*waits) == list(range(100))

    asyncio.run(main())
    assert most == at_once


def test_who_has_many_waiting_delays_anothers_next_one_by_one_of_them() -> None:
    async def test(flushes: Flushes) -> None:
        flushes.gate.clear()
        batcher = Batcher(flushes, most_items=4, lane=lambda item: item[0])
        first = await submit(batcher, "x")
        await started(flushes, 1)
        many = await submit(batcher, *(f"a{number}" for number in range(9)), "b1", "b2", "c1")
        flushes.gate.set()
        await asyncio.gather(*first, *many)
        assert flushes.batches[1:3] == [["a0", "b1", "c1", "a1"], ["b2", "a2", "a3", "a4"]]

    check(test)


class Heard:
    """A waiter that is no future."""

    def __init__(self) -> None:
        self.of: list[str | Exception] = []

    def done(self) -> bool:
        return bool(self.of)

    def set_result(self, result: str, /) -> None:
        self.of.append(result)

    def set_exception(self, exception: Exception, /) -> None:
        self.of.append(exception)


class Sent:
    """A flush that sends at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.batches: list[str] = []
        self.landings: list[asyncio.Future[list[str]]] = []

    def __call__(self, batch: Sequence[str]) -> Awaitable[Sequence[str]]:
        self.batches.append("".join(batch))
        self.landings.append(asyncio.get_running_loop().create_future())
        return self.landings[-1]

    async def land(self, number: int) -> None:
        self.landings[number].set_result(list(self.batches[number].upper()))
        for _ in range(3):
            await asyncio.sleep(0)


def fly(
    test: Callable[[Sent, Callable[[str], list[Heard]]], Coroutine[Any, Any, None]],
    most_flights: int = 3,
) -> None:
    """With a batcher of three flights, for which three items are a full batch."""

    async def main() -> None:
        sent = Sent()
        batcher: Batcher[str, str] = Batcher(sent, most_flights=most_flights, full=3)

        def put(items: str) -> list[Heard]:
            heard = [Heard() for _ in items]
            for item, waiter in zip(items, heard, strict=True):
                batcher.put(item, waiter)
            return heard

        async with asyncio.timeout(60):
            await test(sent, put)

    asyncio.run(main())


def test_a_full_batch_leaves_in_the_middle_of_a_turn() -> None:
    async def test(sent: Sent, put: Callable[[str], list[Heard]]) -> None:
        put("ab")
        assert sent.batches == []
        put("c")
        assert sent.batches == ["abc"]

    fly(test)


def test_what_a_turn_has_brought_leaves_at_its_end_where_nothing_is_under_way() -> None:
    async def test(sent: Sent, put: Callable[[str], list[Heard]]) -> None:
        heard = put("ab")
        await asyncio.sleep(0)
        assert sent.batches == ["ab"]
        await sent.land(0)
        assert [each.of for each in heard] == [["A"], ["B"]]

    fly(test)


def test_beside_others_a_batch_leaves_with_as_many_as_are_under_way() -> None:
    async def test(sent: Sent, put: Callable[[str], list[Heard]]) -> None:
        put("abcdef")
        assert sent.batches == ["abc", "def"]
        put("ghijk")
        await asyncio.sleep(0)
        assert sent.batches == ["abc", "def"]  # less than the six
        put("l")
        assert sent.batches == ["abc", "def", "ghijkl"]

    fly(test)


def test_what_waits_for_a_free_flight_leaves_together_at_a_landing_before_that_is_told() -> None:
    async def test(sent: Sent, put: Callable[[str], list[Heard]]) -> None:
        first, *_ = put("abcdefgh")
        assert sent.batches == ["abc", "def"]
        heard: list[list[str]] = []
        first.set_result = lambda _: heard.append(list(sent.batches))  # type: ignore[method-assign]
        await sent.land(0)
        assert sent.batches == ["abc", "def"]  # two only, beside three
        put("i")
        assert sent.batches == ["abc", "def", "ghi"]
        await sent.land(1)
        put("jk")
        await asyncio.sleep(0)
        assert heard == [["abc", "def"]]
        await sent.land(2)
        assert sent.batches[3:] == ["jk"]

    fly(test, most_flights=2)


def test_a_flush_that_fails_before_it_sends_is_heard_of_by_its_batch_alone() -> None:
    async def main() -> None:
        def fail(batch: Sequence[str]) -> Awaitable[Sequence[str]]:
            if "b" in batch:
                raise OSError("gone")
            return asyncio.sleep(0, list(batch))

        batcher: Batcher[str, str] = Batcher(fail, most_items=1)
        answers = await asyncio.gather(*map(batcher.submit, "abc"), return_exceptions=True)
        assert [str(each) for each in answers] == ["a", "gone", "c"]

    asyncio.run(main())
