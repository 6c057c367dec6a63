"""What tests of the processing side share: applications made of plain functions, and claims of them."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from gateway.adapters.redis_keys import Keys
from gateway.application import Application
from gateway.configuration import Config
from gateway.core.delivery import Claimed
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.plugins import Processor, Registry
from gateway.process import Ready, prepare
from gateway.settings import Settings
from tests.adapters.ledger_rig import a_source

T = TypeVar("T")
AT_ONCE: Final = RetryPolicy(attempts=3, first_delay=0.0)
Function = Callable[..., Any]


def until(probe: Callable[[], T], seconds: float = 15.0, what: str = "what was awaited") -> T:
    """What `probe` gives once that is true-ish. Raises AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.01)
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
    **worker: Any,
) -> Application:
    """Functions are processors of source `github`. `worker`: settings, times in seconds."""
    settings = Settings.model_validate(
        {"worker": {"sweep_interval": 0.05, "lease": 2.0, "look_interval": 1.0, "grace": 5.0} | worker}
    )
    found = [each if isinstance(each, Processor) else a_processor(each) for each in processors]
    default = (a_source(retry=AT_ONCE),)
    config = Config(settings, tuple(sources) if sources is not None else default)
    return Application(config, {each.name: each for each in found})


def keys_of(app: Application) -> Keys:
    return Keys(app.prefix)
