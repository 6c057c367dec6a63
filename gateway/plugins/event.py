"""What an author sees of a webhook."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from gateway.plugins.outbox import Outbox, depth_of
from gateway.plugins.steps import Attempt, MemorySteps, Steps, is_async


@dataclass(frozen=True)
class Event:
    """A verified webhook, for one attempt of one processor.

    `body` is byte for byte what the provider sent; `payload` is it as JSON, or what a transform
    made. `attempt` counts from 1 and starts again after a replay; `attempts` is how many there may
    be, 0 when nobody has said. `fence` only ever grows: a store that remembers the highest
    one it saw can refuse a stalled, outdated run.
    """

    id: str
    source: str
    type: str
    provider_id: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    attempt: int = 1
    fence: int = 1
    processor: str = ""
    attempts: int = 0
    delivery: str = ""
    steps: Steps = field(default_factory=MemorySteps, repr=False, compare=False)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and replay of this event by this processor."""
        return f"{self.id}:{self.processor}" if self.processor else self.id

    @property
    def last_attempt(self) -> bool:
        """Whether this delivery is a dead letter when this attempt fails."""
        return 0 < self.attempts <= self.attempt

    def age(self, now: datetime) -> timedelta:
        """How long ago the gateway had it. `now` has a time zone."""
        return now - self.received_at

    @property
    def depth(self) -> int:
        """How many emitted events led to this one; 0 for what came from outside."""
        return depth_of(self.source, self.headers)

    def emit(self, type: str, payload: Any = None) -> None:
        """Hands an event of our own to the processors of source `internal`, once this attempt is done:
        it becomes durable together with that. An attempt that fails emits nothing.

        Raises ValueError for what can not be emitted: `payload` must be JSON (at most 256 KB).
        """
        self.outbox.add(type, payload)

    def once(self, name: str, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
        """Calls the function and records what it gives (JSON, at most 64 KB) under `name`; every later
        attempt and replay of this delivery gets what was recorded, and does not call.

        In async code await it. A step that was cut off between its effect and the record runs again.
        Raises ValueError for a name used twice in an attempt, and for a result that is no JSON.
        """
        call = partial(function, *arguments, **keywords)
        return self._attempt.once(name, call, is_async=is_async(function))

    @cached_property
    def outbox(self) -> Outbox:
        """What this attempt has emitted so far."""
        return Outbox(self.delivery or self.id, self.depth)

    @cached_property
    def _attempt(self) -> Attempt:
        return Attempt(self.steps)

    @cached_property
    def payload(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("the body is JSON nested too deeply") from None
