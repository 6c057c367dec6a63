"""The one log line of an attempt."""

from gateway.core.delivery import Claimed, Finish
from gateway.core.retry import Dead, Wait
from gateway.logs import logger
from gateway.process import where


def note_attempt(
    claimed: Claimed, finish: Finish, error: BaseException | None, seconds: float, *, recorded: bool
) -> None:
    """Ids, outcome and times. Of an exception the class and the place, never its message."""
    decision = finish.decision
    dead = decision.reason if isinstance(decision, Dead) else None
    level = logger().error if dead else logger().warning if error else logger().info
    level(
        f"attempt.{finish.outcome}",
        event_id=claimed.event,
        delivery=claimed.delivery,
        source=claimed.source,
        event_type=claimed.type,
        processor=claimed.processor,
        attempt=claimed.attempt,
        dead=dead,
        next_in_s=round(decision.delay, 1) if isinstance(decision, Wait) else None,
        error=type(error).__name__ if error else None,
        where=where(error) if error else None,
        stale=None if recorded else True,
        ms=round(seconds * 1000, 1),
    )
