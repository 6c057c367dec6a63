"""Child processes of a run: a free port, starting, waiting until they listen, their CPU, the end."""

import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 10.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody used a moment ago, and no client is given meanwhile: those of
    a load are taken from the ports above."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` until the block ends; stdout and stderr are added to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        _stop(process)


@contextmanager
def listening(
    command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """As `running`; yields once the command listens on `port`.

    Raises RuntimeError with the end of its log when it does not come to listen.
    """
    with running(command, log, environment) as process:
        _await_listening(process, port, log)
        yield process


def until(condition: Callable[[], bool], seconds: float, step: float = 0.01) -> bool:
    """Whether `condition` came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def memory_mb(pid: int) -> dict[str, float]:
    """Resident and proportional set size of one process, in MB; NaN where /proc is not."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        text = ""
    lines = {line.split()[0]: line.split()[1] for line in text.splitlines()[1:]}
    return {name: int(lines[f"{name}:"]) / 1024 if lines else float("nan") for name in ("Rss", "Pss")}


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its descendants so far; NaN where /proc is not.

    Counted in ticks of the kernel, 10 ms as a rule: mean over seconds, not over requests.
    """
    processes = dict(_stat(path) for path in Path("/proc").glob("[0-9]*/stat"))
    if pid not in processes:
        return float("nan")
    tree = {pid}
    while grown := {p for p, (parent, _) in processes.items() if parent in tree} - tree:
        tree |= grown
    return sum(processes[member][1] for member in tree) / _TICKS_PER_SECOND


def children(pid: int) -> list[int]:
    """The processes that this one has started and that run; none where /proc is not."""
    processes = dict(_stat(path) for path in Path("/proc").glob("[0-9]*/stat"))
    return [child for child, (parent, _) in processes.items() if parent == pid]


def _stat(path: Path) -> tuple[int, tuple[int, int]]:
    """A pid, its parent's, and the ticks it used, with those of children it has waited for."""
    try:
        fields = path.read_text().rpartition(")")[2].split()  # a name may hold blanks
    except OSError:  # ended since it was listed
        return 0, (0, 0)
    return int(path.parent.name), (int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))


def _await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(
        f"{process.args!r} did not listen on port {port} within "
        f"{START_SECONDS:.0f} s (exit status {process.poll()}); the end of its log:\n"
        + log.read_text(errors="replace")[-2000:]
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
