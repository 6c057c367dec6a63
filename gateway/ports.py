"""What the flows need of the world: ports that adapters fill. Times in seconds."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gateway.core.event import Arrival
from gateway.core.key_request import KeyRequest
from gateway.core.outcomes import Absence, Acceptance, Overload, Refusal
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.deadlines import within


class Unavailable(Exception):  # noqa: N818 - an outcome of a port, not a bug
    """It could not be reached, or did not answer in time: nothing is known to have happened.

    `absence`: why, where that is the ledger's server.
    """

    def __init__(self, *words: object, absence: Absence | None = None) -> None:
        super().__init__(*words)
        self.absence = absence


Told = Callable[[Sequence[Acceptance] | Exception], None]
"""Hears once what the ledger answers, or why it does not: Unavailable, or TimeoutError."""


class Ledger(Protocol):
    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        """An answer each: all of them durable when this returns, or none. Raises Unavailable."""

    def ask(self, arrivals: Sequence[Arrival], source: Source, seconds: float, told: Told) -> None:
        """`accept`, for who goes on meanwhile; told after so many seconds in any case. Here by a task:
        who has many to ask for does better."""

        async def ask() -> None:
            try:
                with within(seconds):
                    answers = await self.accept(arrivals, source)
            except Exception as error:
                told(error)
            else:
                told(answers)

        TASKS.add(task := asyncio.get_running_loop().create_task(ask()))
        task.add_done_callback(TASKS.discard)


TASKS: set["asyncio.Task[None]"] = set()  # the event loop alone would let go of them


class Quota(Protocol):
    def spare(self, source: Source) -> bool:  # noqa: ARG002 - the port's
        """Whether one was charged now, without asking anybody. False says nothing: see `charge`."""
        return False

    async def charge(self, source: Source) -> float | None:
        """None when within the source's rate limit, else seconds until it may be tried again."""


class Pressure(Protocol):
    def of(self, source: Source) -> Overload | None:
        """Why the ledger has no room for this source now; None: it has. Costs nothing."""


class NoPressure(Pressure):
    """Where nobody looks: there is always room."""

    def of(self, source: Source) -> Overload | None:  # noqa: ARG002 - the port's
        return None


class Spool(Protocol):
    """Keeps on this machine what the ledger cannot take now, and brings it there later."""

    @property
    def away(self) -> bool:
        """Whether the ledger did not answer a moment ago. Costs nothing."""

    def note(self, *, answered: bool) -> None:
        """What the ledger did when it was last asked."""

    async def keep(self, arrivals: Sequence[Arrival], source: Source) -> None:
        """Durable when this returns. Raises Unavailable: no room, or the disk does not take it."""


class NoSpool(Spool):
    """Where none is: it takes nothing."""

    away = False

    def note(self, *, answered: bool) -> None:
        """Not wanted."""

    async def keep(self, arrivals: Sequence[Arrival], source: Source) -> None:  # noqa: ARG002 - the port's
        raise Unavailable


class FetchedKeys(Protocol):
    async def keys_for(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:
        """The keys that may have signed; none: the provider knows none so named. Raises Unavailable."""


class Lessons(Protocol):
    """Secrets that handshakes teach while an operator has armed a source."""

    async def armed(self, source: Source) -> bool:
        """Raises Unavailable."""

    async def learn(self, source: Source, secret: bytes) -> bool:
        """Durable when this returns True; False: the source is not armed. Raises Unavailable."""

    async def keys(self, source: Source) -> tuple[Any, ...]:
        """What was learnt so far, loaded for the source's scheme. Raises Unavailable."""


class RefusedRequests(Protocol):
    def note(self, request: InboundRequest, source: Source, reason: Refusal) -> None:
        """For the bounded log that operators read. Never waits, never raises."""

    async def quarantine(self, request: InboundRequest, source: Source, reason: Refusal) -> bool:
        """Kept whole, durable when this returns True; False: no room. Raises Unavailable."""


class Visits(Protocol):
    def visit(self, url: str, hosts: Sequence[str], *, source: str) -> None:
        """Calls a link that confirms a handshake soon, if one of `hosts` matches its whole host. Never
        waits, never raises."""
