"""How dead letters are shown, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.shared.printing import local, print_block, print_pairs, print_text, short
from gateway.cli.shared.records import delivery_json, failure_json
from gateway.cli.shared.tables import print_table, shortened
from gateway.core.outcomes import DeadReason

if TYPE_CHECKING:
    from gateway.adapters.ledger.event_records import DeliveryRecord, EventRecord, Failure
    from gateway.adapters.ledger.reader import Reader

LONGEST_ERROR: Final = 80
COLUMNS: Final = (
    "died",
    "delivery",
    "source",
    "type",
    "processor",
    "reason",
    "attempts",
    "last error",
)
STEPS: Final = (
    ("last error", 20),
    ("attempts", 0),
    ("source", 0),
    ("type", 10),
    ("processor", 10),
    ("type", 0),
    ("died", 0),
    ("last error", 12),
    ("processor", 0),
)
WHY: Final = {
    DeadReason.EXHAUSTED: "every attempt failed",
    DeadReason.DISCARDED: "its processor raised Discard",
    DeadReason.POISON: "it took its worker's process down, again and again",
    DeadReason.PAYLOAD_MISMATCH: "the body does not fit the processor's model",
    DeadReason.PROCESSOR_MISSING: "no processor of that name is registered",
    DeadReason.BODY_MISSING: "the body was gone: it cannot be replayed",
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`failure`: of the last attempt, where it left a word."""

    event: "EventRecord"
    delivery: "DeliveryRecord"
    failure: "Failure | None"

    @property
    def error(self) -> str:
        failure = self.failure
        return ": ".join(filter(None, (failure.error, failure.message))) if failure else ""


def dead_letters(
    reader: "Reader", found: "Sequence[tuple[EventRecord, DeliveryRecord]]"
) -> list[DeadLetter]:
    failures = reader.last_failures([delivery.id for _, delivery in found])
    return [DeadLetter(*each, failure) for each, failure in zip(found, failures, strict=True)]


def letter_json(letter: DeadLetter) -> dict[str, Any]:
    event, failure = letter.event, letter.failure
    names = {"event": event.id, "source": event.source, "type": event.type}
    known = {"provider_id": event.provider_id, "last_failure": failure and failure_json(failure)}
    return delivery_json(letter.delivery) | names | known


def show_letters(letters: Sequence[DeadLetter]) -> None:
    rows = [
        (
            local(each.delivery.time),
            each.delivery.id,
            each.event.source,
            each.event.type,
            each.delivery.processor,
            each.delivery.reason,
            each.delivery.attempts,
            shortened(each.error, LONGEST_ERROR),
        )
        for each in letters
    ]
    print_table(COLUMNS, rows, STEPS)


def show_letter(letter: DeadLetter) -> None:
    """All about one, and what can be done with it."""
    event, delivery, failure = letter.event, letter.delivery, letter.failure
    reason = DeadReason(delivery.reason)
    print_pairs(
        ("Delivery", delivery.id),
        ("Event", event.id),
        ("Source", event.source),
        ("Type", event.type),
        ("Provider id", event.provider_id),
        ("Processor", delivery.processor),
        ("Died", local(delivery.time)),
        ("Reason", f"{reason}: {WHY[reason]}"),
        ("Attempts", str(delivery.attempts)),
        ("Last error", letter.error),
        ("Where", short(failure.where) if failure else ""),
    )
    if failure:
        print_text("Trace")
        print_block(failure.trace)
    if reason is not DeadReason.BODY_MISSING:
        print_text(f"\nPut it back: hookline dead-letters replay {delivery.id}")
    print_text(f"Give it up:  hookline dead-letters discard {delivery.id}")
