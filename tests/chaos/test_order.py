"""A slice of `scripts/chaos order`: a worker process that is killed every second while lines wait."""

from pathlib import Path

from tests.chaos.order_kill import campaign


def test_each_line_is_worked_off_in_order_however_often_the_worker_is_killed(
    tmp_path: Path, redis_url: str
) -> None:
    report = campaign(tmp_path, redis_url, events=200, keys=8, seed=1, longest=0.1, kills=2)
    print(report)
    assert report.figures["kills of a worker"]
    assert not report.faults, report
