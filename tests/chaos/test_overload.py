"""A slice of `scripts/chaos overload`, and its rules. A short run on a busy machine says nothing of
latencies: what is looked at is that everybody is answered and started, and that rules are broken by it.
"""

from pathlib import Path

from tests.chaos.overload.campaign import Row, Spread, campaign, line
from tests.e2e.rig import PATIENT

FINE = Spread.of([0.001] * 98 + [0.004, 0.005])
SLOW = Spread.of([0.001] * 98 + [0.080, 0.090])


def row(during: Spread, refused: int = 0, case: str = "neighbour") -> Row:
    made = Row(case, (FINE, during), (FINE, FINE), refused)
    made.judge()
    return made


def test_a_source_beside_a_loud_neighbour_is_answered_and_its_processor_started(
    tmp_path: Path, redis_url: str
) -> None:
    found = campaign(
        tmp_path, redis_url, "neighbour", 0.4, rate=20, workers=1, hurry=0.1, settings=PATIENT
    )
    print(line(found))
    assert (found.refused, set(found.told), found.deaths) == (0, {"200"}, 0)
    assert all(spread.many >= 4 for spread in (*found.answers, *found.starts))


def test_more_than_twice_as_long_breaks_a_rule_and_an_unanswered_request_does() -> None:
    assert row(FINE).faults == []
    (fault,) = row(SLOW).faults
    assert "answered within 80 ms (p99), 20.0 times as long" in fault
    assert row(FINE, refused=1).faults
    assert row(Spread.of([])).faults


def test_where_the_machine_gives_all_an_answer_within_a_second_is_enough() -> None:
    assert row(SLOW, case="forged-most").faults == []
    assert row(Spread.of([1.5] * 100), case="forged-most").faults


def test_a_quantile_is_one_of_those_that_were_measured() -> None:
    assert Spread.of([0.003, 0.001, 0.002]) == Spread(3, 2.0, 3.0, 3.0)
