"""What happened in the ledger, as a line and as JSON."""

from typing import TYPE_CHECKING, Any, Final

from gateway.cli.shared.live_lines import Line
from gateway.cli.shared.printing import iso, short

if TYPE_CHECKING:
    from gateway.adapters.ledger.happenings import Happening

STATES: Final = ("accepted", "blocked", "failed", "done", "dead", "replayed")


def state_of(each: "Happening") -> str:
    """Every way in which an attempt fails is `failed` here."""
    return each.word if each.word in STATES else "failed"


def line_of(each: "Happening", since: float = 0.0) -> Line:
    """`since`: when it was replayed, in Unix seconds."""
    event, delivery = each.event, each.delivery
    name = delivery.processor if delivery else ""
    return Line(each.at, event.source, event.type, name, each.word, _ms(each, since), _note(each))


def _ms(each: "Happening", since: float) -> float | None:
    """Of a failed attempt how long it ran; of a success how long that took from the event's arrival."""
    if each.failure:
        return each.failure.seconds * 1000
    return (each.at - max(since, each.event.received)) * 1000 if each.word == "done" else None


def _note(each: "Happening") -> str:
    if each.delivery is None:
        return each.event.id
    failure, attempt = each.failure, each.attempt or 0
    parts = [each.delivery.reason] if each.word in ("dead", "done") else []
    parts += [f"attempt {attempt}" if attempt > 1 or failure else ""]
    parts += [f"{failure.error} at {short(failure.where)}" if failure else ""]
    return ", ".join(filter(None, parts))


def happening_json(each: "Happening", since: float = 0.0) -> dict[str, Any]:
    """What is not known is null. Of an error never its message, which may quote the sender."""
    event, delivery, failure = each.event, each.delivery, each.failure
    return {
        "time": iso(each.at),
        "state": state_of(each),
        "outcome": each.word,
        "event": event.id,
        "source": event.source,
        "type": event.type,
        "provider_id": event.provider_id,
        "delivery": delivery.id if delivery else None,
        "processor": delivery.processor if delivery else None,
        "attempt": each.attempt,
        "reason": (delivery.reason or None) if delivery else None,
        "ms": None if (ms := _ms(each, since)) is None else round(ms, 1),
        "error": failure.error if failure else None,
        "where": failure.where if failure else None,
    }
