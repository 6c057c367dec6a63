"""Time limits end a block late by a tick at most, and leave everything else as it was."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.deadlines import TICK_SECONDS, within
from tests import leaping


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    leaping.run(main())


async def never() -> None:
    await asyncio.get_running_loop().create_future()


def test_what_takes_too_long_ends_with_a_timeout_at_most_a_tick_late() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(TimeoutError), within(0.01):
            await never()
        assert 0.01 <= loop.time() - begun <= 0.01 + TICK_SECONDS

    run(main)


def test_what_is_quick_enough_is_not_touched_afterwards() -> None:
    async def main() -> None:
        with within(0.01):
            await asyncio.sleep(0)
        with within(1):  # a limit that outlived its block would end this one
            await asyncio.sleep(0.01 + 3 * TICK_SECONDS)

    run(main)


def test_the_inner_limit_ends_the_inner_block_only() -> None:
    async def main() -> None:
        with within(5):
            with pytest.raises(TimeoutError), within(0):
                await never()
            await asyncio.sleep(0)

    run(main)


def test_the_outer_limit_goes_through_the_inner_block() -> None:
    async def main() -> None:
        inner_ended = False
        with pytest.raises(TimeoutError), within(0):  # noqa: PT012 - the nesting is what is tested
            try:
                with within(5):
                    await never()
            except asyncio.CancelledError:
                inner_ended = True
                raise
        assert inner_ended

    run(main)


def test_a_cancelling_from_outside_stays_one() -> None:
    async def main() -> None:
        async def limited() -> None:
            with within(5):
                await never()

        task = asyncio.ensure_future(limited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)


def test_a_cancelling_from_outside_at_the_same_moment_goes_on() -> None:
    async def main() -> None:
        limits: list[within] = []

        async def limited() -> None:
            with within(5) as limit:
                limits.append(limit)
                await never()

        task = asyncio.ensure_future(limited())
        await asyncio.sleep(0)
        limits[0].expire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)


def test_an_error_of_the_block_stays_itself() -> None:
    async def main() -> None:
        with pytest.raises(KeyError), within(5):
            raise KeyError

    run(main)


def test_every_loop_has_its_own_clock() -> None:
    for _ in range(2):
        test_what_takes_too_long_ends_with_a_timeout_at_most_a_tick_late()
