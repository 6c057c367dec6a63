"""Which sources are told to come again later, before the ledger has no room for anybody.

A source with a backlog of its own is refused first, then those whose senders come again by
themselves; never, by us, those whose senders do not: they go on until the server refuses them, and
then to the spool.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.core.outcomes import Overload
from gateway.core.source import Source

# Of the server's memory in use: from here on who fills it gives way, and from there on all that can.
CROWDED: Final = 0.75
SHORT: Final = 0.85


@dataclass(frozen=True, slots=True)
class Load:
    """`open`: of each source, how many deliveries are neither done nor dead; `dead`: how many are dead
    letters. `memory`: which share of its memory the server uses; 0 where it does not say."""

    open: Mapping[str, int]
    memory: float = 0.0
    dead: Mapping[str, int] = field(default_factory=dict)

    def fills(self, source: str) -> bool:
        """Whether it keeps more than all others together. Dead letters are kept as well."""
        kept = Counter(self.open) + Counter(self.dead)
        return len(self.open) > 1 and 2 * kept[source] > kept.total()


def shed(load: Load, sources: Iterable[Source]) -> dict[str, Overload]:
    """The sources that are not taken on now, and why."""
    found = ((source.name, _reason(source, load)) for source in sources)
    return {name: reason for name, reason in found if reason}


def _reason(source: Source, load: Load) -> Overload | None:
    opened = load.open.get(source.name, 0)
    if source.max_pending is not None and opened >= source.max_pending:
        return Overload.BACKLOG_FULL
    fills = load.memory >= CROWDED and load.fills(source.name)
    if (fills or load.memory >= SHORT) and not source.spool:
        return Overload.MEMORY_SHORT
    return None
