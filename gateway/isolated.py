"""The child process of `adapters/worker/isolation.py`: one delivery in, how it ended out."""

import faulthandler
import io
import os
import random
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from queue import Empty, SimpleQueue
from typing import BinaryIO, Final

from redis.exceptions import RedisError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.adapters.ledger.steps import StepStore
from gateway.adapters.worker.isolation import NOT_STARTED, dump_finish, load_order, watch_parent
from gateway.adapters.worker.lifespans import LifespanFailed
from gateway.adapters.worker.runner import ABANDON_SECONDS, Ended, Runner
from gateway.adapters.worker.watchdog import Watchdog
from gateway.application import Application
from gateway.core.delivery import Claimed, Finish
from gateway.plugins import Processor
from gateway.process import NotBegun, Ready, conclude, prepare
from gateway.wiring import Place, load_application

TICK_SECONDS: Final = 0.1


def main() -> None:
    faulthandler.enable(sys.__stderr__ or 2)  # of a crash in native code, the author's line
    orders, answers = _take_pipes()
    order = orders.readline()
    if not order:
        os._exit(1)  # the parent is gone already
    watch_parent(orders)
    try:
        app = load_application(Place.from_environ())
    except Exception:
        traceback.print_exc()
        os._exit(NOT_STARTED)
    claimed, url = load_order(order)
    timeout = app.config.settings.redis.timeout
    steps = StepStore(lambda: blocking_client(url, timeout), Keys(app.prefix), url) if url else None
    late = NotBegun("its lease was lost before it began") if _is_lost(app, claimed, url) else None
    finish, _ = run_here(app, claimed, steps, alone=True, unbegun=late)
    answers.write(dump_finish(finish) + b"\n")
    answers.close()
    os._exit(0)  # threads of a processor that was given up on must not keep us


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent, out of a processor's reach: what it prints is no answer of ours."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    # The parent hangs up as soon as it has our answer: what was printed must be out by then.
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=True)
    return orders, answers


def _is_lost(app: Application, claimed: Claimed, url: str) -> bool:
    """Whether somebody else has it by now: to start took a second or, where many start, far longer.
    Where the server cannot be asked it runs: its worker goes on to renew the lease."""
    if not url:
        return False
    settings = app.config.settings
    call = ledger.renew([(claimed.delivery, claimed.fence)], int(settings.worker.lease * 1000))
    with blocking_client(url, settings.redis.timeout) as client:
        try:
            (ours,) = run(client, Keys(app.prefix), call)
        except RedisError:
            return False
    return not ours


def run_here(
    app: Application,
    claimed: Claimed,
    store: StepStore | None = None,
    *,
    alone: bool = False,
    unbegun: NotBegun | None = None,
) -> tuple[Finish, float]:
    """Runs one claimed delivery to its end in this process. Also how many seconds it took.

    `alone`: the process is there for nothing else, and ends where it stands still for too long.
    `unbegun`: why it does not run at all.
    """
    source = app.config.source(claimed.source)
    policy = app.retry_of(source)
    steps = store.of(claimed.delivery, claimed.fence) if store else None
    ready = unbegun or prepare(claimed, app.processors, app.timeout_of(source), policy, steps)
    processor = ready.processor if isinstance(ready, Ready) else None
    error: BaseException | None = ready if isinstance(ready, Exception) else None
    seconds = 0.0
    if isinstance(ready, Ready):
        watchdog = Watchdog(ready.timeout + 2 * ABANDON_SECONDS) if alone else None
        error, seconds = run_open(ready, watchdog)
    finish = conclude(
        claimed,
        error,
        policy,
        jitter=random.random(),
        seconds=seconds,
        at=datetime.now(UTC),
        processor=processor,
        outbox=ready.event.outbox if isinstance(ready, Ready) else None,
    )
    return finish, seconds


@contextmanager
def opened(processor: Processor) -> Iterator[None]:
    """What `run_to_end` needs of the processor's lifespans. Raises LifespanFailed."""
    _runner().open(processor.lifespans)
    try:
        yield
    finally:
        _runner().close()


def run_open(ready: Ready, watchdog: Watchdog | None = None) -> tuple[BaseException | None, float]:
    """How it ended and how many seconds it took, with what its processor needs open around it."""
    try:
        with opened(ready.processor):
            if watchdog:
                watchdog.feed()
            ended = run_to_end(ready)
        return ended.error, ended.seconds
    except LifespanFailed as failure:
        return failure, 0.0


def run_to_end(ready: Ready) -> Ended:
    """One attempt under its time limit, in this process. Where it has lifespans, inside `opened`."""
    results: SimpleQueue[Ended] = SimpleQueue()
    _runner().start(ready, results.put)
    while True:
        try:
            return results.get(timeout=TICK_SECONDS)
        except Empty:
            _runner().enforce_timeouts()


@cache
def _runner() -> Runner:
    """One for the process: what runs many deliveries in one must not gather threads."""
    return Runner()


if __name__ == "__main__":
    main()
