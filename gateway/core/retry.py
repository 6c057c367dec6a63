"""After one attempt: done, try again later, or put aside as a dead letter.

Exponential delay with full jitter, capped: after an outage the retries of a source spread out
instead of arriving together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from dataclasses import dataclass
from typing import Final

from gateway.core.outcomes import AttemptOutcome, DeadReason


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts the first one. Delays in seconds."""

    attempts: int = 8
    first_delay: float = 10.0
    factor: float = 3.0
    longest_delay: float = 3600.0

    def delay(self, attempt: int, jitter: float) -> float:
        """Seconds after attempt number `attempt`; `jitter` in [0, 1) is the caller's randomness."""
        ceiling = min(self.longest_delay, self.first_delay * self.factor ** min(attempt - 1, 64))
        return ceiling * jitter


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Dead:
    reason: DeadReason


Decision = Done | Wait | Dead

FINAL: Final = {
    AttemptOutcome.DISCARDED: DeadReason.DISCARDED,
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
    """`asked_delay`: what the processor asked for with RetryAfter, in seconds; it is kept exactly."""
    if outcome is AttemptOutcome.DONE:
        return Done()
    if outcome in FINAL:
        return Dead(FINAL[outcome])
    if attempt >= policy.attempts:
        return Dead(DeadReason.EXHAUSTED)
    return Wait(policy.delay(attempt, jitter) if asked_delay is None else asked_delay)
