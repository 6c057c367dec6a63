"""Programs that run for events: fed, listened to, and ended with all that they have started."""

import os
import selectors
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO, Final

KEPT_BYTES: Final = 2048
CHUNK: Final = 65536
# How soon the end of a program is noticed. A time limit strikes between two looks.
TICK_SECONDS: Final = 0.02
SHORT_TICK_SECONDS: Final = 0.002  # it has closed its pipes, and will end presently


class ProgramFailed(Exception):  # noqa: N818 - an outcome
    """It ended with another status than 0. The message has the end of what it wrote to stderr."""


class Programs:
    """Those that run. Until one is waited for, its number is nobody else's: what is killed is ours."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self._closed = False

    def add(self, program: "subprocess.Popen[bytes]") -> None:
        with self._guard:
            self._running.add(program)
            if self._closed:  # it was just being started
                _kill_group(program)

    def end(self, program: "subprocess.Popen[bytes]") -> None:
        """With all that it has started and that is still in its group. Then wait for it."""
        with self._guard:
            self._running.discard(program)
            _kill_group(program)

    def end_all(self) -> None:
        """Those that are added from now on, too."""
        with self._guard:
            self._closed = True
            for program in self._running:
                _kill_group(program)


def _kill_group(program: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)


def converse(
    command: tuple[str, ...], env: dict[str, str], body: bytes, programs: Programs
) -> tuple[int, str]:
    """The exit status, and the end of what came on stderr. Raises ProgramFailed when none began."""
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramFailed(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        programs.add(program)
        tail = _talk(program, body)
    finally:
        programs.end(program)
        for pipe in (program.stdin, program.stderr):
            assert pipe
            with suppress(OSError):
                pipe.close()
        program.wait()
    return program.returncode, tail.decode("utf-8", "replace").strip()


def _talk(program: "subprocess.Popen[bytes]", body: bytes) -> bytes:
    """Feeds the body and reads stderr until the program has ended, whoever still holds its pipes."""
    assert program.stdin
    assert program.stderr
    left, tail = memoryview(body), b""
    with selectors.DefaultSelector() as pipes:
        for pipe, event in (
            (program.stdin, selectors.EVENT_WRITE),
            (program.stderr, selectors.EVENT_READ),
        ):
            os.set_blocking(pipe.fileno(), False)
            pipes.register(pipe, event)
        while True:
            ended = _has_ended(program)
            tick = TICK_SECONDS if pipes.get_map() else SHORT_TICK_SECONDS
            for key, _ in pipes.select(0 if ended else tick):
                if key.fileobj is program.stdin:
                    left = _feed(program.stdin, left)
                    if not left:
                        pipes.unregister(program.stdin)
                        program.stdin.close()
                else:
                    read = _read(program.stderr)
                    tail = (tail + read)[-KEPT_BYTES:]
                    if not read:
                        pipes.unregister(program.stderr)
            if ended:
                return tail


def _has_ended(program: "subprocess.Popen[bytes]") -> bool:
    """Where the system lets us, without taking note of it: its number stays its own until then."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return program.poll() is not None
    return os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _feed(pipe: IO[bytes], left: memoryview) -> memoryview:
    """What is still to be written; nothing when the program reads no more."""
    try:
        return left[os.write(pipe.fileno(), left[:CHUNK]) :]
    except BlockingIOError:
        return left
    except BrokenPipeError:  # it need not read what it does not want
        return memoryview(b"")


def _read(pipe: IO[bytes]) -> bytes:
    try:
        return os.read(pipe.fileno(), CHUNK)
    except BlockingIOError:
        return b""
