"""A slice of `scripts/chaos torn`."""

from pathlib import Path

from tests.chaos import torn


def test_a_file_that_ends_too_early_holds_each_call_wholly_or_not_at_all(tmp_path: Path) -> None:
    report = torn.campaign(tmp_path, calls=20, most=6, seed=3)
    assert (report.faults, report.figures["cuts"]) == ([], 6)
