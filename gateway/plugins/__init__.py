"""Public: all that a processor imports.

    from gateway.plugins import Discard, Event, Registry, RetryAfter

    registry = Registry()

    @registry.processor(source="stripe", events=["invoice.paid"])
    def record_invoice(event: Event) -> None: ...

A processor is a plain function and stays one: a test calls it. It must be idempotent
(`event.idempotency_key` helps): a worker that dies between an effect and its record runs it again.
"""

from gateway.plugins.answers import Defer, Discard, RetryAfter
from gateway.plugins.event import Event
from gateway.plugins.processor import Processor, ProcessorError
from gateway.plugins.registry import Registry
from gateway.plugins.retry import Retry

__all__ = [
    "Defer",
    "Discard",
    "Event",
    "Processor",
    "ProcessorError",
    "Registry",
    "Retry",
    "RetryAfter",
]
