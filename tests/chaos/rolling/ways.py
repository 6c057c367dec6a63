"""Three ways to put a new process in a gateway's place, each played as an operator or systemd would.

Every one begins with `start`, and `restart` returns once the new process serves.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from gateway.adapters.http.listening import bind
from tests.chaos.rig import REPOSITORY, Crew, Process, is_alive
from tests.e2e.rig import until

START_SECONDS: Final = 40.0
# systemd passes sockets from descriptor 3 on, and names the process that they are for.
AS_SYSTEMD: Final = (
    "import os, sys; fds = [int(each) for each in sys.argv[1].split(',')]; "
    "copies = [os.dup(os.dup(os.dup(fd))) for fd in fds]; "
    "[os.dup2(fd, 3 + number) for number, fd in enumerate(copies)]; "
    "os.environ |= {'LISTEN_FDS': str(len(fds)), 'LISTEN_PID': str(os.getpid())}; "
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


class Gateway(Process):
    """`hookline serve`, in a process that gets these descriptors too."""

    def __init__(
        self, crew: Crew, words: list[str], environ: dict[str, str], fds: Sequence[int] = ()
    ) -> None:
        self.log = crew.deployment.root / f"gateway-{time.monotonic_ns()}.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                words,
                env=crew.deployment.environment(crew.url) | {"PYTHONPATH": str(REPOSITORY)} | environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=fds,
            )


class Way(Protocol):
    """`port` is where callers call."""

    port: int

    def start(self) -> None: ...

    def restart(self) -> None: ...

    def end(self) -> None:
        """SIGTERM for all; raises AssertionError unless they end, and well."""

    def kill(self) -> None:
        """Whatever is left of it."""


class Manager:
    """systemd's side of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.settimeout(START_SECONDS)

    def hear(self, line: str) -> None:
        """Waits until that is told. Raises TimeoutError."""
        while line.encode() not in self._sock.recv(4096).split(b"\n"):
            pass

    def close(self) -> None:
        self._sock.close()


class Passed:
    """Gateways on sockets that we hold, as systemd does (`Type=notify` and a socket unit)."""

    def __init__(self, crew: Crew, words: tuple[str, ...], at_once: int) -> None:
        self._crew = crew
        self._words = words
        self._at_once = at_once
        self._sockets = [bind("127.0.0.1", 0), bind("127.0.0.1", 0)]
        self._manager = Manager(crew.deployment.root / "notify")
        self._running: list[Gateway] = []
        self.port: int = self._sockets[0].getsockname()[1]

    def start(self) -> None:
        for _ in range(self._at_once):
            self._running.append(self._one())

    def restart(self) -> None:
        """The oldest. Alone: stopped, then started. Of two: the other one serves meanwhile."""
        oldest = self._running.pop(0)
        assert oldest.stop(START_SECONDS) == 0, oldest.text()
        self._running.append(self._one())

    def end(self) -> None:
        for each in self._running:
            assert each.stop(START_SECONDS) == 0, each.text()
        for sock in self._sockets:
            sock.close()
        self._manager.close()

    def kill(self) -> None:
        for each in self._running:
            each.kill()

    def _one(self) -> Gateway:
        fds = [sock.fileno() for sock in self._sockets]
        program, *rest = self._crew.deployment.command("serve", *self._words)
        told = ",".join(map(str, fds))
        environ = {"NOTIFY_SOCKET": str(self._manager.path)}
        process = Gateway(self._crew, [program, "-c", AS_SYSTEMD, told, *rest], environ, fds)
        self._manager.hear("READY=1")
        return process


class Replaced:
    """SIGUSR2: the process starts its successor itself."""

    def __init__(self, crew: Crew, words: tuple[str, ...]) -> None:
        self._crew = crew
        self._words = words
        self._manager = Manager(crew.deployment.root / "notify")
        self.port = 0
        self._pids: list[int] = []

    def start(self) -> None:
        words = self._crew.deployment.command("serve", "--port", "0", "--admin-port", "0", *self._words)
        told = {"NOTIFY_SOCKET": str(self._manager.path)}
        self._process = Gateway(self._crew, words, told)
        self._pids.append(self._process.pid)
        (line,) = until(lambda: self._process.lines("gateway.started"), what="a gateway")
        self.port = int(line["listen"].rpartition(":")[2])
        self._manager.hear("READY=1")

    def restart(self) -> None:
        """Raises AssertionError with the end of the log when the new process does not come to serve."""
        before = len(self._ends())
        os.kill(self._pids[-1], signal.SIGUSR2)
        until(lambda: len(self._ends()) > before, what="a successor")
        end = self._ends()[-1]
        assert end["event"] == "replace.done", self._process.text()[-4000:]
        self._pids.append(int(end["pid"]))
        self._manager.hear(f"MAINPID={end['pid']}")

    def _ends(self) -> list[dict[str, Any]]:
        ends = ("replace.done", "replace.failed")
        return [line for line in self._process.lines() if line["event"] in ends]

    def end(self) -> None:
        """All that ever ran has to be gone: none waits on."""
        os.kill(self._pids[-1], signal.SIGTERM)
        until(lambda: self._process.process.poll() is not None, what="the end of the first")
        until(lambda: not any(map(is_alive, self._pids)), what="the end of all gateways")
        assert self._process.process.returncode == 0, self._process.text()

    def kill(self) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.process.wait()
        self._manager.close()
