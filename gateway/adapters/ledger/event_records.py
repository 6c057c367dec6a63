"""What the ledger keeps of an event, its deliveries and its failed attempts: as values, made of what is
stored. Times are Unix seconds by Redis' own clock.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.adapters.ledger import terms
from gateway.core.event import delivery_id
from gateway.core.outcomes import DeliveryState

URGENCY: Final = ("dead", "leased", "waiting", "pending", "blocked", "done")  # what to tell first


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """`time`: due since (pending), lease ends (leased), next attempt (waiting), ended (done, dead),
    blocked since. `line`: the key of the line in which it keeps its order, "" for none.
    """

    id: str
    processor: str
    state: DeliveryState
    attempts: int
    crashes: int
    fence: int
    time: float
    reason: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as it is remembered, also when its body is gone. `size` of the body in bytes."""

    id: str
    source: str
    queue: str
    type: str
    provider_id: str
    received: float
    size: int
    deliveries: tuple[DeliveryRecord, ...]

    @property
    def attempts(self) -> int:
        return sum(each.attempts for each in self.deliveries)

    @property
    def summary(self) -> str:
        """ "done" when all are, "1 dead, 2 done" when they differ."""
        counts = Counter(each.state for each in self.deliveries)
        if len(counts) == 1:
            return next(iter(counts)).value
        return ", ".join(
            f"{counts[DeliveryState(word)]} {word}" for word in URGENCY if DeliveryState(word) in counts
        )

    def delivery(self, delivery: str) -> DeliveryRecord | None:
        return next((each for each in self.deliveries if each.id == delivery), None)


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one attempt, which ended `at`. `message` and `trace` may quote the sender."""

    attempt: int
    outcome: str
    at: float
    seconds: float
    error: str
    message: str
    where: str
    trace: str


def event_record(event: str, row: dict[bytes, bytes]) -> EventRecord:
    """`row`: its key in the ledger, all fields."""
    fields = {name.decode(): value.decode("utf-8", "replace") for name, value in row.items()}
    source, queue = terms.names([row.get(name.encode()) for name in terms.FIELDS]) or ("", "")
    return EventRecord(
        event,
        source,
        queue,
        fields["t"],
        fields["p"],
        int(fields["r"]) / 1000,
        int(fields["z"]),
        tuple(_delivery(event, number, fields) for number in range(1, int(fields["n"]) + 1)),
    )


def _delivery(event: str, number: int, fields: dict[str, str]) -> DeliveryRecord:
    return DeliveryRecord(
        delivery_id(event, number),
        fields[f"{number}p"],
        DeliveryState(fields[f"{number}s"]),
        int(fields.get(f"{number}a", 0)),
        int(fields.get(f"{number}c", 0)),
        int(fields.get(f"{number}f", 0)),
        int(fields.get(f"{number}t", fields["r"])) / 1000,
        fields.get(f"{number}r", ""),
        fields.get(f"{number}k", ""),
    )


def failure(text: bytes) -> Failure:
    """`text`: one entry of an attempt log, JSON."""
    row: dict[str, Any] = json.loads(text)
    return Failure(
        row["attempt"],
        row["outcome"],
        datetime.fromisoformat(row["at"]).timestamp(),
        row["seconds"],
        row["error"],
        row["message"],
        row["where"],
        row["trace"],
    )
