"""What a processor says by raising: neither is an error."""

import math
from datetime import timedelta


class RetryAfter(Exception):  # noqa: N818 - a request, not an error
    """Raise it to ask for the next attempt after `delay`; it counts as an attempt."""

    def __init__(self, delay: timedelta | float) -> None:
        self.seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        if not 0 <= self.seconds < math.inf:  # NaN too
            raise ValueError("RetryAfter takes a finite delay of 0 seconds or more")
        super().__init__(f"retry after {self.seconds:g} s")


class Discard(Exception):  # noqa: N818 - a decision, not an error
    """Raise it when this event can never be processed: a dead letter at once, with `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
