"""What a module of processors exports."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

from gateway.plugins.lifespan import Lifespan, declare_lifespan
from gateway.plugins.order import OrderWish
from gateway.plugins.processor import Processor, ProcessorError, declare
from gateway.plugins.retry import Retry
from gateway.plugins.transform import Transform, declare_transform

Kinds = type[Exception] | Iterable[type[Exception]]
F = TypeVar("F", bound=Callable[..., None] | Callable[..., Awaitable[None]])
G = TypeVar("G", bound=Callable[..., Any])


@dataclass(slots=True)
class Registry:
    """What a module of processors exports. Several are merged at start; a clash of names is refused.

    Lifespans and transforms are of the processors that are declared below them in the same registry.
    """

    processors: list[Processor] = field(default_factory=list)
    lifespans: list[Lifespan] = field(default_factory=list)
    transforms: list[Transform] = field(default_factory=list)

    def processor(
        self,
        *,
        source: str,
        events: Sequence[str] = ("*",),
        name: str | None = None,
        timeout: timedelta | float | None = None,
        when: Mapping[str, Any] | str | None = None,
        retry: Retry | None = None,
        retry_on: Kinds = (),
        give_up_on: Kinds = (),
        order_by: str | Sequence[str] | None = None,
        on_dead: Literal["skip", "block"] = "skip",
        latest_only: bool = False,
        version: str | None = None,
    ) -> Callable[[F], F]:
        """Register a function for events of `source` whose type matches one of `events` (globs).

        The function is returned unchanged. `name` (default: the function's) identifies it in the
        ledger: keep it when you rename the function. `timeout` bounds one attempt. `when` is a
        condition on the event, as in a source's file. `retry` goes over the source's. An exception of
        `give_up_on` is a dead letter at once; with `retry_on`, so is any that is not of it.

        `order_by`, a path (or several) into the event: deliveries with the same value there run one
        after the other, as they came; a dead one is passed over, or with `on_dead="block"` keeps those
        behind it waiting. `latest_only`: one that a newer one has overtaken never runs; which is newer,
        the value at the path `version` says, else the arrival. Raises
        ProcessorError for a wrong signature or a name already taken in this registry.
        """

        def register(function: F) -> F:
            seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
            declared = declare(
                function,
                source,
                events,
                name,
                seconds,
                when=when,
                retry=retry,
                retry_on=retry_on,
                give_up_on=give_up_on,
                lifespans=self.lifespans,
                order=OrderWish(order_by, on_dead, latest_only, version),
                transform=next((each for each in self.transforms if each.source == source), None),
            )
            self._add(declared)
            return function

        return register

    def lifespan(self, function: G) -> G:
        """Register what is opened once a worker: a function that opens, yields once, and closes.

        A parameter annotated with the type that it yields gets the object. The function is returned
        unchanged. Raises ProcessorError.
        """
        lifespan = declare_lifespan(function)
        for other in self.lifespans:
            if other.yields == lifespan.yields and not lifespan.sets_up:
                raise ProcessorError(
                    f"{lifespan.origin}: {other.origin} yields the same type;"
                    " make one of them a class of its own"
                )
        for processor in self.processors:
            if processor.payload and processor.model == lifespan.yields:
                raise ProcessorError(
                    f"{processor.origin}: takes what the lifespan {lifespan.origin} yields, which"
                    " stands below it: declare lifespans above the processors that take them"
                )
        self.lifespans.append(lifespan)
        return function

    def transform(self, *, source: str) -> Callable[[G], G]:
        """Register a function (event) → payload for the processors of `source` in this registry.

        What it returns is their `event.payload`; `event.body` stays as it was signed. The function is
        returned unchanged. Raises ProcessorError.
        """

        def register(function: G) -> G:
            transform = declare_transform(function, source)
            for other in self.transforms:
                if other.source == source:
                    raise ProcessorError(
                        f"{transform.origin}: {other.origin} transforms the events of {source!r}"
                        " already: make one function of the two"
                    )
            for processor in self.processors:
                if processor.source == source:
                    raise ProcessorError(
                        f"{processor.origin}: stands above the transform of its source,"
                        f" {transform.origin}: declare transforms above the processors"
                    )
            self.transforms.append(transform)
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
