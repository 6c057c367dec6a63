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


@dataclass(frozen=True, slots=True)
class Routing:
    """What became of one event's routing: the names of the processors that shall have it."""

    processors: tuple[str, ...]


def route(routes: Iterable[Route], source: str, event_type: str) -> Routing:
    """In registration order."""
    return Routing(tuple(each.processor for each in routes if each.wants(source, event_type)))
