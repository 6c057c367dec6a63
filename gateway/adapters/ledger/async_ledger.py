"""The gateway's side of the ledger: `accept` in group commit."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from redis.exceptions import RedisError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.absence import absence_of
from gateway.adapters.ledger.batcher import Batcher
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance
from gateway.core.source import Source
from gateway.ports import Unavailable

Request = tuple[Sequence[Arrival], Source]

# What an event takes in a call besides its body: many small events shall not block the server for long.
OVERHEAD: Final = 4096


class AsyncLedger:
    """`line` is this ledger's alone. `replicas`: how many must have an event besides the server."""

    def __init__(self, line: ScriptLine, look_ms: int, replicas: int = 0) -> None:
        self._line = line
        self._replicas = replicas
        self._look_ms = look_ms
        self._batcher: Batcher[Request, list[Acceptance]] = Batcher(self._flush, size=_size, lane=_lane)

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        """An answer each, in order: all are durable when this returns. A request's arrivals share one
        call of the script. Raises Unavailable, and then all of them, or none, may yet be stored.
        """
        try:
            return await self._batcher.submit((arrivals, source))
        except (RedisError, OSError) as error:
            raise Unavailable(absence=absence_of(error)) from error

    async def _flush(self, batch: Sequence[Request]) -> list[list[Acceptance]]:
        rows = [
            (each.event, source, each.processors, each.turns)
            for arrivals, source in batch
            for each in arrivals
        ]
        call = ledger.accept(rows, self._look_ms)
        found = await self._line.call(call, self._replicas)
        answers = iter(found)
        return [list(islice(answers, len(arrivals))) for arrivals, _ in batch]


def _lane(request: Request) -> str:
    """A source with a flood of requests must not make the others wait."""
    return request[1].name


def _size(request: Request) -> int:
    return sum(len(each.event.body) + OVERHEAD for each in request[0])
