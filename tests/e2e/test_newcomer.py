"""A newcomer: from the shipped configuration to a processor of their own that has handled an event."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.rig import until
from tests.ports import own_port

ROOT: Final = Path(__file__).parents[2]
SECRETS: Final = ("REDIS_URL", "GITHUB_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET")


class Terminal:
    """A directory with the shipped configuration and processors; it counts what is typed there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.typed: list[str] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE")}
        self.environ = {name: value for name, value in kept.items() if name not in SECRETS}
        self.environ["PYTHONPATH"] = str(ROOT)

    def run(self, *words: str) -> str:
        """One command line, which succeeds."""
        self.typed.append(" ".join(words))
        done = subprocess.run(
            self._command(words),
            cwd=self.place,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, *words: str) -> Iterator[Path]:
        """A command that stays, until Ctrl-C; what it says goes to the file that is given."""
        self.typed.append(" ".join(words))
        said = self.place / "said.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(
                self._command(words), cwd=self.place, env=self.environ, stdout=file, stderr=file
            )
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()

    @staticmethod
    def _command(words: tuple[str, ...]) -> list[str]:
        first, *rest = words
        return [sys.executable, "-m", *(["gateway"] if first == "hookline" else [first]), *rest]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    for name in ("config", "processors"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Terminal(tmp_path)


def is_ready(port: int) -> bool:
    """Whether the gateway answers there; `hookline dev` has its worker beside it then."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 20.0) as sock:
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b" 200 " in sock.recv(100)
    return False


def states(terminal: Terminal) -> dict[str, str]:
    """Of the newest event: each processor's delivery."""
    typed = list(terminal.typed)
    events: list[dict[str, Any]] = json.loads(terminal.run("hookline", "events", "list", "--json"))
    terminal.typed = typed  # the test looks, not the newcomer
    return {each["processor"]: each["state"] for each in events[0]["deliveries"]} if events else {}


def told(place: Path, said: Path) -> str:
    """All that the newcomer could read: the terminal and the logs it speaks of."""
    logs = sorted((place / ".hookline").glob("*.log"))
    return "".join(path.read_text(errors="replace") for path in (said, *logs))


def test_a_newcomer_has_a_processor_of_their_own_run_within_four_commands(terminal: Terminal) -> None:
    started = time.monotonic()
    made = terminal.run("hookline", "new", "processor", "github", "push")
    assert "processors/github_push.py" in made
    assert "1 passed" in terminal.run("pytest", "-q", "tests/test_github_push.py")
    port = own_port()
    with terminal.running("hookline", "dev", "--port", str(port), "--admin-port", "0") as said:
        until(lambda: is_ready(port), what="the gateway of `hookline dev`")
        terminal.run("hookline", "send", "github", "push", "--to", f"http://127.0.0.1:{port}")
        until(lambda: "ref is refs/heads/" in told(terminal.place, said), what="what it prints")
        seconds = time.monotonic() - started
        until(lambda: told(terminal.place, said).count(" done ") >= 2, what="done")
        assert set(states(terminal).values()) == {"done"}
        assert set(states(terminal)) == {"github_push", "push_log"}
        assert "github_push" in terminal.run("hookline", "plugins")
    terminal.typed.pop()
    print(f"\n{len(terminal.typed)} commands, {seconds:.1f} seconds:")
    print("".join(f"    {re.sub('^pytest', 'python -m pytest', line)}\n" for line in terminal.typed))
    assert len(terminal.typed) == 4
