"""The child process of a shadow replay: holds a new version of a file, routes to it and runs it.

    python -m gateway.shadowed FILE.py

It opens no Redis: what it is asked stands on stdin, what it answers on a pipe, a line of JSON each.
Steps that were recorded give what they gave; what runs here records nothing, and emits to nobody.
"""

import importlib
import importlib.util
import io
import json
import os
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Final

from gateway.adapters.worker.isolation import dump_finish, load_claimed
from gateway.application import Application
from gateway.configuration import load_config
from gateway.core.delivery import Claimed
from gateway.core.event import Event
from gateway.core.routing import Router
from gateway.faults import ConfigError
from gateway.isolated import run_open
from gateway.plugins import Registry
from gateway.plugins.steps import MemorySteps
from gateway.process import Ready, conclude, prepare, where
from gateway.routes import build_router
from gateway.wiring import Place

FAULTY: Final = 78

Answer = dict[str, Any]


def main(file: Path) -> None:
    orders, answers = _take_pipes()
    try:
        app = load_shadow(file, Place.from_environ())
    except Exception as error:  # whatever an author's module does
        _tell_fault(file, error)
        os._exit(FAULTY)
    answer(app, orders, answers)
    os._exit(0)  # threads of a processor that was given up on must not keep us


def load_shadow(file: Path, place: Place) -> Application:
    """The configuration as it is, with the processors of that file and no others.

    Raises whatever the file does, ConfigError, or ValueError where it has no processor.
    """
    config = load_config(place.config, os.environ)
    registry = getattr(load_module(file, place.processors), "registry", None)
    if not (isinstance(registry, Registry) and registry.processors):
        raise ValueError("the file has no `registry` with a processor in it")
    return Application(config, {each.name: each for each in registry.processors})


def load_module(file: Path, folder: Path) -> ModuleType:
    """Under the name that it has, or would have, in the folder: its neighbours find this version."""
    package = folder.resolve()
    sys.path.insert(0, str(package.parent))
    if (package / "__init__.py").exists():
        importlib.import_module(package.name)
    name = f"{package.name}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise ValueError("this is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def answer(app: Application, orders: BinaryIO, answers: BinaryIO) -> None:
    """Until nobody asks any more. First, unasked, what there is."""
    names = {
        each.name: each.timeout or app.timeout_of(app.config.source(each.source))
        for each in app.processors.values()
    }
    _say(answers, {"processors": names})
    conditions = {each.name: each.when for each in app.config.sources if each.when}
    router = build_router(app.processors, conditions)
    asks: Mapping[str, Callable[[Answer], Answer]] = {
        "route": lambda order: _route(router, order),
        "run": lambda order: _run(app, order),
    }
    for line in orders:
        order: Answer = json.loads(line)
        _say(answers, asks[order["ask"]](order))


def _route(router: Router, order: Answer) -> Answer:
    claimed = load_claimed(json.dumps(order["claimed"]).encode())
    return {"wants": list(router(event_of(claimed)).processors)}


def event_of(claimed: Claimed) -> Event:
    """As a gateway had it."""
    return Event(
        claimed.event,
        claimed.source,
        claimed.type,
        claimed.provider_id,
        tuple((name.encode("latin-1", "replace"), value.encode()) for name, value in claimed.headers),
        claimed.body,
        claimed.received_ms / 1000,
    )


def _run(app: Application, order: Answer) -> Answer:
    claimed = load_claimed(json.dumps(order["claimed"]).encode())
    steps = MemorySteps({name: value.encode() for name, value in order["steps"].items()})
    source = app.config.source(claimed.source)
    policy = app.retry_of(source)
    ready = prepare(claimed, app.processors, app.timeout_of(source), policy, steps)
    assert isinstance(ready, Ready), "only what it wants is run"
    error, seconds = run_open(ready)
    finish = conclude(
        claimed,
        error,
        policy,
        jitter=random.random(),
        seconds=seconds,
        at=datetime.now(UTC),
        processor=ready.processor,
        outbox=ready.event.outbox,
    )
    return {"finish": json.loads(dump_finish(finish)), "seconds": seconds}


def _say(answers: BinaryIO, value: Answer) -> None:
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Out of a processor's reach: what it prints goes to stderr, and is no answer of ours."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    return orders, answers


def _tell_fault(file: Path, error: Exception) -> None:
    """`file:line: what`; of a configuration every fault."""
    sys.stderr.write(f"{_fault_text(file, error)}\n")
    sys.stderr.flush()


def _fault_text(file: Path, error: Exception) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    else:
        place = where(error) or str(file)
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return f"{place}: {text}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
