"""strace beside a process: lists its calls, or harms one of them."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.chaos.sweep.processes import is_stopped
from tests.chaos.syscalls.case import FAULTS, KILL, Case

CALL: Final = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)
CAME: Final = re.compile(r"\(INJECTED\)|\+\+\+ killed by SIGKILL")
ATTACH_SECONDS: Final = 5.0


class Tracer:
    """`case` None: every call that could be harmed is listed, with the files it means."""

    def __init__(self, case: Case | None, trace: Path) -> None:
        self._case = case
        self._trace = trace
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def words(self) -> list[str]:
        calls = [self._case.call] if self._case else list(FAULTS)
        harm = ["-e", self._case.injection] if self._case else ["-y"]
        # A name that this machine's kernel does not have is no error, with a question mark.
        names = ",".join(f"?{call}" for call in calls)
        return ["strace", "-f", "-s", "24", "-o", str(self._trace), "-e", f"trace={names}", *harm]

    def attach(self, pid: int) -> None:
        """To a process that is stopped, or about to be. Raises AssertionError when that may not be."""
        deadline = time.monotonic() + ATTACH_SECONDS
        while not is_stopped(pid):
            assert time.monotonic() < deadline, f"process {pid} was to stop, and did not"
            time.sleep(0.001)
        self._process = _quiet([*self.words, "-p", str(pid)])
        while f"TracerPid:\t{self._process.pid}\n" not in Path(f"/proc/{pid}/status").read_text():
            ended = self._process.poll()
            assert ended is None, f"strace ended with {ended}: may this process trace others?"
            assert time.monotonic() < deadline, "strace did not attach"
            time.sleep(0.001)

    def launch(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """The command under strace, which ends when that does; both in a process group of their own."""
        return _quiet([*self.words, "--", *command])

    def text(self) -> str:
        return self._trace.read_text(errors="replace") if self._trace.exists() else ""

    def came(self) -> int:
        """How often the fault has come so far."""
        many = len(CAME.findall(self.text())) if self._case else 0
        return min(many, 1) if self._case and self._case.fault == KILL else many

    def close(self) -> None:
        """When what it traced has been ended: it does not always notice."""
        if self._process:
            self._process.kill()
            self._process.wait()


def _quiet(words: Sequence[str]) -> "subprocess.Popen[bytes]":
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        words, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    )


def seen_in(trace: str) -> Counter[str]:
    """Of each call, how many the busiest thread made."""
    by_thread = Counter(CALL.findall(trace))
    most: Counter[str] = Counter()
    for (_, call), many in by_thread.items():
        most[call] = max(most[call], many)
    return most
