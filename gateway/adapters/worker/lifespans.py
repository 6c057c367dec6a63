"""What processors need for longer than one event: opened before the first, closed after the last.

Objects of an async lifespan belong to one event loop. When that has to be replaced, because something
blocks it, they are opened anew on the next one, and closed on the old one when its last attempt ends.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, suppress
from typing import Any, Final, cast

from gateway.logs import logger
from gateway.plugins.lifespan import Lifespan
from gateway.process import NotBegun, where

OPEN_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 5.0

Opened = Mapping[Lifespan, Any]


class LifespanFailed(NotBegun):
    """It could not be opened: says which, where and why."""

    def __init__(self, lifespan: Lifespan, error: BaseException) -> None:
        self.lifespan = lifespan
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        place = where(error) or lifespan.origin
        super().__init__(f"{place}: the lifespan {lifespan.name} cannot be opened: {reason}", place)


class ThreadLifespans:
    """The sync ones of a process. Opened and closed in one thread."""

    def __init__(self) -> None:
        self.objects: dict[Lifespan, Any] = {}
        self._managers: list[tuple[Lifespan, AbstractContextManager[Any]]] = []

    def open(self, lifespans: Iterable[Lifespan]) -> None:
        """Raises LifespanFailed, and then none is open."""
        for lifespan in lifespans:
            if lifespan.is_async or lifespan in self.objects:
                continue
            try:
                manager: Any = lifespan.open()
                self.objects[lifespan] = manager.__enter__()
            except BaseException as error:
                self.close()
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise LifespanFailed(lifespan, error) from error
            self._managers.append((lifespan, manager))

    def close(self) -> None:
        """The last one first. One that fails keeps no other from being closed."""
        while self._managers:
            lifespan, manager = self._managers.pop()
            try:
                manager.__exit__(None, None, None)
            except BaseException as error:
                _note_close_failed(lifespan.name, error)
        self.objects.clear()


class LoopLifespans:
    """The async ones of one event loop, all in one task: some must be left by what has entered them.

    Everything here is called on that loop.
    """

    def __init__(self, lifespans: Iterable[Lifespan] = ()) -> None:
        self._wanted = [each for each in lifespans if each.is_async]
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[Opened] | None = None
        self._leave = asyncio.Event()

    async def objects(self) -> Opened:
        """Opens them first where that is still to be done, or has failed. Raises LifespanFailed."""
        if not self._wanted:
            return {}
        if self._task is None or self._opened is None or self._task.done():
            self._opened = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._live(self._opened))
        return await asyncio.shield(self._opened)

    async def close(self) -> None:
        """Within CLOSE_SECONDS: what takes longer is given up on."""
        if self._task is None:
            return
        self._leave.set()
        _, late = await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        if late:
            self._task.cancel()
            names = ", ".join(each.name for each in self._wanted)
            _note_close_failed(names, TimeoutError(f"not closed in {CLOSE_SECONDS:g} s"))

    async def _live(self, opened: asyncio.Future[Opened]) -> None:
        """From opening to closing."""
        try:
            async with AsyncExitStack() as stack:
                objects = {each: await self._enter(stack, each) for each in self._wanted}
                with suppress(asyncio.InvalidStateError):  # whoever asked is gone
                    opened.set_result(objects)
                await self._leave.wait()
        except LifespanFailed as failure:
            opened.set_exception(failure)
        except BaseException as error:
            _note_close_failed(", ".join(each.name for each in self._wanted), error)

    async def _enter(self, stack: AsyncExitStack, lifespan: Lifespan) -> Any:
        limit = asyncio.timeout(OPEN_SECONDS)
        try:
            # `_wanted` has none but async ones, which their type does not tell.
            manager = cast("AbstractAsyncContextManager[Any]", lifespan.open())
            async with limit:
                return await stack.enter_async_context(manager)
        except BaseException as error:
            if not limit.expired():
                raise LifespanFailed(lifespan, error) from error
            late = TimeoutError(f"took longer than {OPEN_SECONDS:g} s")
            stopped_by = error.__cause__ or error.__context__ or error  # it knows where that was
            raise LifespanFailed(lifespan, late.with_traceback(stopped_by.__traceback__)) from error


def _note_close_failed(names: str, error: BaseException) -> None:
    """Of the exception the class and the place, never its message."""
    logger().error(
        "lifespan.close_failed",
        lifespan=names,
        error=type(error).__name__,
        where=where(error) or None,
    )
