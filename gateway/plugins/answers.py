"""What a processor says by raising: none of these is an error."""

import math
from datetime import datetime, timedelta


class RetryAfter(Exception):  # noqa: N818 - a request, not an error
    """Raise it to ask for the next attempt after `delay`; it counts as an attempt."""

    def __init__(self, delay: timedelta | float) -> None:
        self.seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        if not 0 <= self.seconds < math.inf:  # NaN too
            raise ValueError("RetryAfter takes a finite delay of 0 seconds or more")
        super().__init__(f"retry after {self.seconds:g} s")


class Defer(Exception):  # noqa: N818 - a request, not an error
    """Raise it to be run again at `until`: the time has not come, and this was no attempt.

    At least a second from now, at most a year. What can go wrong for ever belongs into RetryAfter.
    """

    def __init__(self, until: datetime | timedelta) -> None:
        if isinstance(until, datetime):
            if until.utcoffset() is None:
                raise ValueError("Defer takes a datetime with a time zone, such as UTC")
        elif not isinstance(until, timedelta) or until < timedelta():
            raise ValueError("Defer takes a datetime, or a timedelta of 0 or more")
        self.until = until
        word = "until" if isinstance(until, datetime) else "for"
        super().__init__(f"deferred {word} {until}")

    def seconds_from(self, now: datetime) -> float:
        """Less than 0: that time is over."""
        left = self.until - now if isinstance(self.until, datetime) else self.until
        return left.total_seconds()


class Discard(Exception):  # noqa: N818 - a decision, not an error
    """Raise it when this event can never be processed: a dead letter at once, with `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
