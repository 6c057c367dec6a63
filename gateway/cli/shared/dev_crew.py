"""The processes of `hookline dev`: a worker, another one waiting in the wings, and a gateway.

A renewal starts the waiting worker, and ends the old one only once the new one runs: while a file has a
fault the old one simply stays. The gateway stays, too, and reloads. The worker goes first: an event for
a new processor must not meet a worker without it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, Final, Protocol

CHILD: Final = "gateway.cli.shared.dev_child"
ROLES: Final = ("worker", "gateway")
STOP_SECONDS: Final = 30.0
SHORT_LIFE: Final = 1.0
ASK_SECONDS: Final = 5.0
MOST_SHORT_LIVES: Final = 5  # one after the other


@dataclass(eq=False, slots=True)
class Child:
    """`said`: what it wrote that is no line of a log, until it runs."""

    role: str
    process: subprocess.Popen[bytes]
    ready_at: float | None = None
    said: list[str] = field(default_factory=list)


class Audience(Protocol):
    """Who is told what happens."""

    def line(self, facts: Mapping[str, Any], /) -> None:
        """A line of a log, as it was written."""

    def text(self, text: str, /) -> None:
        """What a process wrote past its log: a warning of Python's, a processor's own line."""

    def renewed(self, roles: Sequence[str], /) -> None: ...

    def refused(self, child: Child, status: int, *, stays: bool) -> None:
        """It could not start, and `said` why. `stays`: its predecessor goes on."""

    def died(self, child: Child, status: int, *, replaced: bool) -> None:
        """It ended by itself."""


class Crew:
    """Call `look` all the time. Raises OSError when the machine gives no process."""

    def __init__(self, sockets: Sequence[int], log: Path, audience: Audience) -> None:
        self._sockets = sockets
        self._audience = audience
        self._log = log.open("ab", buffering=0)
        self._inbox: SimpleQueue[tuple[Child, str]] = SimpleQueue()
        self._current: dict[str, Child] = {}
        self._leaving: list[Child] = []
        self._coming: Child | None = None
        self._due: deque[str] = deque()
        self._asked: Child | None = None
        self._asked_at = 0.0
        self._renewed: list[str] = []
        self._short_lives = 0
        self._spares = {role: self._spawn(role) for role in ROLES}

    @property
    def complete(self) -> bool:
        return self._current.keys() == set(ROLES) and not self._busy

    @property
    def _busy(self) -> bool:
        return bool(self._due or self._coming or self._asked)

    @property
    def stuck(self) -> bool:
        """Something is missing, and nothing is under way: a file must change first."""
        return not (self.complete or self._busy)

    def renew(self) -> None:
        """Both, from the files and the environment as they are now."""
        self._due = deque(ROLES)
        self._renewed = []
        self._short_lives = 0

    def look(self, seconds: float) -> None:
        """Does what is to be done, and tells what was said and who came or went, for so long."""
        self._call_next()
        with suppress(Empty):
            child, text = self._inbox.get(timeout=seconds)
            while True:
                self._hear(child, text)
                child, text = self._inbox.get_nowait()
        for child in (*self._leaving, *self._current.values(), *self._entering()):
            if (status := child.process.poll()) is not None:
                self._gone(child, status)

    def stop(self) -> None:
        """The gateway first, so that nothing new comes in; then the workers. Bounded."""
        gateways = [each for each in self._everybody() if each.role == "gateway"]
        workers = [each for each in self._everybody() if each.role == "worker"]
        for group in (gateways, workers):
            for child in group:
                child.process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for child in group:
                try:
                    child.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
        with suppress(Empty):
            while True:
                self._hear(*self._inbox.get(timeout=0.1))

    def _everybody(self) -> list[Child]:
        entering = self._entering()
        return [*self._spares.values(), *entering, *self._current.values(), *self._leaving]

    def _entering(self) -> list[Child]:
        return [self._coming] if self._coming else []

    def _spawn(self, role: str) -> Child:
        fds = self._sockets if role == "gateway" else ()
        # A session of its own: Ctrl-C reaches the parent only, which then stops all in order.
        process = subprocess.Popen(
            [sys.executable, "-m", CHILD, role, *map(str, fds)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        child = Child(role, process)
        threading.Thread(target=self._read, args=(child, process.stderr), daemon=True).start()
        return child

    def _read(self, child: Child, stream: BinaryIO) -> None:
        """A pipe that nobody empties would stop who writes into it: hence a thread."""
        for raw in stream:
            self._log.write(raw)
            self._inbox.put((child, raw.decode("utf-8", "replace").rstrip("\n")))

    def _call_next(self) -> None:
        if self._asked and time.monotonic() > self._asked_at + ASK_SECONDS:
            self._send_cue(self._asked)  # it may not have been ready to hear it
        if self._coming or self._asked or not self._due:
            return
        role = self._due.popleft()
        if role == "gateway" and role in self._current:
            child = self._asked = self._current[role]
        else:
            child = self._coming = self._spares.pop(role, None) or self._spawn(role)
        self._send_cue(child)

    def _send_cue(self, child: Child) -> None:
        self._asked_at = time.monotonic()
        assert child.process.stdin
        with suppress(BrokenPipeError):  # that it has ended is noticed in a moment
            child.process.stdin.write(json.dumps(dict(os.environ)).encode() + b"\n")
            child.process.stdin.flush()

    def _hear(self, child: Child, text: str) -> None:
        facts = _facts(text)
        if facts is None:
            tell: Callable[[str], None] = self._audience.text if child.ready_at else child.said.append
            tell(text)
            return
        self._audience.line(facts)
        if facts["event"] == f"{child.role}.started" and child is self._coming:
            self._take_over(child)
        elif facts["event"] in ("reload.done", "reload.refused") and child is self._asked:
            self._asked = None
            self._note_renewal(child.role)

    def _take_over(self, child: Child) -> None:
        child.ready_at, self._coming = time.monotonic(), None
        for text in child.said:
            self._audience.text(text)
        before = self._current.get(child.role)
        self._current[child.role] = child
        if before:
            before.process.terminate()
            self._leaving.append(before)
        self._note_renewal(child.role)

    def _note_renewal(self, role: str) -> None:
        self._renewed.append(role)
        if not self._due:
            self._audience.renewed(self._renewed)
            self._fill_up()

    def _fill_up(self) -> None:
        """Late: until then the machine has something more urgent to start."""
        if "worker" not in self._spares:
            self._spares["worker"] = self._spawn("worker")

    def _gone(self, child: Child, status: int) -> None:
        if child in self._leaving:
            self._leaving.remove(child)
        elif child is self._coming:
            self._refused(child, status)
        else:
            self._replace(child, status)

    def _replace(self, child: Child, status: int) -> None:
        """What dies at once, again and again, is not brought back before a file has changed."""
        del self._current[child.role]
        self._asked = None if child is self._asked else self._asked
        lived = time.monotonic() - (child.ready_at or 0.0)
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE else 0
        replaced = self._short_lives < MOST_SHORT_LIVES
        self._audience.died(child, status, replaced=replaced)
        self._fill_up()
        if replaced and child.role not in self._due:
            self._due.append(child.role)

    def _refused(self, child: Child, status: int) -> None:
        """What it said last may still be on its way to us."""
        self._coming = None
        self._due.clear()
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            try:
                self._hear(*self._inbox.get(timeout=0.05))
            except Empty:
                break
        self._audience.refused(child, status, stays=child.role in self._current)
        self._fill_up()


def _facts(text: str) -> dict[str, Any] | None:
    """A line of our log; None for any other."""
    try:
        facts = json.loads(text)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and "event" in facts and "level" in facts else None
