"""A slice of `scripts/chaos mixed`: what kills its process harms no other processor's delivery."""

from pathlib import Path

from tests.chaos.mixed import campaign


def test_each_of_four_unlike_processors_ends_as_it_means_beside_one_that_kills_its_process(
    tmp_path: Path, redis_url: str
) -> None:
    report = campaign(tmp_path, redis_url, events=50, rate=10, deadly=1, seed=1, quick=5.0)
    print(report)
    assert report.figures["workers that died"]
    assert not report.faults, report
