"""How a shadow run is judged against what was recorded."""

from collections.abc import Mapping

import pytest

from gateway.shadow import Comparison, Emitted, Run, Verdict, differences, tallies

DONE = Run("done")
FAILED = Run("failed", "KeyError", "a.py:3", 0.5)


def compared(recorded: Run | None, shadow: Run | None, *wanted: str) -> Comparison:
    found = tuple(differences(recorded, shadow, lambda kind: kind in wanted))
    return Comparison("evt_a", "github", "push", "archive", recorded, shadow, found)


def emitting(sent: Mapping[int, Emitted]) -> Run:
    return Run("done", emitted=sent)


@pytest.mark.parametrize(
    ("recorded", "shadow", "verdict", "differs"),
    [
        (DONE, DONE, Verdict.SAME, ()),
        (FAILED, DONE, Verdict.FIXED, ("outcome", "error")),
        (DONE, FAILED, Verdict.BROKEN, ("outcome", "error")),
        (FAILED, Run("timed_out", "KeyError"), Verdict.CHANGED, ("outcome",)),
        (FAILED, Run("failed", "ValueError"), Verdict.CHANGED, ("error",)),
        (None, DONE, Verdict.NEW, ("outcome",)),
        (DONE, None, Verdict.GONE, ("outcome",)),
    ],
)
def test_a_run_is_judged_by_its_outcome_its_error_and_whether_it_runs(
    recorded: Run | None, shadow: Run | None, verdict: Verdict, differs: tuple[str, ...]
) -> None:
    comparison = compared(recorded, shadow)
    assert (comparison.verdict, comparison.differences) == (verdict, differs)


def test_another_line_or_time_is_no_difference_because_every_edit_moves_lines() -> None:
    assert compared(FAILED, Run("failed", "KeyError", "a.py:9", 2.5)).verdict is Verdict.SAME


BOOKED = Emitted("booked", b'{"a":1}')


@pytest.mark.parametrize(
    ("recorded", "shadow", "differs"),
    [
        ({1: BOOKED}, {1: BOOKED}, False),
        ({1: BOOKED}, {}, True),
        ({1: BOOKED}, {1: Emitted("booked", b'{"a":2}')}, True),
        ({1: BOOKED}, {1: Emitted("lost", b'{"a":1}')}, True),
        ({1: Emitted("booked", None)}, {1: BOOKED}, False),
        ({}, {1: BOOKED}, True),
        ({}, {1: Emitted("unwanted", b"1")}, False),
        ({2: BOOKED}, {1: Emitted("unwanted", b"1"), 2: BOOKED}, False),
    ],
)
def test_emitted_events_differ_where_what_would_be_stored_differs(
    recorded: Mapping[int, Emitted], shadow: Mapping[int, Emitted], differs: bool
) -> None:
    comparison = compared(emitting(recorded), emitting(shadow), "booked", "lost")
    assert (comparison.differences == ("emitted",)) is differs
    assert (comparison.verdict is Verdict.CHANGED) is differs


def test_the_summary_has_a_row_a_processor_and_means_only_what_ran() -> None:
    slow, quick = Run("done", seconds=3.0), Run("done", seconds=1.0)
    (row,) = tallies([compared(DONE, slow), compared(FAILED, quick), compared(DONE, None)])
    assert (row.processor, row.runs, row.seconds) == ("archive", 2, 2.0)
    assert row.verdicts == {Verdict.SAME: 1, Verdict.FIXED: 1, Verdict.GONE: 1}
