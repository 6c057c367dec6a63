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


def test_never_runs_two_flushes_at_once() -> None:
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
            batcher: Batcher[int, int] = Batcher(flush, most_items=3)
            waits: list[Awaitable[int]] = [batcher.submit(number) for number in range(100)]
            assert await asyncio.gather(*waits) == list(range(100))

    asyncio.run(main())
    assert most == 1


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
