"""`hookline worker`: runs processors."""

import faulthandler
import os
import sys

import click

from gateway.cli.shared.deployment import load_or_exit
from gateway.cli.shared.exits import BAD_CONFIG, NOT_FOUND, UNAVAILABLE, fail
from gateway.cli.shared.options import place_options
from gateway.cli.shared.server import redis_faults, url_or_exit


@click.command()
@place_options
@click.option("--source", "sources", multiple=True, help="Only this source's queue; may be repeated.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    help="Deliveries at once (default: worker.concurrency).",
)
@click.option("--isolate", is_flag=True, help="Run each delivery in a process of its own.")
@click.option("--burst", is_flag=True, help="Stop when nothing is left to do.")
def command(sources: tuple[str, ...], concurrency: int | None, isolate: bool, burst: bool) -> None:
    """Run processors for accepted events.

    SIGHUP: starts anew from the files as they are then, after a check that they have no fault.
    SIGTERM: claims no more, lets running processors end within worker.grace, gives the rest back.
    A stock `rq worker -S json QUEUE...` drains the same queues.
    """
    from redis.exceptions import RedisError

    from gateway.adapters.ledger.durability import SERVER, may_pass
    from gateway.adapters.worker.lifespans import LifespanFailed
    from gateway.adapters.worker.watchdog import Watchdog
    from gateway.adapters.worker.worker import HooklineWorker
    from gateway.collector import spare_what_stays
    from gateway.logs import configure_logs, logger

    faulthandler.enable(sys.__stderr__ or 2)  # of a crash in native code, the author's line
    app = load_or_exit(dict(os.environ))
    settings = app.config.settings
    configure_logs(settings.log.format, settings.log.level)
    url = url_or_exit(app)
    faults = redis_faults(app, url)
    # A full memory, a full disk or a missing replica is no reason not to end what is open.
    if any(fault.key in (SERVER, "role") or not may_pass([fault]) for fault in faults):
        status = UNAVAILABLE if may_pass(faults) else BAD_CONFIG
        fail(status, "\n".join(str(fault) for fault in faults))
    internal = app.config.internal
    chosen = [internal if name == internal.name else app.config.source(name) for name in sources]
    if None in chosen:
        known = ", ".join(source.name for source in app.config.sources)
        fail(NOT_FOUND, f"Unknown source in --source; configured: {known}")
    queues = list(dict.fromkeys(source.queue for source in chosen if source)) or list(app.queues)
    many = concurrency or settings.worker.concurrency
    watchdog = Watchdog(settings.worker.lease)
    worker = HooklineWorker(app, url, queues, many, isolate=isolate, watchdog=watchdog)
    try:
        worker.open()
    except LifespanFailed as failure:
        fail(UNAVAILABLE, str(failure))
    logger().info(
        "worker.started", queues=",".join(queues), concurrency=many, processors=len(app.processors)
    )
    spare_what_stays()
    try:
        worker.work(burst=burst)
    except RedisError as error:  # before it had taken anything: what runs outlives an outage
        why = f"Redis went away while the worker started ({type(error).__name__}). Start it again."
        fail(UNAVAILABLE, why)
    logger().info("worker.stopped", done=worker.successful_job_count, failed=worker.failed_job_count)
    if worker.farewell.restart:
        # The same process id: whoever supervises us sees no end.
        os.execv(sys.executable, [sys.executable, "-m", "gateway", *sys.argv[1:]])
