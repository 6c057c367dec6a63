"""The embedded server: a real Valkey or Redis that Hookline runs itself when no REDIS_URL is set.

A second owner of its data directory is refused. A new owner that finds a server alive there has
found an orphan, and adopts it over its recorded socket; else it spawns a server.
"""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from gateway.adapters.embedded.binary import EmbeddedServerError, ServerBinary, find_binary
from gateway.adapters.embedded.data_dir import DataDir, Record
from gateway.adapters.embedded.process import (
    Server,
    ended_within,
    first_answer,
    launch,
    reap,
    tail,
    url_of,
)

KILLED_WITHIN_SECONDS: Final = 5.0


class EmbeddedServer:
    """One server on one data directory, reached over a unix socket that only we may open.

    A server outlives an owner that is killed; the next `start` on its directory adopts it.
    """

    def __init__(self, data_dir: Path, binary: ServerBinary | None = None) -> None:
        """Run nothing yet. Without `binary`, `find_binary` chooses when one must be spawned."""
        self._data_dir = data_dir  # as people wrote it
        self._directory = DataDir(data_dir)
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None  # None for an adopted server
        self._server: Server | None = None

    def start(self, timeout_seconds: float = 10.0) -> str:
        """Adopt or spawn the server and return its `unix://` URL once it answers.

        The timeout bounds silence: a server that says it is loading its data is waited for.
        Raises EmbeddedServerError, with nothing of ours left running.
        """
        try:
            self._claim()
            self._run(timeout_seconds)
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot keep data in {self._data_dir}: {error}. "
                "Choose a local directory that this user may write to, or set REDIS_URL."
            ) from error
        return self.url

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Let the server end in order, kill it after the timeout, give up the directory.

        May be called at any time, and again.
        """
        if not self._directory.is_ours:
            return
        self._signal(signal.SIGTERM)
        if not self._ended_within(timeout_seconds):
            self.kill()
        if not self._directory.has_server():
            self._directory.forget()
        self._process = self._server = None
        self._directory.release()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; `stop` then gives up the directory."""
        self._signal(signal.SIGKILL)
        self._ended_within(KILLED_WITHIN_SECONDS)

    @property
    def url(self) -> str:
        """Where clients connect: a percent-encoded `unix://` URL of database 0."""
        return url_of(self._running.socket)

    @property
    def pid(self) -> int:
        """The server's process id, by its own word."""
        return self._running.pid

    def describe(self) -> str:
        """One line for people: what runs, where its data is, what it is not meant for."""
        return (
            f"embedded {self._running.label}, data kept in {self._data_dir} "
            "(single node; set REDIS_URL for production)"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise EmbeddedServerError(f"No server was started on {self._data_dir}: call start().")
        return self._server

    def _claim(self) -> None:
        holder = self._directory.claim()
        if holder is not None:
            raise EmbeddedServerError(
                f"Process {holder} already runs the embedded server on {self._directory.path}. "
                "End that process first, or choose another data directory.\n"
                f"To share its server: export REDIS_URL={url_of(self._directory.record().socket)}"
            )

    def _run(self, timeout_seconds: float) -> None:
        try:
            if not self._adopt(timeout_seconds):
                self._spawn(timeout_seconds)
        except BaseException:
            self.kill()
            self.stop()
            raise

    def _adopt(self, timeout_seconds: float) -> bool:
        """Whether an orphan was alive and is now ours."""
        record = self._directory.record()
        try:
            self._server = first_answer(self._directory, record.socket, timeout_seconds)
        except TimeoutError:
            raise EmbeddedServerError(
                f"A server left running on {self._data_dir} (process {record.pid or 'unknown'}) "
                f"is alive but does not answer on {record.socket}. End it, then start again; "
                f"to find it: lsof {self._directory.path / 'server.lock'}"
            ) from None
        if self._server is None:
            self._directory.forget()
        return self._server is not None

    def _spawn(self, timeout_seconds: float) -> None:
        binary = self._binary or find_binary()
        log = self._directory.path / "server.log"
        began = log.stat().st_size if log.exists() else 0
        process, socket = self._launch(binary, log)
        try:
            answer = first_answer(self._directory, socket, timeout_seconds)
            problem = "" if answer else f"stopped at once, with exit status {reap(process)}"
        except TimeoutError:
            problem = f"gave no answer within {timeout_seconds:g} s"
        if problem:
            raise EmbeddedServerError(f"{binary.path} {problem}. {tail(log, began)}")
        self._server = answer

    def _launch(self, binary: ServerBinary, log: Path) -> tuple[subprocess.Popen[bytes], Path]:
        socket = self._directory.new_socket()
        self._directory.write(Record(socket, None))  # before the server is: it may outlive us
        self._process = launch(binary, self._directory, socket, log)
        pid = self._process.pid
        self._server = Server(pid, socket, f"{binary.name} {binary.version}", loading=True)
        self._directory.write(Record(socket, pid))
        return self._process, socket

    def _signal(self, number: signal.Signals) -> None:
        """Signal the server's process group: with it go a wrapper script and a rewriting child.

        A held lock proves that the process id still is the server's.
        """
        with suppress(ProcessLookupError, PermissionError):  # it ended just now
            if self._server is not None and self._directory.has_server():
                os.killpg(os.getpgid(self._server.pid), number)

    def _ended_within(self, seconds: float) -> bool:
        if self._server is not None and not ended_within(self._directory, seconds):
            return False
        if self._process is not None:
            reap(self._process)
        return True
