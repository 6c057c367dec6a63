"""The soak's own Valkey: durable as Hookline asks for, and as mortal as it gets."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.embedded.binary import ServerBinary
from gateway.adapters.embedded.process import ENVIRONMENT, SETTINGS
from tests.chaos.sweep.zygote import PR_SET_PDEATHSIG

# What a server that is killed in the middle of a write leaves behind: the begin of a command.
TORN: Final = b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$100\r\nhalf a val"
LIBC: Final = ctypes.CDLL(None)


class Server:
    """One process after the other on one directory, always at the same unix socket."""

    def __init__(self, binary: ServerBinary, root: Path) -> None:
        self.socket = str(root / "s")
        self.client: Redis = Redis(unix_socket_path=self.socket, socket_timeout=5.0)
        self._binary = binary
        self._data = root / "data"
        self._data.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Returns before it answers."""
        settings = SETTINGS | {"dir": str(self._data), "unixsocket": self.socket}
        settings |= {"aof-load-truncated": "yes", "auto-aof-rewrite-min-size": "16mb"}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self._data.parent / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary.path, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | ENVIRONMENT,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one C function, bound before
            )

    def kill(self) -> None:
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()

    def tear(self) -> None:
        """Half a command at the end of its file. Only while it is down."""
        files = sorted((self._data / "appendonlydir").glob("*.incr.aof"), key=_number)
        with files[-1].open("ab") as file:
            file.write(TORN)

    def stop_for_a_while(self, *, stop: bool) -> None:
        os.kill(self.pid, signal.SIGSTOP if stop else signal.SIGCONT)

    def answers(self) -> bool:
        """Whether it has loaded its data."""
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    @property
    def log(self) -> str:
        return (self._data.parent / "server.log").read_text(errors="replace")


def _number(path: Path) -> int:
    return int(path.name.split(".")[-3])


def _end_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
