"""After an attempt: full jitter below a growing, capped ceiling, and an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Done, RetryPolicy, Wait, decide

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 100),
    first_delay=st.floats(0.001, 86400),
    factor=st.floats(1, 10),
    longest_delay=st.floats(0.001, 30 * 86400),
)
jitters = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10_000)
TRIED_AGAIN = [
    AttemptOutcome.FAILED,
    AttemptOutcome.TIMED_OUT,
    AttemptOutcome.RETRY_ASKED,
    AttemptOutcome.CRASHED,
    AttemptOutcome.RELEASED,
]


@given(policies, attempts, jitters)
def test_a_delay_is_a_random_part_of_the_ceiling_and_never_more_than_the_longest(
    policy: RetryPolicy, attempt: int, jitter: float
) -> None:
    ceiling = policy.delay(attempt, 1.0)
    assert 0 <= policy.delay(attempt, jitter) <= ceiling <= policy.longest_delay
    assert policy.delay(attempt, 0.0) == 0
    assert policy.delay(attempt, 0.5) == pytest.approx(ceiling / 2)


@given(policies, attempts)
def test_the_ceiling_never_shrinks(policy: RetryPolicy, attempt: int) -> None:
    assert policy.delay(attempt, 1.0) <= policy.delay(attempt + 1, 1.0)


def test_the_ceiling_grows_by_the_factor_up_to_the_longest_delay() -> None:
    policy = RetryPolicy(attempts=8, first_delay=10, factor=3, longest_delay=3600)
    ceilings = [policy.delay(attempt, 1.0) for attempt in range(1, 9)]
    assert ceilings == [10, 30, 90, 270, 810, 2430, 3600, 3600]


@given(policies, attempts, jitters, st.sampled_from(TRIED_AGAIN))
def test_tries_again_until_the_last_attempt_and_never_after_it(
    policy: RetryPolicy, attempt: int, jitter: float, outcome: AttemptOutcome
) -> None:
    decision = decide(outcome, attempt, policy, jitter)
    if attempt < policy.attempts:
        assert decision == Wait(policy.delay(attempt, jitter))
    else:
        assert decision == Dead(DeadReason.EXHAUSTED)


@given(policies, jitters, st.floats(0, 1e9))
def test_a_delay_that_was_asked_for_is_kept_exactly_and_still_counts(
    policy: RetryPolicy, jitter: float, asked: float
) -> None:
    asked_for = decide(AttemptOutcome.RETRY_ASKED, policy.attempts - 1, policy, jitter, asked)
    assert asked_for == Wait(asked)
    last = decide(AttemptOutcome.RETRY_ASKED, policy.attempts, policy, jitter, asked)
    assert last == Dead(DeadReason.EXHAUSTED)


@given(policies, attempts, jitters, st.floats(0, 1e9))
def test_a_deferral_waits_as_asked_and_never_uses_up_the_budget(
    policy: RetryPolicy, attempt: int, jitter: float, asked: float
) -> None:
    decision = decide(AttemptOutcome.DEFERRED, attempt, policy, jitter, asked)
    assert decision == Wait(asked, counted=False)


@pytest.mark.parametrize("attempt", [1, 8, 99])
def test_success_is_done_whichever_attempt_it_was(attempt: int) -> None:
    assert decide(AttemptOutcome.DONE, attempt, RetryPolicy(), 0.5) == Done()


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (AttemptOutcome.DISCARDED, DeadReason.DISCARDED),
        (AttemptOutcome.GAVE_UP, DeadReason.GAVE_UP),
        (AttemptOutcome.PAYLOAD_MISMATCH, DeadReason.PAYLOAD_MISMATCH),
        (AttemptOutcome.PROCESSOR_MISSING, DeadReason.PROCESSOR_MISSING),
    ],
)
def test_what_can_never_succeed_is_dead_at_once(outcome: AttemptOutcome, reason: DeadReason) -> None:
    assert decide(outcome, 1, RetryPolicy(), 0.5, asked_delay=1.0) == Dead(reason)


def test_every_outcome_of_an_attempt_is_decided() -> None:
    decided = {AttemptOutcome.DONE, AttemptOutcome.DISCARDED, AttemptOutcome.PAYLOAD_MISMATCH}
    decided |= {AttemptOutcome.PROCESSOR_MISSING, AttemptOutcome.GAVE_UP}
    decided |= {AttemptOutcome.DEFERRED, *TRIED_AGAIN}
    assert decided == set(AttemptOutcome), "a new outcome: say above whether it is tried again"
