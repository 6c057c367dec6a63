"""Processes as Linux shows them: who belongs to a session, who holds a connection."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MARK: Final = "HOOKLINE_SWEEP"
"""In the environment of all that a campaign starts: the campaign."""


def is_alive(pid: int) -> bool:
    """Whether it runs or is stopped; one that has ended and waits to be reaped does not."""
    with suppress(OSError):
        return _stat(pid)[0] not in "ZX"
    return False


def is_stopped(pid: int) -> bool:
    """By a signal."""
    with suppress(OSError):
        return _stat(pid)[0] == "T"
    return False


def end(sessions: list[int]) -> None:
    """Kills all that belongs to them."""
    for pid in members(sessions):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """State, parent, process group, session …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def members(sessions: list[int]) -> Iterator[int]:
    """The processes of these sessions, leaders first."""
    for name in sorted(
        filter(str.isdigit, os.listdir("/proc")), key=lambda each: int(each) not in sessions
    ):
        with suppress(OSError):
            if int(_stat(int(name))[3]) in sessions and _is_ours(name):
                yield int(name)


def _is_ours(pid: str) -> bool:
    """The number of one that has ended may be a stranger's by now."""
    return f"{MARK}={os.environ[MARK]}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(
        b"\0"
    )


def owner(port: int, proxy: int, sessions: list[int]) -> int | None:
    """Whose connection it is. A work horse inherits its worker's sockets: the elder counts."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        ends = [int(words[at].rpartition(":")[2], 16) for at in (1, 2)]
        if ends == [port, proxy]:
            wanted = f"socket:[{words[9]}]"
            return next((pid for pid in members(sessions) if wanted in _open_files(pid)), None)
    return None


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for each in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{each}"))
    return found
