"""What a processor emits in one attempt: checked at the call, kept until the attempt is done."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.core.event import INTERNAL, Event, event_id

MOST_EVENTS: Final = 100  # an attempt
MOST_BYTES: Final = 256 * 1024  # of one event's JSON
MOST_BYTES_TOGETHER: Final = 4 * 1024 * 1024
LONGEST_TYPE: Final = 200
DEEPEST: Final = 16
DEPTH_HEADER: Final = "hookline-depth"
CAUSE_HEADER: Final = "hookline-cause"


@dataclass(slots=True)
class Outbox:
    """`cause` is the delivery that emits. `depth` is how many emitted events led to its own event."""

    cause: str = ""
    depth: int = 0
    emitted: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, type: str, payload: Any) -> None:
        """Raises ValueError for what can not be emitted, and then nothing is added."""
        if not (isinstance(type, str) and 0 < len(type) <= LONGEST_TYPE and type.isprintable()):
            raise ValueError(f"an event's type is 1 to {LONGEST_TYPE} printable characters")
        if self.depth >= DEEPEST:
            raise ValueError(
                f"this event is number {DEEPEST} of a chain: a processor that emits what leads back to"
                " itself would never come to an end"
            )
        body = json_text(payload, "the payload of an event", MOST_BYTES)
        if len(self.emitted) >= MOST_EVENTS:
            raise ValueError(f"an attempt emits at most {MOST_EVENTS} events")
        if len(body) + sum(len(other) for _, other in self.emitted) > MOST_BYTES_TOGETHER:
            raise ValueError(f"an attempt emits at most {MOST_BYTES_TOGETHER} bytes together")
        self.emitted.append((type, body))

    def events(self, received_at: float) -> tuple[Event, ...]:
        """As they are stored. The same delivery's first has the same id in every run, and so on."""
        headers = (
            (b"content-type", b"application/json"),
            (DEPTH_HEADER.encode(), b"%d" % (self.depth + 1)),
            (CAUSE_HEADER.encode(), self.cause.encode()),
        )
        names = [f"{self.cause}:{number}" for number in range(1, len(self.emitted) + 1)]
        return tuple(
            Event(
                event_id(INTERNAL, "emitted", name.encode()),
                INTERNAL,
                type,
                name,
                headers,
                body,
                received_at,
            )
            for name, (type, body) in zip(names, self.emitted, strict=True)
        )


def depth_of(source: str, headers: Any) -> int:
    """Of an event: what an outside sender says about it does not count."""
    text = headers.get(DEPTH_HEADER, "") if source == INTERNAL else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def json_text(value: Any, what: str, most: int) -> bytes:
    """Raises ValueError when it is no JSON, or longer than `most` bytes."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{what} must be JSON: {error}") from None
    if len(text) > most:
        raise ValueError(f"{what} is {len(text)} bytes of JSON, and {most} are the most")
    return text
