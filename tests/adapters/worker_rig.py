"""What tests of the processing side share: applications made of plain functions, and claims of them."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final, Self, TypeVar

import pytest
import structlog

from gateway.adapters.worker.worker import HooklineWorker
from gateway.application import Application
from gateway.configuration import Config
from gateway.core.delivery import Claimed
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.plugins import Event, Processor, Registry
from gateway.process import Ready, prepare
from gateway.settings import Settings
from tests.adapters.ledger_rig import Rig, Row, a_delivery, a_source

T = TypeVar("T")
LONGEST_PAUSE: Final = 0.05  # whoever looks more often takes the core from who is waited for
AT_ONCE: Final = RetryPolicy(attempts=3, first_delay=0.0)
Function = Callable[..., Any]


def until(probe: Callable[[], T], seconds: float = 60.0, what: str = "what was awaited") -> T:
    """What `probe` gives once that is true-ish. Raises AssertionError after the deadline."""
    deadline, pause = time.monotonic() + seconds, 0.001
    while not (found := probe()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return found


def a_processor(function: Function, source: str = "github", **options: Any) -> Processor:
    registry = Registry()
    registry.processor(source=source, **options)(function)
    return registry.processors[0]


def a_claim(
    processor: str = "archive", *, attempt: int = 1, body: bytes = b"{}", **more: Any
) -> Claimed:
    values: dict[str, Any] = {
        "delivery": "dlv_abc-1",
        "fence": attempt,
        "attempt": attempt,
        "crashes": 0,
        "source": "github",
        "type": "push",
        "provider_id": "1",
        "received_ms": 1_700_000_000_000,
        "processor": processor,
        "event": "evt_abc",
        "headers": (("X-One", "1"), ("Accept", "a"), ("Accept", "b")),
        "body": body,
    }
    return Claimed(**values | more)


def a_ready(function: Function, timeout: float = 10.0, **claim: Any) -> Ready:
    processor = a_processor(function)
    ready = prepare(a_claim(processor.name, **claim), {processor.name: processor}, timeout)
    assert isinstance(ready, Ready)
    return ready


def an_app(
    *processors: Processor | Function,
    sources: Iterable[Source] | None = None,
    **worker: float,
) -> Application:
    """Functions are processors of source `github`. `worker`: settings, times in seconds."""
    wanted = {"sweep_interval": 0.05, "lease": 600.0, "look_interval": 1.0, "grace": 5.0} | worker
    texts = {name: f"{int(seconds * 1000)}ms" for name, seconds in wanted.items()}
    settings = Settings.model_validate({"worker": texts, "redis": {"timeout": "20s"}})
    found = [each if isinstance(each, Processor) else a_processor(each) for each in processors]
    default = (a_source(retry=AT_ONCE),)
    config = Config(settings, tuple(sources) if sources is not None else default)
    return Application(config, {each.name: each for each in found})


class Seen:
    """A processor that remembers what it was called with, and may do more."""

    def __init__(self, also: Callable[[Event], Any] = lambda event: None) -> None:
        self.events: list[Event] = []
        self._also = also

    def processor(self, name: str = "archive", source: str = "github") -> Any:
        def process(event: Event) -> None:
            self.events.append(event)
            self._also(event)

        return a_processor(process, source, name=name)

    @property
    def values(self) -> list[str]:
        return [event.provider_id for event in self.events]


class Running:
    """A worker at work in a thread of this process: `with Running(worker): ...` stops it at the end."""

    def __init__(self, worker: HooklineWorker) -> None:
        self.worker = worker
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        self.error: BaseException | None = None

    def _work(self) -> None:
        try:
            self.worker.work()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask_to_stop(self) -> None:
        self.worker.request_stop(signal.SIGTERM, None)

    def stop(self, seconds: float = 60.0) -> None:
        if self._thread.is_alive():
            self.ask_to_stop()
        self.join(seconds)

    def join(self, seconds: float = 60.0) -> None:
        """Waits until it has ended. Raises what ended it."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the worker goes on"
        if self.error:
            raise self.error


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may be `Running`: signal handlers are the main thread's alone. And quick ones."""
    monkeypatch.setattr(
        "gateway.adapters.worker.farewell.signal.signal", lambda number, handler: handler
    )
    monkeypatch.setattr("gateway.adapters.worker.worker.BEAT_SECONDS", 0.1)
    monkeypatch.setattr("gateway.adapters.worker.worker.PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("gateway.adapters.worker.presence.PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("gateway.adapters.worker.bell.WAIT_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, by every thread."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def a_worker(app: Application, url: str, concurrency: int = 8, **options: Any) -> HooklineWorker:
    return HooklineWorker(app, url, app.queues, concurrency, **options)


def drain(app: Application, url: str, concurrency: int = 8, **options: Any) -> HooklineWorker:
    """Works in this thread until nothing is left."""
    worker = a_worker(app, url, concurrency, **options)
    worker.work(burst=True)
    return worker


def rows(rig: Rig, *values: str, source: str = "github") -> list[Row]:
    return [rig.row(a_delivery(value, source=source)) for value in values]


def numbers(many: int) -> list[str]:
    return [str(number) for number in range(many)]
