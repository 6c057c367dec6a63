"""How often and when a processor is tried again, where it differs from its source's `[retry]`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gateway.core.retry import RetryPolicy

Delay = timedelta | float
LONGEST_DELAY: Final = 365 * 86400.0
MOST_ATTEMPTS: Final = 100
STEEPEST: Final = 10.0


@dataclass(frozen=True, slots=True)
class Retry:
    """What is left out is the source's. Delays in seconds or as a timedelta, at most a year.

    `attempts` counts the first one. `schedule`: the delays themselves, kept exactly, instead of ones
    that grow; `attempts` is then one more than they are, unless it is said. Raises ValueError.
    """

    attempts: int | None = None
    first_delay: Delay | None = None
    factor: float | None = None
    longest_delay: Delay | None = None
    schedule: Sequence[Delay] = ()

    def __post_init__(self) -> None:
        if self.attempts is not None and not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ValueError(f"Retry: attempts must be from 1 to {MOST_ATTEMPTS}")
        if self.factor is not None and not 1 <= self.factor <= STEEPEST:
            raise ValueError(f"Retry: factor must be from 1 to {STEEPEST:g}")
        growing = [each for each in (self.first_delay, self.longest_delay) if each is not None]
        if not all(0 <= seconds(each) <= LONGEST_DELAY for each in [*growing, *self.schedule]):
            raise ValueError("Retry: a delay must be from 0 seconds to 365 days")
        if self.schedule and (growing or self.factor is not None):
            raise ValueError("Retry: a schedule is the delays: leave the growing ones out, or it")

    def over(self, policy: RetryPolicy) -> RetryPolicy:
        """`policy` with what is said here in its place."""
        schedule = tuple(map(seconds, self.schedule))
        budget = len(schedule) + 1 if schedule else policy.attempts
        growing = self.first_delay is not None or self.factor or self.longest_delay is not None
        return RetryPolicy(
            attempts=self.attempts or budget,
            first_delay=_or(self.first_delay, policy.first_delay),
            factor=self.factor or policy.factor,
            longest_delay=_or(self.longest_delay, policy.longest_delay),
            schedule=schedule or (() if growing else policy.schedule),
        )

    def __str__(self) -> str:
        """For people: what is said, as it is written in the decorator."""
        said: list[tuple[str, Any]] = [("attempts", self.attempts), ("factor", self.factor)]
        for name, delay in (("first_delay", self.first_delay), ("longest_delay", self.longest_delay)):
            said.append((name, None if delay is None else f"{seconds(delay):g}s"))
        delays = " ".join(f"{seconds(each):g}s" for each in self.schedule)
        return ", ".join(f"{name} {value}" for name, value in [*said, ("after", delays)] if value)


def seconds(delay: Delay) -> float:
    """NaN for what is no number, which no bound lets through."""
    if isinstance(delay, timedelta):
        return delay.total_seconds()
    return float(delay) if isinstance(delay, int | float) else math.nan


def _or(delay: Delay | None, otherwise: float) -> float:
    return otherwise if delay is None else seconds(delay)
