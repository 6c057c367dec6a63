"""The one log line of an attempt, or of a delivery that was looked at and not leased."""

import json

from gateway.adapters.ledger.calls import NotClaimed
from gateway.core.delivery import Claimed, Finish
from gateway.core.retry import Dead, Wait
from gateway.logs import line_writer, logger
from gateway.plugins import Processor


def note_attempt(claimed: Claimed, finish: Finish, seconds: float, *, recorded: bool) -> None:
    """Ids, outcome and times. Of an exception the class and the place, never its message.

    Not `recorded`: somebody else held the delivery by then, and what this attempt says is void.
    """
    note = json.loads(finish.error) if finish.error else {}
    decision = finish.decision
    dead = decision.reason if isinstance(decision, Dead) else None
    facts = {
        "event_id": claimed.event,
        "delivery": claimed.delivery,
        "source": claimed.source,
        "event_type": claimed.type,
        "processor": claimed.processor,
        "attempt": claimed.attempt,
        "dead": dead,
        "next_in_s": round(decision.delay, 1) if isinstance(decision, Wait) else None,
        "error": note.get("error"),
        "where": note.get("where") or None,
        "stale": None if recorded else True,
        "ms": round(seconds * 1000, 1),
    }
    level = logger().error if dead else logger().warning if note else line_writer()
    level(
        f"attempt.{finish.outcome}",
        **{name: value for name, value in facts.items() if value is not None},
    )


def note_unclaimed(row: NotClaimed, known: Processor | None) -> None:
    """`known`: its processor, where that is there."""
    facts = {"delivery": row.delivery, "processor": row.processor, "source": row.source}
    if row.word in ("poison", "abandoned", "body_missing"):
        # What kills a process leaves no traceback: where the processor stands is all we know.
        where = known.origin if known and row.word != "body_missing" else None
        logger().error("delivery.dead", reason=row.word, where=where, **facts)
    elif row.word == "overtaken":
        logger().info("delivery.overtaken", **facts)
    elif row.word == "foreign":
        logger().warning("queue.foreign_job", job=row.delivery)
