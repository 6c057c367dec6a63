"""The child process of `adapters/isolation.py`: one delivery in, how it ended out."""

import os
import random
import sys
import time
from datetime import UTC, datetime
from queue import SimpleQueue

from gateway.adapters.isolation import dump_finish, load_claimed, watch_parent
from gateway.adapters.runner import Ended, Runner
from gateway.application import Application
from gateway.core.delivery import Claimed, Finish
from gateway.process import Ready, conclude, prepare
from gateway.wiring import Place, load_application


def main() -> None:
    claimed = load_claimed(sys.stdin.buffer.readline())
    watch_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a processor prints must not stand in for our answer
    app = load_application(Place.from_environ())
    finish, _, _ = run_here(app, claimed)
    answers.write(dump_finish(finish) + b"\n")
    answers.close()
    os._exit(0)  # threads of a processor that was given up on must not keep us


def run_here(app: Application, claimed: Claimed) -> tuple[Finish, BaseException | None, float]:
    """Runs one claimed delivery to its end in this process. Also the error, and seconds taken."""
    source = app.config.source(claimed.source)
    ready = prepare(claimed, app.processors, app.timeout_of(source))
    error: BaseException | None = ready if isinstance(ready, Exception) else None
    seconds = 0.0
    if isinstance(ready, Ready):
        ended = run_to_end(ready)
        error, seconds = ended.error, ended.seconds
    policy, at = app.retry_of(source), datetime.now(UTC)
    finish = conclude(claimed, error, policy, jitter=random.random(), seconds=seconds, at=at)
    return finish, error, seconds


def run_to_end(ready: Ready) -> Ended:
    """One attempt under its time limit, in this process."""
    results: SimpleQueue[Ended] = SimpleQueue()
    runner = Runner(results.put)
    runner.start(ready)
    while results.empty():
        time.sleep(0.005)
        runner.enforce_timeouts()
    return results.get()


if __name__ == "__main__":
    main()
