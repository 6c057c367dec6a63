"""A clock that a test moves, and nothing else does."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """Stands still at `now` (with a time zone) until it is moved.

    `run_delivery` moves it by what a delivery waits; a processor that needs the time may be given one.
    """

    def __init__(self, now: datetime = NOON) -> None:
        if now.utcoffset() is None:
            raise ValueError("a clock needs a datetime with a time zone, such as UTC")
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta | float) -> datetime:
        """By seconds or a timedelta; the new time. Raises ValueError for a time that is past."""
        span = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if span < timedelta():
            raise ValueError(f"a clock goes forward, and not by {by}")
        self.now += span
        return self.now

    @property
    def seconds(self) -> float:
        """Unix seconds."""
        return self.now.timestamp()

    def __repr__(self) -> str:
        return f"Clock({self.now.isoformat()})"
