"""A Redis that tests may pause, kill and bring back: a process and a TCP port of its own."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.embedded.binary import find_binary
from gateway.adapters.ledger.redis_clients import blocking_client
from tests.e2e.rig import until
from tests.ports import own_port

DURABLE = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}


class RedisServer:
    """Not started until `start`; its port is free until then, and refuses connections."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        self._port = own_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Returns when it answers, with what it had stored."""
        settings = DURABLE | {"bind": "127.0.0.1", "port": str(self._port), "dir": str(self._data)}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        binary = find_binary(prefer_bundled=True).path
        self._process = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL)
        until(self._answers, what="the server's answer")

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP: it hangs, connections stay open. SIGCONT: it goes on."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def client(self) -> "Redis":
        return blocking_client(self.url, 5.0)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


# Three ways to be away; each gives the way back.


def hang(redis: RedisServer) -> Callable[[], None]:
    redis.signal(signal.SIGSTOP)
    return lambda: redis.signal(signal.SIGCONT)


def die(redis: RedisServer) -> Callable[[], None]:
    redis.kill()
    return redis.start


def run_full(redis: RedisServer) -> Callable[[], None]:
    def set_limit(size: str) -> None:
        with redis.client() as client:
            client.config_set("maxmemory", size)

    set_limit("1")
    return lambda: set_limit("0")
