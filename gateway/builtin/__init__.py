"""Processors that need no code: what a source's file says in `[[processors]]`, as Processor objects.

They are processors like any others: retried, put aside, replayed, counted and listed by their names.
"""

from collections.abc import Callable
from typing import Any

from gateway.builtin.append import append_to
from gateway.builtin.forward import forward_to, receiver_of
from gateway.builtin.log import log_fields
from gateway.builtin.program import programs_of, run_program
from gateway.core.builtin import Append, BuiltIn, Exec, Forward, Log, Work
from gateway.plugins import Processor
from gateway.plugins.lifespan import Lifespan


def processor_of(declared: BuiltIn) -> Processor:
    opened = _lifespans(declared)
    return Processor(
        name=declared.name,
        function=_function(declared.work),
        source=declared.source,
        events=declared.events,
        origin=declared.origin,
        timeout=declared.timeout,
        when=declared.when,
        takes=opened,
        lifespans=opened,
    )


def _lifespans(declared: BuiltIn) -> tuple[Lifespan, ...]:
    """What it needs for longer than one event."""
    match declared.work:
        case Forward() as work:
            return (receiver_of(work, declared.origin),)
        case Exec():
            return (programs_of(declared.origin),)
    return ()


def _function(work: Work) -> Callable[..., Any]:
    match work:
        case Forward():
            return forward_to(work)
        case Log():
            return log_fields(work)
        case Append():
            return append_to(work)
        case Exec():
            return run_program(work)
