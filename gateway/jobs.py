"""What a stock `rq worker` runs. These names are in every queued job: they never change.

A job says "look now" and nothing else. Everything that matters is in the ledger, so losing a job
costs a delay and repeating one costs nothing.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import get_current_job
from rq.job import Job

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, T, run
from gateway.adapters.ledger.steps import StepStore
from gateway.adapters.worker.attempt_log import note_attempt
from gateway.application import Application
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import DELIVERY_PREFIX
from gateway.core.outcomes import DeadReason
from gateway.isolated import run_here
from gateway.logs import configure_logs, logger
from gateway.routes import build_router
from gateway.wiring import Place, load_application

PATIENCE_SECONDS: Final = 300.0
PAUSE_SECONDS: Final = 1.0
SHOWN_SECONDS: Final = (
    86_400  # a look that has failed; of a delivery that is open the ledger forgets it sooner
)


class ReplayRefused(Exception):  # noqa: N818 - an answer
    """The dead letter stays one."""


def look(short: str = "") -> None:
    """The job of a delivery that is due: its id says which. In jobs of the release before `short` does:
    the delivery's id without `dlv_`."""
    job = _job()
    job.failure_ttl, job.result_ttl = SHOWN_SECONDS, 0
    deliver(DELIVERY_PREFIX + short if short else job.id)


def again(short: str = "") -> None:
    """The job of a dead letter, which runs when somebody presses Requeue."""
    job = _job()
    job.result_ttl = 0
    replay(DELIVERY_PREFIX + short if short else job.id)


def deliver(delivery: str) -> None:
    """Claims, runs and finishes one delivery; returns at once when there is nothing to do.

    `delivery`: its id, or that of a job for it."""
    app = _application()
    client, keys = _client(), Keys(app.prefix)
    worker = app.config.settings.worker
    lease_ms = int(worker.lease * 1000)
    call = ledger.claim(
        lease_ms=lease_ms,
        worker=f"rq-{os.getpid()}",
        keep_books=False,
        taken=[(delivery, "")],
        abandon_after=worker.abandon_after,
        token=secrets.token_urlsafe(12),  # asked again with it, an unheard lease is the same one
    )
    (claimed,), _ = _until_heard(client, keys, call)
    if isinstance(claimed, Claimed):
        with _renewed(client, keys, claimed, lease_ms):
            finish, seconds = run_here(app, claimed, StepStore(_client, keys))
            recorded = _record(client, keys, finish)
        note_attempt(claimed, finish, seconds, recorded=recorded)
    _keep_book(client)


def replay(delivery: str) -> None:
    """A dead letter's job: somebody pressed Requeue. Raises ReplayRefused, which RQ shows."""
    client = _client()
    (word,), _ = _until_heard(client, Keys(_application().prefix), ledger.replay([delivery]))
    if word == DeadReason.BODY_MISSING:
        raise ReplayRefused("its body is gone: the retention is over")
    _keep_book(client)


def _keep_book(client: "Redis") -> None:
    """The ledger may have thrown away this very job; RQ fails one that it cannot throw away itself."""
    job = get_current_job()
    if job and not client.exists(job.key):
        job.save()


def _record(client: "Redis", keys: Keys, finish: Finish) -> bool:
    """What is not recorded is run again. Raises redis.RedisError."""
    call = ledger.finish([finish], keep_books=False, internal=_internal() if finish.emitted else None)
    (recorded,), repeated = _until_heard(client, keys, call)
    return recorded or repeated  # what is refused then may have been done the time before


def _until_heard(client: "Redis", keys: Keys, call: Call[T]) -> tuple[T, bool]:
    """The reply, and whether the call was repeated: waits for a server that is away. Raises
    redis.RedisError where it stays away."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    repeated = False
    while True:
        try:
            return run(client, keys, call), repeated
        except RedisError as error:
            if time.monotonic() > deadline:
                raise
            logger().error("job.redis_unavailable", error=type(error).__name__)
            repeated = True
            time.sleep(PAUSE_SECONDS)


@contextmanager
def _renewed(client: "Redis", keys: Keys, claimed: Claimed, lease_ms: int) -> Iterator[None]:
    """Keeps the lease while the processor runs."""
    stopped = threading.Event()
    call = ledger.renew([(claimed.delivery, claimed.fence)], lease_ms)

    def renew() -> None:
        while not stopped.wait(lease_ms / 3000):
            try:
                run(client, keys, call)
            except Exception as error:  # the next one may come through in time
                logger().error("job.redis_unavailable", error=type(error).__name__)

    threading.Thread(target=renew, daemon=True).start()
    try:
        yield
    finally:
        stopped.set()


def _internal() -> ledger.Internal:
    app = _application()
    return ledger.Internal(app.config.internal, build_router(app.processors))


@cache
def _application() -> Application:
    app = load_application(Place.from_environ())
    configure_logs(app.config.settings.log.format, app.config.settings.log.level)
    return app


def _job() -> Job:
    job = get_current_job()
    assert job is not None, "gateway.jobs runs inside an RQ worker only"
    return job


@cache
def _client() -> "Redis":
    """The server that the job came from, whatever REDIS_URL says here. Commands are never repeated
    silently: claim and finish would look as if somebody else had done them."""
    pool = _job().connection.connection_pool
    options = {**pool.connection_kwargs, "socket_timeout": 5.0, "retry": Retry(NoBackoff(), 0)}
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))
