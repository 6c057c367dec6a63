"""What a module of processors exports."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from gateway.plugins.processor import Processor, ProcessorError, declare

F = TypeVar("F", bound=Callable[..., None] | Callable[..., Awaitable[None]])


@dataclass(slots=True)
class Registry:
    """What a module of processors exports. Several are merged at start; a clash of names is refused."""

    processors: list[Processor] = field(default_factory=list)

    def processor(
        self,
        *,
        source: str,
        events: Sequence[str] = ("*",),
        name: str | None = None,
        timeout: timedelta | float | None = None,
    ) -> Callable[[F], F]:
        """Register a function for events of `source` whose type matches one of `events` (globs).

        The function is returned unchanged. `name` (default: the function's) identifies it in the
        ledger: keep it when you rename the function. `timeout` bounds one attempt. Raises
        ProcessorError for a wrong signature or a name already taken in this registry.
        """

        def register(function: F) -> F:
            seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
            self._add(declare(function, source, events, name, seconds))
            return function

        return register

    def _add(self, processor: Processor) -> None:
        for other in self.processors:
            if other.name == processor.name:
                raise ProcessorError(
                    f"{processor.origin}: the name {processor.name!r} is taken by {other.origin};"
                    " give one of them name=..."
                )
        self.processors.append(processor)
