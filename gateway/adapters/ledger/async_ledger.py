"""The gateway's side of the ledger: `accept` in group commit."""

from collections.abc import Awaitable, Sequence
from itertools import islice
from typing import Final

from redis.exceptions import RedisError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.absence import absence_of
from gateway.adapters.ledger.batcher import Batcher
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.adapters.ledger.scripts import Call
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance
from gateway.core.source import Source
from gateway.deadlines import Limit
from gateway.ports import Told, Unavailable

Request = tuple[Sequence[Arrival], Source]

# Of an event in a call besides its body: many small ones shall not block the server for long either.
OVERHEAD: Final = 4096
LINES: Final = 4  # connections of a gateway, and so calls that are under way at once
# So many are worth a call beside others that are under way: each waits for the disk.
FULL: Final = 8


class AsyncLedger:
    """`lines` are this ledger's alone: as many calls may be under way at once. `replicas`: so many must
    have an event besides the server."""

    def __init__(self, *lines: ScriptLine, look_ms: int, replicas: int = 0) -> None:
        self._free = list(lines)
        self._replicas = replicas
        self._look_ms = look_ms
        self._batcher: Batcher[Request, list[Acceptance]] = Batcher(
            self._flush, most_flights=len(lines), full=FULL, size=_size, lane=_lane
        )

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        """An answer each, in order: all are durable when this returns. A request's arrivals share one
        call of the script. Raises Unavailable, and then all of them, or none, may yet be stored.
        """
        try:
            return await self._batcher.submit((arrivals, source))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    def ask(self, arrivals: Sequence[Arrival], source: Source, seconds: float, told: Told) -> None:
        """`accept` without a task."""
        self._batcher.put((arrivals, source), _Question(seconds, told))

    def _flush(self, batch: Sequence[Request]) -> Awaitable[list[list[Acceptance]]]:
        """Sent when this returns, if the line is connected."""
        rows = [
            (each.event, source, each.processors, each.turns)
            for arrivals, source in batch
            for each in arrivals
        ]
        call = ledger.accept(rows, self._look_ms)
        line = self._free.pop()
        return self._answers(batch, call, line, line.begin(call, self._replicas))

    async def _answers(
        self,
        batch: Sequence[Request],
        call: Call[list[Acceptance]],
        line: ScriptLine,
        begun: bool,
    ) -> list[list[Acceptance]]:
        try:
            found = await line.finish(call, self._replicas, begun=begun)
        finally:
            self._free.append(line)
        answers = iter(found)
        return [list(islice(answers, len(arrivals))) for arrivals, _ in batch]


class _Question(Limit):
    """Who asked: told once, of the answer or that the time is over."""

    __slots__ = ("_told",)

    def __init__(self, seconds: float, told: Told) -> None:
        super().__init__(seconds)
        self._told: Told | None = told
        self.hold()

    def done(self) -> bool:
        return self._told is None

    def set_result(self, result: list[Acceptance], /) -> None:
        self._tell(result)

    def set_exception(self, exception: Exception, /) -> None:
        own = isinstance(exception, RedisError | OSError)
        self._tell(_unavailable(exception) if own else exception)

    def expire(self) -> None:
        self.set_exception(TimeoutError())

    def _tell(self, answers: Sequence[Acceptance] | Exception) -> None:
        told, self._told = self._told, None
        self.lift()
        if told:
            told(answers)


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(absence=absence_of(error))


def _lane(request: Request) -> str:
    """A source with a flood of requests must not make the others wait."""
    return request[1].name


def _size(request: Request) -> int:
    return sum(len(each.event.body) + OVERHEAD for each in request[0])
