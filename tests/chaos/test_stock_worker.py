"""A stock `rq worker` drains the same queues by the same rules, as long as somebody sweeps."""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from rq import Queue
from rq.job import Job, requeue_job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from tests.adapters.ledger_rig import a_delivery
from tests.chaos.rig import Crew, a_deployment
from tests.e2e.rig import Gateway, until

PROCESSORS = """
import os, signal

def process(event: Event) -> None:
    note(event, "start")
    if event.provider_id == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if event.provider_id == "later" and event.attempt == 1:
        raise ValueError
    if event.provider_id == "never":
        raise Discard("no")
    if event.provider_id == "once" and event.fence == 1:
        raise Discard("no")
    note(event, "end")

for source in ("github", "stripe"):
    registry.processor(source=source, name=source)(process)
"""
SOURCES = ("github", "stripe", "quiet")


@pytest.fixture
def crew(tmp_path: Path, redis_url: str) -> Iterator[Crew]:
    with Crew(a_deployment(tmp_path, PROCESSORS, SOURCES, lease="1s"), redis_url) as found:
        yield found


def accept(crew: Crew, *values: str, source: str = "github") -> None:
    crew.accept(*values, source=source, processors=(source,))


def failed(crew: Crew) -> list[str]:
    return FailedJobRegistry("github", connection=crew.client).get_job_ids()


def sweep(crew: Crew) -> None:
    """Somebody who sweeps and runs nothing of ours: any gateway or hookline worker does."""
    crew.worker("--source", "quiet")


def test_it_drains_two_queues_and_leaves_nothing_in_rq(crew: Crew) -> None:
    accept(crew, "1", "2")
    accept(crew, "3", source="stripe")
    stock = crew.stock("github", "stripe", options=["--burst"])
    assert stock.process.wait(60) == 0, stock.text()
    assert Counter(run.value for run in crew.runs()) == {"1": 1, "2": 1, "3": 1}
    assert {crew.row("1").state, crew.row("2").state, crew.row("3", source="stripe").state} == {"done"}
    assert crew.rig.scan("rq:job:*") == []
    assert "attempt.done" in stock.text()


@pytest.mark.parametrize("sweeper", ["hookline worker", "gateway"])
def test_a_retry_waits_for_a_sweeper(crew: Crew, sweeper: str) -> None:
    """A stock worker has none. A gateway or a hookline worker beside it brings the retry."""
    accept(crew, "later", "good")
    stock = crew.stock("github", "stripe")
    until(lambda: crew.row("good").state == "done")
    due = until(lambda: crew.row("later").state == "waiting" and crew.row("later").time)
    scheduled = Queue("github", connection=crew.client).scheduled_job_registry
    assert scheduled.get_job_ids() == [f"{a_delivery('later')}-2"]
    until(lambda: crew.rig.now() > due + 300)
    assert crew.row("later").state == "waiting"
    with Gateway(crew.deployment, crew.url) if sweeper == "gateway" else nullcontext():
        if sweeper != "gateway":
            sweep(crew)
        until(lambda: crew.row("later").state == "done")
    assert [run.attempt for run in crew.runs() if run.value == "later"] == [1, 2]
    assert stock.process.poll() is None


def test_a_dead_letter_is_a_failed_job_and_its_requeue_a_replay(crew: Crew) -> None:
    accept(crew, "once", "never")
    crew.stock("github", options=["--burst"]).process.wait(60)
    assert set(failed(crew)) == {a_delivery("once"), a_delivery("never")}
    job = Job.fetch(a_delivery("once"), connection=crew.client, serializer=JSONSerializer)
    assert job.get_status() == "failed"
    assert job.func_name == "gateway.jobs.again"
    requeue_job(a_delivery("once"), connection=crew.client, serializer=JSONSerializer)
    crew.stock("github", options=["--burst"]).process.wait(60)
    assert crew.row("once").state == "done"
    assert failed(crew) == [a_delivery("never")]
    assert Queue("github", connection=crew.client).count == 0


def test_a_job_that_rq_loses_is_recovered_by_the_sweeper(crew: Crew) -> None:
    """Two queues: RQ pops with BLPOP. A kill between the pop and the start loses the job for RQ."""
    accept(crew, "1")
    killed = crew.stock("github", "stripe", options=["-w", "tests.chaos.kill_points.KilledAfterPop"])
    assert killed.process.wait(60) == -9
    assert crew.rig.queued() == []
    assert crew.runs() == []
    sweep(crew)
    until(lambda: crew.rig.queued() == [f"{a_delivery()}-1"])
    crew.stock("github", "stripe", options=["--burst"]).process.wait(60)
    assert (crew.row("1").state, crew.row("1").attempts) == ("done", 1)


def test_poison_kills_work_horses_three_times(crew: Crew) -> None:
    accept(crew, "poison", "good")
    crew.stock("github", "stripe")
    sweep(crew)
    until(lambda: crew.row("poison").state == "dead")
    row = crew.row("poison")
    assert (row.reason, row.attempts, row.crashes) == ("poison", 3, 3)
    assert crew.row("good").state == "done"
    assert a_delivery("poison") in failed(crew)
