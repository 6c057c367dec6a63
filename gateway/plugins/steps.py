"""Steps of a processor that run once for a delivery, however often it is attempted or replayed.

What a step gave is recorded before the author gets it. A step that was recorded never runs again; one
that was cut off between its effect and the record does.
"""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from gateway.plugins.outbox import json_text

MOST_BYTES: Final = 64 * 1024
MOST_STEPS: Final = 1000
LONGEST_NAME: Final = 200
TICK_SECONDS: Final = 0.25

T = TypeVar("T")


class Outdated(BaseException):
    """Somebody else has this delivery by now: this run is void, and must do no more.

    No Exception, so that `except Exception` around a step does not go on with the next effect.
    """


class StepsUnavailable(Exception):  # noqa: N818 - an outcome
    """What a step gave could not be recorded, or what is recorded not be read: the attempt failed."""


class Steps(Protocol):
    """Where the steps of one delivery are kept. Neither method waits: the futures do."""

    def load(self) -> "Future[Mapping[str, bytes]]":
        """What is recorded, JSON by name."""

    def record(self, name: str, value: bytes) -> "Future[None]":
        """Durable when it is done. Ends with Outdated when this run may not record any more."""


@dataclass(slots=True)
class MemorySteps(Steps):
    """For tests, and wherever nothing is recorded."""

    recorded: dict[str, bytes] = field(default_factory=dict)

    def load(self) -> "Future[Mapping[str, bytes]]":
        return _ended(self.recorded.copy())

    def record(self, name: str, value: bytes) -> "Future[None]":
        self.recorded[name] = value
        return _ended(None)


@dataclass(slots=True)
class Attempt:
    """The steps of one attempt."""

    steps: Steps
    used: set[str] = field(default_factory=set)
    known: dict[str, bytes] | None = None

    def once(self, name: str, function: Callable[[], Any], *, is_async: bool) -> Any:
        """What `function` gives, or gave when it was recorded. In async code it is to be awaited.

        Raises ValueError for a name that is none, or used before in this attempt, and for a result that
        is no JSON.
        """
        self._use(name)
        if is_async or _in_a_loop():
            return self._once_async(name, function)
        known = self._known(_wait(self.steps.load()) if self.known is None else {})
        if name not in known:
            text = json_text(function(), f"what step {name!r} gives", MOST_BYTES)
            _wait(self.steps.record(name, text))
            known[name] = text
        return json.loads(known[name])

    async def _once_async(self, name: str, function: Callable[[], Any]) -> Any:
        """As `once`: the loop goes on while others are waited for."""
        loading = None if self.known is not None else asyncio.wrap_future(self.steps.load())
        known = self._known(await loading if loading else {})
        if name not in known:
            given = function()
            given = await given if inspect.isawaitable(given) else given
            text = json_text(given, f"what step {name!r} gives", MOST_BYTES)
            await asyncio.wrap_future(self.steps.record(name, text))
            known[name] = text
        return json.loads(known[name])

    def _use(self, name: str) -> None:
        if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()):
            raise ValueError(f"the name of a step is 1 to {LONGEST_NAME} printable characters")
        if name in self.used:
            raise ValueError(
                f"step {name!r} was used in this attempt already: it would give what it gave there;"
                " give each step a name of its own"
            )
        if len(self.used) >= MOST_STEPS:
            raise ValueError(f"an attempt has at most {MOST_STEPS} steps")
        self.used.add(name)

    def _known(self, loaded: Mapping[str, bytes]) -> dict[str, bytes]:
        """Two steps of one attempt may both have loaded it."""
        if self.known is None:
            self.known = {}
        for name, value in loaded.items():
            self.known.setdefault(name, value)
        return self.known


def is_async(function: Callable[..., Any]) -> bool:
    """Also an object whose call is `async def`."""
    call = getattr(function, "__call__", None)  # noqa: B004 - whether it is async, not whether it is there
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _wait(future: "Future[T]") -> T:
    """In short waits: an interrupt of this thread comes through between them."""
    while True:
        try:
            return future.result(TICK_SECONDS)
        except TimeoutError:
            if future.done():  # its own
                raise


def _ended(value: T) -> "Future[T]":
    future: Future[T] = Future()
    future.set_result(value)
    return future
