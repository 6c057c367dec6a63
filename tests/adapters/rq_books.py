"""What RQ's own tools see, through RQ's own classes, and whether it is what the ledger says.

`assert_true` reads both sides from the server. What the caller knows to be missing it names:
bells that were lost, jobs that were deleted, dead letters whose Requeue was pressed.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import (
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
    clean_registries,
)
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from gateway.adapters.ledger import terms
from tests.adapters.ledger_rig import Rig

REGISTRIES = (
    StartedJobRegistry,
    FinishedJobRegistry,
    FailedJobRegistry,
    ScheduledJobRegistry,
    DeferredJobRegistry,
)


@dataclass(slots=True)
class Books:
    """Job ids of one queue, as RQ tells them or as the ledger would have them."""

    queued: set[str] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    scheduled: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


def rq_queue(rig: Rig, name: str = "github") -> Queue:
    return Queue(name, connection=rig.redis, serializer=JSONSerializer)


def ids(rig: Rig, registry: Any, name: str = "github") -> set[str]:
    """What a registry holds, looked at without its clean-up."""
    return set(
        registry(name, connection=rig.redis, serializer=JSONSerializer).get_job_ids(cleanup=False)
    )


def job(rig: Rig, job_id: str) -> Job:
    return Job.fetch(job_id, connection=rig.redis, serializer=JSONSerializer)


def has_job(rig: Rig, job_id: str) -> bool:
    try:
        return bool(job(rig, job_id))
    except NoSuchJobError:
        return False


def empty(rig: Rig, name: str = "github") -> None:
    """As the button of rq-dashboard does: the jobs go with the list."""
    queue: Any = rq_queue(rig, name)
    queue.empty()


def run_scheduler(rig: Rig, name: str = "github") -> None:
    """One round of `rq worker --with-scheduler`."""
    scheduler: Any = RQScheduler([name], rig.redis, logging_level="WARNING", serializer=JSONSerializer)
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()


def storm(rig: Rig, name: str = "github") -> None:
    """Everything that a monitor may ask RQ, with the clean-up that RQ then runs."""
    for registry in REGISTRIES:
        each = registry(name, connection=rig.redis, serializer=JSONSerializer)
        assert each.count == len(each.get_job_ids())
    clean_registries(rq_queue(rig, name))


def as_rq_has_it(rig: Rig, name: str) -> Books:
    return Books(
        queued=set(rq_queue(rig, name).get_job_ids()),
        started=ids(rig, StartedJobRegistry, name),
        scheduled=ids(rig, ScheduledJobRegistry, name),
        failed=ids(rig, FailedJobRegistry, name),
    )


def as_the_ledger_has_it(rig: Rig, name: str) -> Books:
    books = Books()
    for key in rig.scan(rig.keys.event("*")):
        record: dict[bytes, bytes] = rig.raw("HGETALL", key)
        _, queue = terms.names([record.get(each.encode()) for each in terms.FIELDS]) or ("", "")
        if queue != name:
            continue
        for number in (m[1] for f in record if (m := re.fullmatch(r"(\d+)s", f.decode()))):
            delivery = f"dlv_{key.rpartition('evt_')[2]}-{number}"
            fence = int(record.get(f"{number}f".encode(), 0))
            match record[f"{number}s".encode()]:
                case b"pending":
                    books.queued.add(f"{delivery}-{fence + 1}")
                case b"leased":
                    books.started.add(f"{delivery}-{fence}")
                case b"waiting":
                    books.scheduled.add(f"{delivery}-{fence + 1}")
                case b"dead":
                    books.failed.add(delivery)
    return books


def assert_true(
    rig: Rig,
    name: str = "github",
    *,
    lost: Collection[str] = (),
    unbooked: Collection[str] = (),
    deleted: Collection[str] = (),
) -> None:
    """`lost`: job ids whose bell was taken away. `unbooked`: ids that may be missing from their
    registry (a lease that has ended and was rung again, a Requeue that was pressed, a time that
    RQ's scheduler has seen come). `deleted`: ids whose job may be gone."""
    truth, shown = as_the_ledger_has_it(rig, name), as_rq_has_it(rig, name)
    assert truth.queued - shown.queued <= set(lost)
    for state in ("started", "scheduled", "failed"):
        wanted, found = getattr(truth, state), getattr(shown, state)
        assert found <= wanted, f"{state} for RQ, not for the ledger: {found - wanted}"
        assert wanted - found <= set(unbooked), f"{state} for the ledger, not for RQ: {wanted - found}"
    for state in ("queued", "started", "scheduled", "failed"):
        for job_id in (getattr(truth, state) & getattr(shown, state)) - set(deleted):
            _assert_readable(rig, job(rig, job_id), name, state)


def _assert_readable(rig: Rig, found: Job, name: str, state: str) -> None:
    function = "gateway.jobs.again" if state == "failed" else "gateway.jobs.look"
    delivery = re.sub(r"^(dlv_[a-z2-7]+-\d+).*", r"\1", found.id)
    assert (found.func_name, found.args, found.kwargs) == (function, [], {})
    assert (found.get_status(), found.origin, found.timeout) == (state, name, -1)
    assert found.description == rig.row(delivery).processor
