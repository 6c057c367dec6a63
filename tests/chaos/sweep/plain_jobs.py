"""Stock RQ without Hookline: what it runs, and who enqueues it, as its documentation shows it."""

import os
import time

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

SLOW_SECONDS = 0.9


def note(value: str, phase: str) -> None:
    """One write of one line: lines never mix, whoever dies."""
    log = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(log, f"{value} {os.getpid()} {phase}\n".encode())
    os.close(log)


def work(value: str) -> None:
    note(value, "start")
    if value.startswith("slow"):
        time.sleep(SLOW_SECONDS)
    note(value, "end")


def enqueue(port: str, database: str, queue: str, *values: str) -> None:
    """What was enqueued without an error is acknowledged, in the effect log."""
    client = Redis("127.0.0.1", int(port), int(database), socket_timeout=0.5)
    jobs = Queue(queue, connection=client, serializer=JSONSerializer)
    for value in values:
        try:
            jobs.enqueue(work, value, job_id=value)
        except Exception:  # answered 503: the sender knows
            note(value, "refused")
        else:
            note(value, "acknowledged")
