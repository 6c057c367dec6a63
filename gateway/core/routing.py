"""Which processors want an event, and in which order they take it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol

from gateway.core.event import Event, Turn
from gateway.core.json_path import Subject
from gateway.core.judging import Condition, keeps_out


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


class Routing(NamedTuple):
    """What became of one event's routing: the names of the processors that shall have it, and the
    turns of those among them that keep an order.

    `filtered` says of each condition that kept it from somebody whose it is and what did not hold:
    `source: action equals`, `record_invoice: amount greater`; also of each that could not tell, and so
    kept it from nobody. It tells no value of the event.
    """

    processors: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    filtered: tuple[str, ...] = ()


class Router(Protocol):
    """Total. `parsed` gives the body's JSON, or MISSING, where somebody has it already."""

    def __call__(self, event: Event, parsed: Callable[[], Any] | None = None) -> Routing: ...


def route(routes: Iterable[Route], source: str, event_type: str) -> Routing:
    """In registration order."""
    return Routing(tuple(each.processor for each in routes if each.wants(source, event_type)))


def sift(
    processors: tuple[str, ...],
    own: Condition | None,
    conditions: Mapping[str, Condition],
    subject: Subject,
) -> Routing:
    """Those whose conditions hold, or cannot tell; nobody where `own`, the source's, does not hold."""
    verdict = own.judge(subject) if own else ""
    told = (f"source: {verdict}",) if verdict else ()
    if keeps_out(verdict):
        return Routing((), filtered=told)
    reasons = {name: conditions[name].judge(subject) for name in processors if name in conditions}
    kept = tuple(name for name in processors if not keeps_out(reasons.get(name, "")))
    return Routing(
        kept, filtered=told + tuple(f"{name}: {why}" for name, why in reasons.items() if why)
    )
