"""The steps of deliveries in the ledger (`gateway.plugins.steps.Steps`), as a worker records them.

Threads of its own talk to the server: a processor's thread may be interrupted in the middle of
anything, and an event loop must not wait.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.logs import logger
from gateway.plugins.steps import Outdated, Steps, StepsUnavailable

THREADS: Final = 4
RECORD_SECONDS: Final = 30.0  # what is not recorded by then runs again, and its effect with it
PAUSE_SECONDS: Final = 0.5


class StepStore:
    """One for a process. `connect` gives the client, when the first step needs one; `url` tells a
    child of this process where the ledger is."""

    def __init__(self, connect: Callable[[], "Redis"], keys: Keys, url: str = "") -> None:
        self.url = url
        self._connect = connect
        self._keys = keys
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="steps")
        self._client: Redis | None = None

    def of(self, delivery: str, fence: int) -> Steps:
        """Of a delivery that is held under this fence."""
        return LedgerSteps(self, delivery, fence)

    def load(self, delivery: str) -> "Future[Mapping[str, bytes]]":
        return self._threads.submit(self._persist, lambda client: self._load(client, delivery))

    def record(self, delivery: str, fence: int, name: str, value: bytes) -> "Future[None]":
        call = ledger.step(delivery, fence, name, value)

        def send(client: "Redis") -> None:
            if not run(client, self._keys, call):
                raise Outdated(f"step {name!r} is not recorded: the lease was lost")

        return self._threads.submit(self._persist, send)

    def _load(self, client: "Redis", delivery: str) -> Mapping[str, bytes]:
        found: Any = client.hgetall(self._keys.steps(delivery))
        return {name.decode(): value for name, value in found.items()}

    def _persist(self, call: Callable[["Redis"], Any]) -> Any:
        """Waits for a server that is away. A call that may have been carried out can be repeated."""
        deadline = time.monotonic() + RECORD_SECONDS
        while True:
            try:
                self._client = self._client or self._connect()
                return call(self._client)
            except RedisError as error:
                logger().error("steps.redis_unavailable", error=type(error).__name__)
                if time.monotonic() > deadline:
                    raise StepsUnavailable("the ledger can not be reached") from None
                time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class LedgerSteps(Steps):
    """Of one attempt."""

    store: StepStore
    delivery: str
    fence: int

    def load(self) -> "Future[Mapping[str, bytes]]":
        """Under the first fence there can be none."""
        if self.fence > 1:
            return self.store.load(self.delivery)
        nothing: Future[Mapping[str, bytes]] = Future()
        nothing.set_result({})
        return nothing

    def record(self, name: str, value: bytes) -> "Future[None]":
        return self.store.record(self.delivery, self.fence, name, value)
