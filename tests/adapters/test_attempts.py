"""Attempts: each is begun in the way that is safe for the others, and what its end means is kept."""

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from gateway.adapters.worker.attempts import Attempts, End
from gateway.adapters.worker.isolation import IsolatedEnd, IsolationFailed
from gateway.adapters.worker.runner import Ended
from gateway.core.delivery import Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Done, Wait
from gateway.process import Ready
from tests.adapters.worker_rig import Seen, a_claim, an_app, lines

__all__ = ["lines"]
DONE, FAILED, CRASHED = AttemptOutcome.DONE, AttemptOutcome.FAILED, AttemptOutcome.CRASHED


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[Ready]:
    """What was given to a process of its own; how that ends, the test says."""
    given: list[Ready] = []
    monkeypatch.setattr(
        "gateway.adapters.worker.attempts.run_isolated", lambda ready, report: given.append(ready)
    )
    return given


class Bench:
    """A worker without a server: what it would record is in `kept`."""

    def __init__(self, concurrency: int = 8, *, isolate: bool = False) -> None:
        self.seen = Seen()
        self.kept: list[Finish] = []
        self._ends: SimpleQueue[End] = SimpleQueue()
        self.attempts = Attempts(
            an_app(self.seen.processor()),
            "redis://nowhere",
            concurrency,
            isolate=isolate,
            report=self._ends.put,
            keep=lambda finish, seconds: self.kept.append(finish),
        )

    def start(self, *values: str, **claim: Any) -> None:
        for value in values:
            self.attempts.start(a_claim(provider_id=value, **claim))

    def end(self, many: int) -> None:
        """So many that run in this process."""
        for _ in range(many):
            self.attempts.ended(self._ends.get(timeout=60))

    @property
    def outcomes(self) -> list[AttemptOutcome]:
        return [finish.outcome for finish in self.kept]


def ended_well(ready: Ready) -> End:
    return IsolatedEnd(ready, Finish(ready.claimed.delivery, ready.claimed.fence, Done(), DONE), 0.1)


def crashed(ready: Ready) -> End:
    return IsolatedEnd(ready, Finish(ready.claimed.delivery, ready.claimed.fence, None, CRASHED), 0.1)


def had_no_process(ready: Ready) -> End:
    return Ended(ready, IsolationFailed("no process for it"), 0.0)


def test_what_nobody_suspects_runs_here_and_how_it_ends_is_kept(alone: list[Ready]) -> None:
    bench = Bench()
    bench.start("1", "2")
    bench.end(2)
    assert (sorted(bench.seen.values), bench.outcomes, alone) == (["1", "2"], [DONE, DONE], [])


def test_a_start_that_fails_is_a_failed_attempt_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    start, refused = bench.attempts._runner.start, iter([True])

    def start_or_refuse(*arguments: Any) -> None:
        if next(refused, False):
            raise RuntimeError("can't start new thread")
        start(*arguments)

    monkeypatch.setattr(bench.attempts._runner, "start", start_or_refuse)
    bench.start("1", "2")
    (refusal,) = bench.kept
    assert isinstance(refusal.decision, Wait)
    bench.end(1)
    assert (bench.outcomes, bench.seen.values) == ([FAILED, DONE], ["2"])


def test_all_run_alone_where_the_operator_wants_it(alone: list[Ready]) -> None:
    Bench(isolate=True).start("1", "2")
    assert [ready.event.provider_id for ready in alone] == ["1", "2"]


def test_what_took_its_worker_down_runs_alone_and_what_is_beside_it_does_not(
    alone: list[Ready],
) -> None:
    bench = Bench()
    bench.start("1", alone=True)
    bench.start("2")
    bench.end(1)
    assert ([ready.event.provider_id for ready in alone], bench.seen.values) == (["1"], ["2"])


def test_once_too_many_do_not_listen_to_their_limit_the_next_run_in_processes(
    alone: list[Ready],
) -> None:
    bench = Bench(concurrency=2)
    bench.attempts._runner.abandoned = 1
    bench.start("1")
    bench.attempts._runner.abandoned = 2
    bench.start("2")
    bench.end(1)
    assert ([ready.event.provider_id for ready in alone], bench.seen.values) == (["2"], ["1"])


@pytest.mark.parametrize(
    ("end", "beside", "next_alone"),
    [(ended_well, ["2", "3"], []), (crashed, [], ["2", "3"]), (had_no_process, [], ["2"])],
)
def test_of_a_suspect_the_others_wait_and_go_on_by_how_the_one_that_is_tried_ends(
    alone: list[Ready], end: Callable[[Ready], End], beside: list[str], next_alone: list[str]
) -> None:
    bench = Bench()
    bench.attempts.suspects.accuse(["archive"])
    bench.start("1", "2", "3")
    (tried,) = alone
    bench.attempts.ended(end(tried))
    bench.end(len(beside))
    assert sorted(bench.seen.values) == beside
    assert [ready.event.provider_id for ready in alone[1:]] == next_alone


def test_of_a_crash_the_processor_is_told_and_where_it_stands(alone: list[Ready], lines: Any) -> None:
    bench = Bench(isolate=True)
    bench.start("1")
    bench.attempts.ended(crashed(alone[0]))
    (line,) = (each for each in lines if each["event"] == "attempt.crashed")
    assert (line["processor"], bench.outcomes) == ("archive", [CRASHED])
    assert "worker_rig.py:" in line["where"]
