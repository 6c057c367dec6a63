"""Which processors want an event."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Route:
    """One processor's wish: events of `source` whose type matches one of `events` (globs)."""

    processor: str
    source: str
    events: tuple[str, ...] = ("*",)

    def wants(self, source: str, event_type: str) -> bool:
        return source == self.source and any(
            fnmatchcase(event_type, pattern) for pattern in self.events
        )


def route(routes: Iterable[Route], source: str, event_type: str) -> tuple[str, ...]:
    """The names of the processors that want it, in registration order."""
    return tuple(each.processor for each in routes if each.wants(source, event_type))
