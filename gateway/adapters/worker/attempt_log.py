"""The one log line of an attempt."""

import json

from gateway.core.delivery import Claimed, Finish
from gateway.core.retry import Dead, Wait
from gateway.logs import line_writer, logger


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
