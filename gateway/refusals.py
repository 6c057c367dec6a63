"""Flow 4: an operator releases quarantined requests, once the secret or the scheme is mended.

Each is judged again as at its arrival: its own bytes, its own time. What is genuine now goes the way
that every webhook goes, and leaves the quarantine only after the ledger has it; whatever ends this,
doing it again is safe, because what was stored is a duplicate then.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from gateway.core.capture import Captured
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance, Outcome
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.endings import Ending
from gateway.ingest import Ingest
from gateway.ports import Ledger, Lessons, Quota

PAGE: Final = 20
# What has been seen to, as its sender would have been told.
SETTLED: Final = (Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.IGNORED, Outcome.HANDSHAKE)
# What says that the next one had better wait, too.
HALTS: Final = (Outcome.RATE_LIMITED, Outcome.UNAVAILABLE)

Receive = Callable[[InboundRequest, Source], Awaitable[Ending]]


class Quarantine(Protocol):
    """What waits, and what became of it."""

    def waiting(self, source: str, /) -> Sequence[str]:
        """Ids, the oldest first."""

    def whole(self, source: str, ids: Sequence[str], /) -> Sequence[Captured | None]:
        """None for what has been released or discarded meanwhile."""

    def settle(self, source: str, verdicts: Iterable[tuple[str, str]], /) -> object:
        """(id, new reason) pairs; an empty reason takes it out."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one request. `reason`: why it stays."""

    id: str
    outcome: Outcome
    reason: str = ""

    @property
    def settled(self) -> bool:
        return self.outcome in SETTLED


@dataclass(frozen=True, slots=True)
class Release:
    """Carries it out with `receive`: that of `releasing(ingest)`, or of `rehearsing(ingest)` for a dry
    run, in which the quarantine stays as it is."""

    quarantine: Quarantine
    receive: Receive
    stopped: Callable[[], bool] = lambda: False
    dry_run: bool = False

    async def take(self, source: Source, ids: Sequence[str]) -> AsyncIterator[list[Judged]]:
        """Yields what became of each page as soon as that is recorded. Ends early when stopped, and
        after a request that is beyond the quota or could not be stored.

        What the quarantine raises ends it too: of the page under way nothing is known then.
        """
        for first in range(0, len(ids), PAGE):
            page = await self._judge(source, ids[first : first + PAGE])
            verdicts = [(each.id, each.reason) for each in page if each.settled or each.reason]
            if verdicts and not self.dry_run:
                self.quarantine.settle(source.name, verdicts)
            yield page
            if self.stopped() or any(each.outcome in HALTS for each in page):
                return

    async def _judge(self, source: Source, ids: Sequence[str]) -> list[Judged]:
        judged: list[Judged] = []
        found = zip(ids, self.quarantine.whole(source.name, ids), strict=True)
        for name, captured in found:
            if captured is None:
                continue
            if self.stopped():
                break
            ending = await self.receive(captured.request(url=source.url), source)
            judged.append(_judged(name, ending))
            if ending.outcome in HALTS:
                break
        return judged


def _judged(name: str, ending: Ending) -> Judged:
    outcome = ending.outcome
    if outcome in SETTLED or outcome in HALTS:
        return Judged(name, outcome)
    return Judged(name, outcome, str(ending.refusal or outcome))


class InQuarantineAlready:
    """In place of the quarantine: what is refused again is not kept a second time."""

    def note(self, request: InboundRequest, source: Source, reason: str) -> None: ...

    async def quarantine(self, request: InboundRequest, source: Source, reason: str) -> bool:  # noqa: ARG002 - the port's interface
        return False


class Pretence(Ledger, Quota):
    """In place of what a dry run must not touch: all is new, within its quota, and taught nothing."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:  # noqa: ARG002 - the port's
        return [Acceptance.ACCEPTED for _ in arrivals]

    async def charge(self, source: Source) -> float | None:  # noqa: ARG002 - the port's
        return None

    def visit(self, url: str, hosts: Sequence[str], *, source: str) -> None: ...

    async def armed(self, source: Source) -> bool:
        return await self._lessons.armed(source)

    async def learn(self, source: Source, secret: bytes) -> bool:  # noqa: ARG002 - the port's
        return await self._lessons.armed(source)

    async def keys(self, source: Source) -> tuple[Any, ...]:
        return await self._lessons.keys(source)


def releasing(ingest: Ingest) -> Ingest:
    """The flow of arrivals as a release needs it."""
    return replace(ingest, refused=InQuarantineAlready())


def rehearsing(ingest: Ingest) -> Ingest:
    """The same for a dry run: nothing is stored, charged, learnt or called."""
    pretence = Pretence(ingest.lessons)
    return replace(
        releasing(ingest), ledger=pretence, quota=pretence, lessons=pretence, visits=pretence
    )
