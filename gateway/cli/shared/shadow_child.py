"""The parent's side of a shadow replay: asks the child, and outlives it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from gateway.adapters.worker.isolation import dump_claimed, load_finish
from gateway.adapters.worker.runner import ABANDON_SECONDS
from gateway.cli.shared.deployment import command_environ
from gateway.cli.shared.exits import ending
from gateway.core.delivery import Claimed
from gateway.core.outcomes import AttemptOutcome
from gateway.shadow import Emitted, Run

ENTRY: Final = "gateway.shadowed"
VARIABLE: Final = "HOOKLINE_SHADOW"
START_SECONDS: Final = 60.0
SPARE_SECONDS: Final = 10.0


class ShadowFaulty(Exception):  # noqa: N818 - an outcome
    """The file cannot be run: the child has said why on stderr."""


class ShadowChild:
    """Use it as a context. The child's own lines go to stderr."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        self.timeouts: Mapping[str, float] = {}
        """The file's processors, and how long an attempt of each may take."""

    def __enter__(self) -> Self:
        """Raises ShadowFaulty."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._end()

    def wants(self, claimed: Claimed) -> list[str]:
        """The names of the processors that the event is for. Raises ShadowFaulty."""
        found = self._ask({"ask": "route"}, claimed, START_SECONDS)
        if found is None:
            raise ShadowFaulty
        return list(found["wants"])

    def run(self, claimed: Claimed, steps: Mapping[str, str]) -> Run:
        """`steps`: what was recorded, JSON by name. Raises ShadowFaulty."""
        limit = self.timeouts[claimed.processor] + ABANDON_SECONDS + SPARE_SECONDS
        found = self._ask({"ask": "run", "steps": dict(steps)}, claimed, limit)
        if found is None:
            how = self._end()
            self._start()
            return Run(AttemptOutcome.CRASHED, message=f"its process ended with {how}")
        return _run(found)

    def _ask(self, order: dict[str, Any], claimed: Claimed, limit: float) -> dict[str, Any] | None:
        """None: it died, or had to be killed."""
        process = self._process
        assert process
        assert process.stdin
        text = json.dumps(order | {"claimed": json.loads(dump_claimed(claimed))})
        with suppress(BrokenPipeError):
            process.stdin.write(text.encode() + b"\n")
            process.stdin.flush()
        return self._answer(limit)

    def _answer(self, limit: float) -> dict[str, Any] | None:
        assert self._process
        assert self._process.stdout
        killer = threading.Timer(limit, self._kill)
        killer.daemon = True
        killer.start()
        line = self._process.stdout.readline()
        killer.cancel()
        answer: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return answer

    def _start(self) -> None:
        self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", ENTRY, str(self._file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, and ends it through its stdin
            env={**command_environ(), VARIABLE: "1"},
        )
        hello = self._answer(START_SECONDS)
        if hello is None:
            self._end()
            raise ShadowFaulty
        self.timeouts = hello["processors"]

    def _kill(self) -> None:
        """With whatever it started."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self) -> str:
        """How it ended, by itself or now."""
        if self._process is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # its pipe may have closed a moment before it
        self._kill()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]  # both are pipes
        status = self._process.wait()
        self._process = None
        return ending(status)


def _run(found: Mapping[str, Any]) -> Run:
    finish = load_finish(json.dumps(found["finish"]).encode())
    note = json.loads(finish.error) if finish.error else {}
    sent = {number: Emitted(each.type, each.body) for number, each in enumerate(finish.emitted, 1)}
    return Run(
        finish.outcome,
        note.get("error", ""),
        note.get("where", ""),
        found["seconds"],
        sent,
        note.get("message", ""),
        note.get("trace", ""),
    )
