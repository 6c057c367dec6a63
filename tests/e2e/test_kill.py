"""A slice of the two kill campaigns. The whole of them: `scripts/chaos`."""

from pathlib import Path

from tests.chaos import gateway_kill, kill


def test_a_worker_that_is_killed_loses_nothing_and_every_run_is_accounted_for(
    tmp_path: Path, redis_url: str
) -> None:
    report = kill.campaign(tmp_path, redis_url, kills=2, deliveries=60, seed=7)
    assert not report.faults, str(report)
    assert report.figures["  cut off in mid-run"], str(report)


def test_a_gateway_that_is_killed_loses_nothing_that_it_acknowledged(
    tmp_path: Path, redis_url: str
) -> None:
    report = gateway_kill.campaign(tmp_path, redis_url, kills=2, seed=7)
    assert not report.faults, str(report)
