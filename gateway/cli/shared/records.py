"""How stored events, deliveries and failed attempts are shown, as text and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.shared.printing import (
    body_text,
    iso,
    local,
    print_block,
    print_pairs,
    print_text,
    printable,
    short,
)
from gateway.cli.shared.tables import print_table
from gateway.core.outcomes import DeliveryState

if TYPE_CHECKING:
    from gateway.adapters.ledger.event_records import DeliveryRecord, EventRecord, Failure

COLUMNS: Final = ("delivery", "processor", "state", "attempts", "when", "reason")
STEPS: Final = (("attempts", 0), ("processor", 10), ("reason", 0), ("when", 0))
TIMES: Final = {
    DeliveryState.PENDING: "due since",
    DeliveryState.LEASED: "lease ends",
    DeliveryState.WAITING: "next attempt",
    DeliveryState.BLOCKED: "blocked since",
    DeliveryState.DONE: "ended",
    DeliveryState.DEAD: "ended",
}


@dataclass(frozen=True, slots=True)
class Details:
    """An event with what is kept beside it: `failures` by delivery; headers None: gone; body None: that
    too, or it was not asked for. `behind`: of blocked deliveries, the one that each waits for."""

    event: "EventRecord"
    failures: "Mapping[str, Sequence[Failure]]"
    headers: Sequence[tuple[str, str]] | None
    body: bytes | None
    behind: Mapping[str, str] = field(default_factory=dict)


def event_json(event: "EventRecord") -> dict[str, Any]:
    deliveries = [delivery_json(each) for each in event.deliveries]
    sums = {"received": iso(event.received), "state": event.summary, "attempts": event.attempts}
    return asdict(event) | sums | {"deliveries": deliveries}


def delivery_json(delivery: "DeliveryRecord") -> dict[str, Any]:
    """Its time is named after what it means: `ended`, `next_attempt`, ..."""
    value = asdict(delivery)
    del value["time"], value["line"]
    return value | {TIMES[delivery.state].replace(" ", "_"): iso(delivery.time)}


def failure_json(failure: "Failure") -> dict[str, Any]:
    return asdict(failure) | {"at": iso(failure.at)}


def details_json(details: Details) -> dict[str, Any]:
    """`body` only where it was asked for and is there."""
    value = event_json(details.event) | {"headers": details.headers}
    for each in value["deliveries"]:
        if each["id"] in details.behind:
            each["behind"] = details.behind[each["id"]]
        each["failures"] = [failure_json(failure) for failure in details.failures.get(each["id"], ())]
    body = details.body
    return value if body is None else value | {"body": body.decode("utf-8", "backslashreplace")}


def show_details(details: Details, *, trace: bool) -> None:
    """`trace`: also the traces of failed attempts."""
    _show_event(details.event)
    for blocked, holder in details.behind.items():
        print_text(f"\n{blocked} waits behind {holder}")
    for delivery in details.event.deliveries:
        _show_failures(delivery, details.failures.get(delivery.id, ()), trace=trace)
    gone = details.headers is None
    print_text("\nThe retention has ended: no headers, no body." if gone else "\nHeaders")
    for header, value in details.headers or ():
        print_text(f"  {printable(header)}: {printable(value)}")
    if details.body is not None:
        print_text(f"\nBody\n{body_text(details.body)}")


def _show_event(event: "EventRecord") -> None:
    from gateway.units import size_text

    print_pairs(
        ("Event", event.id),
        ("Source", event.source),
        ("Type", event.type),
        ("Provider id", event.provider_id),
        ("Received", local(event.received)),
        ("State", event.summary),
        ("Size", size_text(event.size)),
    )
    rows = [
        (each.id, each.processor, each.state, each.attempts, _time_text(each), each.reason)
        for each in event.deliveries
    ]
    print_text("")
    print_table(COLUMNS, rows, STEPS)


def _time_text(delivery: "DeliveryRecord") -> str:
    return f"{TIMES[delivery.state]} {local(delivery.time)}"


def _show_failures(delivery: "DeliveryRecord", failures: "Sequence[Failure]", *, trace: bool) -> None:
    if failures:
        print_text(f"\nFailed attempts of {delivery.id} ({printable(delivery.processor)})")
    for each in failures:
        words = (str(each.attempt), local(each.at), each.outcome, each.error, short(each.where))
        print_text(f"  {printable('  '.join(words).rstrip())}")
        print_block(each.message)
        if trace:
            print_block(each.trace)
