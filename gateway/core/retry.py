"""After one attempt: done, try again later, or put aside as a dead letter.

Exponential delay with full jitter, capped: after an outage the retries of a source spread out
instead of arriving together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from dataclasses import dataclass
from typing import Final

from gateway.core.outcomes import AttemptOutcome, DeadReason


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts the first one. Delays in seconds.

    `schedule`, where there is one, is the delays themselves; its last one goes on.
    """

    attempts: int = 8
    first_delay: float = 10.0
    factor: float = 3.0
    longest_delay: float = 3600.0
    schedule: tuple[float, ...] = ()

    def delay(self, attempt: int, jitter: float) -> float:
        """Seconds after attempt number `attempt`; `jitter` in [0, 1) is the caller's randomness."""
        if self.schedule:
            return self.schedule[min(attempt, len(self.schedule)) - 1]
        ceiling = min(self.longest_delay, self.first_delay * self.factor ** min(attempt - 1, 64))
        return ceiling * jitter


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `delay` seconds. Not `counted`: the attempt is given back to the budget."""

    delay: float
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Dead:
    reason: DeadReason


Decision = Done | Wait | Dead

FINAL: Final = {
    AttemptOutcome.DISCARDED: DeadReason.DISCARDED,
    AttemptOutcome.GAVE_UP: DeadReason.GAVE_UP,
    AttemptOutcome.PAYLOAD_MISMATCH: DeadReason.PAYLOAD_MISMATCH,
    AttemptOutcome.PROCESSOR_MISSING: DeadReason.PROCESSOR_MISSING,
}


def decide(
    outcome: AttemptOutcome,
    attempt: int,
    policy: RetryPolicy,
    jitter: float,
    asked_delay: float | None = None,
) -> Decision:
    """`asked_delay`: what RetryAfter or Defer asked for, in seconds; it is kept exactly."""
    if outcome is AttemptOutcome.DONE:
        return Done()
    if outcome in FINAL:
        return Dead(FINAL[outcome])
    deferred = outcome is AttemptOutcome.DEFERRED
    if attempt >= policy.attempts and not deferred:
        return Dead(DeadReason.EXHAUSTED)
    delay = policy.delay(attempt, jitter) if asked_delay is None else asked_delay
    return Wait(delay, counted=not deferred)
