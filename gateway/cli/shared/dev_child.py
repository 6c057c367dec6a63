"""One process of `hookline dev`: imports what takes long, waits for its cue, then serves or works.

    python -m gateway.cli.shared.dev_child worker
    python -m gateway.cli.shared.dev_child gateway FD ADMIN_FD

The cue is a line on stdin, an environment as JSON; a further one makes a gateway reload. When stdin
ends, so does this process: nothing is left behind whatever becomes of its parent. The sockets are the
parent's, and a gateway is never replaced while it lives: no request meets a closed door.
"""

import importlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

from gateway.adapters.http.server import Parts, run_gateway
from gateway.adapters.worker.lifespans import LifespanFailed
from gateway.adapters.worker.watchdog import Watchdog
from gateway.adapters.worker.worker import HooklineWorker
from gateway.application import Application
from gateway.cli.shared.deployment import current_place, load_or_exit
from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.server import url_or_exit
from gateway.logs import configure_logs, logger
from gateway.wiring import build_deployment, idle_processors, load_application


def main(arguments: Sequence[str]) -> None:
    role, *descriptors = arguments
    orders = _take_stdin()
    cue = orders.readline()
    if not cue:
        return
    os.environ.update(json.loads(cue))
    threading.Thread(target=_obey, args=(orders,), daemon=True).start()
    # Python tells a stale .pyc by whole seconds and the size: two quick edits would look like one.
    sys.dont_write_bytecode = True
    configure_logs("json", "info")  # whatever the settings say for production: the parent reads them
    app = load_or_exit(dict(os.environ))
    url = url_or_exit(app)
    if role == "worker":
        _work(app, url)
    else:
        _serve(app, url, [socket.socket(fileno=int(each)) for each in descriptors])


def _work(app: Application, url: str) -> None:
    queues, many = list(app.queues), app.config.settings.worker.concurrency
    watchdog = Watchdog(app.config.settings.worker.lease)
    worker = HooklineWorker(app, url, queues, many, watchdog=watchdog)
    try:
        worker.open()
    except LifespanFailed as failure:
        fail(FAILED, str(failure))
    logger().info("worker.started", queues=",".join(queues), processors=len(app.processors))
    worker.work()


def _serve(app: Application, url: str, sockets: Sequence[socket.socket]) -> None:
    parts = Parts(app, url, build_deployment, _load_anew)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the gateway listens to it
    _tell("gateway.started", app)
    run_gateway(parts, *sockets)


def _load_anew() -> Application:
    """The processors' modules too. A gateway asks them what they want, and never runs one: what others
    still hold of the old ones does not matter. Raises ConfigError."""
    place = current_place()
    folder = place.processors.resolve().name
    for name in [each for each in sys.modules if each == folder or each.startswith(f"{folder}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    app = load_application(place)
    _tell("gateway.reloads", app)
    return app


def _tell(word: str, app: Application) -> None:
    for warning in (*app.config.warnings, *idle_processors(app)):
        logger().warning("config.warning", warning=warning)
    logger().info(word, paths={each.name: each.path for each in app.config.sources})


def _take_stdin() -> BinaryIO:
    """Out of a processor's reach: whoever reads there gets nothing, and takes no order of ours."""
    orders = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def _obey(orders: BinaryIO) -> None:
    for cue in orders:
        os.environ.update(json.loads(cue))
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
