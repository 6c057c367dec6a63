"""The embedded server as a process: started so that it loses nothing, asked who it is, reaped."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from redis import RedisError

from gateway.adapters.embedded.binary import ServerBinary
from gateway.adapters.embedded.data_dir import DataDir
from gateway.adapters.ledger.redis_clients import blocking_client

POLL_SECONDS: Final = 0.01
ANSWER_SECONDS: Final = 1.0
REAP_SECONDS: Final = 1.0
TAIL_LINES: Final = 12

SETTINGS: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


# The bundled Valkey uses the C library's allocator, which keeps seven freed blocks of a size at hand; a
# script that works on a batch frees hundreds. Without this a drain costs the server a quarter more.
ENVIRONMENT: Final = {
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=60000:glibc.malloc.mxfast=160:glibc.malloc.arena_max=1"
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its own word; one that has not answered yet counts as loading."""

    pid: int
    socket: Path
    label: str  # name and version
    loading: bool


def launch(
    binary: ServerBinary, directory: DataDir, socket: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Start a server that alone holds the directory's lock and appends to the file `log`."""
    settings = SETTINGS | {"dir": str(directory.path), "unixsocket": str(socket)}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    with log.open("ab") as output, os.fdopen(directory.lock_server()) as lock:
        return subprocess.Popen(
            [binary.path, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**ENVIRONMENT, **os.environ},
            pass_fds=(lock.fileno(),),
            start_new_session=True,  # Ctrl-C is for gateway and workers: the server ends last
            umask=0o077,
        )


def first_answer(directory: DataDir, socket: Path, timeout_seconds: float) -> Server | None:
    """Who answers on `socket` once loaded; None when no server is alive (any more).

    Raises TimeoutError after that long a silence: a server that says it is loading is not silent.
    """
    deadline = time.monotonic() + timeout_seconds
    while directory.has_server():
        server = _ask(socket)
        if server is not None and not server.loading:
            return server
        if server is not None:
            deadline = time.monotonic() + timeout_seconds
        elif time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(POLL_SECONDS)
    return None


def ended_within(directory: DataDir, seconds: float) -> bool:
    """Wait until no server is alive, at most that long."""
    deadline = time.monotonic() + seconds
    while directory.has_server():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _ask(socket: Path) -> Server | None:
    """What the server on `socket` says of itself (also while loading), or None if it says nothing."""
    try:
        with blocking_client(url_of(socket), ANSWER_SECONDS) as client:
            info = client.info()
    except RedisError:
        return None
    name = info.get("server_name", "redis")
    version = info.get(f"{name}_version", info["redis_version"])
    return Server(info["process_id"], socket, f"{name} {version}", bool(info["loading"]))


def reap(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process that has let go of the lock, so is ending or astray."""
    try:
        return process.wait(REAP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def url_of(socket: Path) -> str:
    """Where clients connect: a percent-encoded `unix://` URL of database 0."""
    return f"unix://{quote(str(socket))}"


def tail(log: Path, began: int) -> str:
    """The last lines of the log since its byte `began`, introduced by the log's path."""
    lines = log.read_bytes()[began:].decode(errors="replace").strip().splitlines()
    said = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (nothing)"
    return f"Its log, {log}, ends:\n{said}"
