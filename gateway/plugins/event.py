"""What an author sees of a webhook."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Event:
    """A verified webhook, for one attempt of one processor.

    `body` is byte for byte what the provider sent; `payload` is it as JSON. `attempt` counts from
    1 and starts again after a replay. `fence` only ever grows: a store that remembers the highest
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

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and replay of this event by this processor."""
        return f"{self.id}:{self.processor}" if self.processor else self.id

    @cached_property
    def payload(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("the body is JSON nested too deeply") from None
