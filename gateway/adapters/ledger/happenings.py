"""What became of an event's deliveries, told from two looks at its record and the notes beside it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.adapters.ledger.event_records import DeliveryRecord, EventRecord, Failure
from gateway.core.outcomes import DeliveryState

ENDED: Final = frozenset({DeliveryState.DONE, DeliveryState.DEAD})
LEFT_NO_NOTE: Final = ("poison", "abandoned", "body_missing")

Notes = Callable[[str], Sequence[Failure]]
"""What is new among the notes of a delivery's failed attempts, the oldest first."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An arrival (`delivery` None), or what became of a delivery, `at` in Unix seconds.

    `word`: accepted, done, dead, replayed, blocked, or how an attempt failed. `failure` tells of that
    attempt, or of the one that a delivery died of; `attempt` is its number.
    """

    at: float
    word: str
    event: EventRecord
    delivery: DeliveryRecord | None = None
    attempt: int | None = None
    failure: Failure | None = None


def has_ended(event: EventRecord) -> bool:
    return all(each.state in ENDED for each in event.deliveries)


def happenings(before: EventRecord | None, now: EventRecord, notes: Notes) -> Iterator[Happening]:
    """`before` None: all that is known of its deliveries. `notes` is asked where there may be any."""
    for delivery in now.deliveries:
        known = before.delivery(delivery.id) if before else None
        if known != delivery:
            yield from _of_delivery(now, known, delivery, notes)


def _of_delivery(
    event: EventRecord, before: DeliveryRecord | None, now: DeliveryRecord, notes: Notes
) -> Iterator[Happening]:
    failed = notes(now.id) if now.attempts > 1 or now.state.value in ("waiting", "dead") else ()
    again = before is not None and before.state in ENDED and _runs_again(before, now)
    if again:
        at = failed[0].at - failed[0].seconds if failed else now.time
        yield Happening(at, "replayed", event, now)
    noted = now.state is DeliveryState.DEAD and now.reason not in LEFT_NO_NOTE
    final = failed[-1] if failed and noted else None
    for each in failed:
        if each is not final:
            yield Happening(each.at, each.outcome, event, now, each.attempt, each)
    crashes = 0 if before is None or again else before.crashes
    if now.crashes > crashes and now.state not in ENDED:
        yield Happening(now.time, "crashed", event, now, max(1, now.attempts - 1))
    if now.state in ENDED and (again or before is None or before.state is not now.state):
        yield Happening(now.time, now.state.value, event, now, now.attempts, final)
    elif now.state.value == "blocked" and (before is None or before.state is not now.state):
        yield Happening(event.received, "blocked", event, now)


def _runs_again(before: DeliveryRecord, now: DeliveryRecord) -> bool:
    """What an operator discards ends once more, and runs no more."""
    return now.state not in ENDED or now.fence > before.fence
