"""Isolation: an attempt in a process of its own, and a word about how it ended in any case."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.steps import StepStore
from gateway.adapters.worker import isolation
from gateway.adapters.worker.isolation import (
    IsolatedEnd,
    IsolationFailed,
    dump_claimed,
    dump_finish,
    load_claimed,
    load_finish,
    run_isolated,
)
from gateway.adapters.worker.runner import Ended
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Done, Wait
from gateway.plugins import Event
from gateway.process import Ready
from tests.adapters.ledger_rig import LEASE, Rig, an_event
from tests.adapters.worker_rig import a_claim, a_ready, until

REPOSITORY = Path(__file__).parent.parent.parent
PROCESSORS = """
import os, signal, subprocess, sys, threading, time
from gateway.plugins import Discard, Event, Registry

registry = Registry()
processor = registry.processor(source="github")

@processor
async def awaits(event: Event) -> None:
    assert (event.body, event.headers["X-One"]) == (b"\\x00\\xff", "1")

@processor
def fails(event: Event) -> None:
    raise LookupError("no such customer")

@processor
def discards(event: Event) -> None:
    raise Discard("not ours")

@registry.processor(source="github", timeout=0.1)
def loops(event: Event) -> None:
    while True: pass

@processor
def is_killed(event: Event) -> None:
    os.kill(os.getpid(), signal.SIGKILL)

@processor
def leaves(event: Event) -> None:
    os._exit(0)

@processor
def talks(event: Event) -> None:
    print('{"delivery": "a lie"}')
    subprocess.run(["echo", "noise"], check=True)
    assert sys.stdin.read() == ""

@processor
def leaves_a_thread(event: Event) -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()

@processor
def is_killed_with_a_child(event: Event) -> None:
    if os.fork() == 0:
        time.sleep(3600)
    os.kill(os.getpid(), signal.SIGKILL)

@processor
def waits(event: Event) -> None:
    with open(os.environ["PID_FILE"] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(os.environ["PID_FILE"] + ".new", os.environ["PID_FILE"])
    time.sleep(3600)
"""


def write_deployment(root: Path, processors: str = PROCESSORS) -> None:
    (root / "config" / "sources").mkdir(parents=True)
    (root / "config" / "sources" / "github.toml").write_text('[verify]\nscheme = "unverified"\n')
    (root / "isolated_processors").mkdir()
    (root / "isolated_processors" / "all.py").write_text(processors)


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_deployment(tmp_path)
    monkeypatch.setenv("HOOKLINE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOOKLINE_PROCESSORS", str(tmp_path / "isolated_processors"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return tmp_path


def a_wish(name: str, timeout: float = 20.0) -> Ready:
    """A delivery for the child's processor of that name."""

    def processor(event: Event) -> None: ...

    processor.__name__ = name
    return a_ready(processor, timeout, body=b"\x00\xff")


def run(name: str, timeout: float = 20.0) -> IsolatedEnd | Ended:
    results: SimpleQueue[IsolatedEnd | Ended] = SimpleQueue()
    run_isolated(a_wish(name, timeout), results.put)
    return results.get(timeout=60)


def finish_of(name: str, timeout: float = 20.0) -> Finish:
    ended = run(name, timeout)
    assert isinstance(ended, IsolatedEnd), ended
    assert (ended.finish.delivery, ended.finish.fence) == ("dlv_abc-1", 1)
    return ended.finish


@pytest.mark.parametrize("name", ["awaits", "talks", "leaves_a_thread"])
def test_an_attempt_that_returns_is_done(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever it prints, reads, or leaves behind."""
    finish = finish_of(name)
    assert (finish.outcome, finish.decision, finish.error) == (AttemptOutcome.DONE, Done(), "")
    assert ("a lie" in capfd.readouterr().err) == (name == "talks")


def test_an_attempt_that_fails_is_concluded_by_the_child() -> None:
    failed, discarded = finish_of("fails"), finish_of("discards")
    assert failed.outcome is AttemptOutcome.FAILED
    assert isinstance(failed.decision, Wait)
    note = json.loads(failed.error)
    assert (note["error"], note["message"]) == ("LookupError", "no such customer")
    assert "isolated_processors/all.py:" in note["where"]
    assert discarded.decision == Dead(DeadReason.DISCARDED)


@pytest.mark.parametrize("lost", [False, True])
def test_nothing_begins_whose_lease_was_lost_while_the_child_started(
    redis: "Redis", redis_url: str, *, lost: bool
) -> None:
    """Its worker stood still, or the machine was busy: somebody else has run it by now."""
    rig = Rig(redis)
    rig.accept("1", processors=["is_killed"])
    (claimed,) = rig.claim()
    assert isinstance(claimed, Claimed)
    if lost:
        rig.pass_time(LEASE + 1)
        rig.sweep()
        rig.claim()
    steps = StepStore(lambda: redis, Keys(), redis_url).of(claimed.delivery, claimed.fence)
    wish = a_wish("is_killed")
    results: SimpleQueue[IsolatedEnd | Ended] = SimpleQueue()
    run_isolated(replace(wish, claimed=claimed, event=replace(wish.event, steps=steps)), results.put)
    ended = results.get(timeout=60)
    assert isinstance(ended, IsolatedEnd)
    wanted = AttemptOutcome.FAILED if lost else AttemptOutcome.CRASHED
    assert ended.finish.outcome is wanted
    assert ("its lease was lost" in ended.finish.error) == lost


def test_its_time_limit_holds() -> None:
    assert finish_of("loops").outcome is AttemptOutcome.TIMED_OUT


@pytest.mark.parametrize("name", ["is_killed", "leaves"])
def test_a_child_that_dies_has_crashed(name: str) -> None:
    finish = finish_of(name)
    assert (finish.outcome, finish.decision) == (AttemptOutcome.CRASHED, None)


class OnceItHasDied(threading.Thread):
    """A limit that comes when the child has died, and no sooner on a machine where it starts late."""

    def __init__(self, seconds: float, kill: Callable[[Any], None], arguments: list[Any]) -> None:
        super().__init__()
        self._kill, (self._child,) = kill, arguments

    def run(self) -> None:
        os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT)
        self._kill(self._child)

    def cancel(self) -> None: ...


def test_a_crash_is_noticed_though_a_grandchild_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds our end of the answer open; at the limit it is killed with the rest."""
    monkeypatch.setattr("gateway.adapters.worker.isolation.threading.Timer", OnceItHasDied)
    assert finish_of("is_killed_with_a_child").outcome is AttemptOutcome.CRASHED


def test_a_child_that_cannot_load_the_application_is_no_crash(deployment: Path) -> None:
    """A broken deployment must not turn everything into poison."""
    (deployment / "isolated_processors" / "all.py").write_text("x = (")
    ended = run("awaits")
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, IsolationFailed)


def test_no_process_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: Any, **options: Any) -> Any:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    ended = run("awaits")
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, IsolationFailed)


@pytest.mark.parametrize(
    "answer", [b"", b'{"delivery": "dlv_abc-1", "fen', b"[]\n", b"null\n", b"{}\n"]
)
def test_half_an_answer_is_a_crash(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(isolation, "_ask_child", lambda ready: (answer, -9))
    assert finish_of("awaits").outcome is AttemptOutcome.CRASHED


def test_the_child_ends_when_its_parent_is_killed(deployment: Path) -> None:
    """Otherwise it would run on without anybody who renews its lease, beside its successor."""
    pid_file = deployment / "child.pid"
    script = textwrap.dedent("""
        import time
        from gateway.adapters.worker.isolation import run_isolated
        from tests.adapters.test_isolation import a_wish
        run_isolated(a_wish("waits", 3600.0), print)
        time.sleep(3600)
    """)
    environ = {**os.environ, "PID_FILE": str(pid_file)}
    with subprocess.Popen([sys.executable, "-c", script], env=environ, cwd=REPOSITORY) as parent:
        try:
            until(pid_file.exists)
            child = int(pid_file.read_text())
            assert _is_alive(child)
        finally:
            parent.send_signal(signal.SIGKILL)
    until(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    """A process that ended and waits to be reaped is not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@given(st.binary(max_size=200), st.dictionaries(st.text(), st.text(), max_size=4), st.text())
def test_a_claim_survives_the_pipe(body: bytes, headers: dict[str, str], name: str) -> None:
    claimed = a_claim(name, body=body, headers=tuple(headers.items()))
    assert load_claimed(dump_claimed(claimed)) == claimed
    assert b"\n" not in dump_claimed(claimed)


@pytest.mark.parametrize("decision", [Done(), Wait(1.5), Dead(DeadReason.DISCARDED), None])
def test_a_finish_survives_the_pipe(decision: Any) -> None:
    emitted = (an_event("1", body=b"\xff\n", content="signed"), an_event("2"))
    finish = Finish("dlv_a-1", 3, decision, AttemptOutcome.FAILED, '{"message": "é\\n"}', emitted)
    assert load_finish(dump_finish(finish)) == finish
    assert b"\n" not in dump_finish(finish)
