"""From a deployment's processors to what is asked for each verified or emitted event: who takes it, and
in which order.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from gateway.core import routing
from gateway.core.event import Event
from gateway.core.json_path import Subject
from gateway.core.judging import Condition
from gateway.core.ordering import turns_of
from gateway.core.routing import Router, Routing
from gateway.plugins import Processor

Conditions = Mapping[str, Condition]
NONE: Final[Conditions] = MappingProxyType({})


def build_router(processors: Mapping[str, Processor], sources: Conditions = NONE) -> Router:
    """`sources` are the conditions of those sources that have one.

    The JSON of an event is parsed once, and only where a condition or an order needs it.
    """
    routes = tuple(each.route for each in processors.values())
    orders = {each.name: each.order for each in processors.values() if each.order}
    conditions = {each.name: each.when for each in processors.values() if each.when}
    asked = orders.keys() | conditions.keys()

    @lru_cache(maxsize=4096)  # event types come from outside: bounded
    def by_type(source: str, event_type: str) -> Routing:
        return routing.route(routes, source, event_type)

    def route(event: Event, parsed: Callable[[], Any] | None = None) -> Routing:
        found = by_type(event.source, event.type)
        own = sources.get(event.source)
        if not found.processors or (own is None and asked.isdisjoint(found.processors)):
            return found
        subject = Subject(event, parsed)
        sifted = routing.sift(found.processors, own, conditions, subject)
        return sifted._replace(turns=turns_of(sifted.processors, orders, subject))

    return route
