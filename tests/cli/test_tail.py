"""`hookline tail` in a process of its own, beside a ledger to which something happens."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from redis import Redis

from gateway.core.retry import Wait
from tests.adapters.ledger_rig import EXHAUSTED, Rig, a_delivery
from tests.adapters.test_follow import accept_later, fails
from tests.e2e.deployments import SIGNED
from tests.e2e.rig import PATIENT, Deployment, until

END_SECONDS = 60.0


class Tail:
    """A running one. Its lines are waited for with a deadline, by an alarm of ours."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def line(self) -> str:
        out: IO[str] | None = self.process.stdout
        assert out
        return out.readline()

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line())
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """The exit status, and what is left on stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=END_SECONDS)
        return self.process.returncode, err


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    made = Deployment(tmp_path, {"github": SIGNED}, PATIENT)
    made.write()
    return made


@contextmanager
def tail(deployment: Deployment, redis_url: str, *options: str) -> Iterator[Tail]:
    with subprocess.Popen(
        deployment.command("tail", *options),
        env=deployment.environment(redis_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def too_late(*_: object) -> None:
            process.kill()
            raise AssertionError("the line did not come")

        before = signal.signal(signal.SIGALRM, too_late)
        signal.alarm(60)
        try:
            yield Tail(process)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            process.kill()


def test_what_happens_is_shown_line_by_line_and_ctrl_c_is_a_clean_end(
    deployment: Deployment, rig: Rig, redis_url: str
) -> None:
    rig.accept("before")
    with tail(deployment, redis_url) as running:
        assert "accepted" in running.line(), "the history"
        rig.finish(rig.run_one())
        done = re.split("  +", running.line().strip())
        assert done[1:5] == ["github", "push", "archive", "done"]
        rig.accept("1")
        assert "accepted" in (line := running.line())
        assert "\x1b" not in line, "no colours into a pipe"
        fails(rig, rig.run_one(), Wait(100.0))
        failed = running.line()
        assert "attempt 1, KeyError at" in failed
        assert "secret of the sender" not in failed
        assert running.end() == (0, "")


def test_json_is_one_object_a_line_with_the_states_that_were_asked_for(
    deployment: Deployment, rig: Rig, redis_url: str
) -> None:
    options = ("--json", "--state", "failed", "--state", "dead", "--type", "pu*", "-n", "0")
    with tail(deployment, redis_url, *options) as running:
        _wait_until_it_looks(rig)
        rig.accept("1")
        fails(rig, rig.run_one(), Wait(0.0))
        failed = running.json()
        assert (failed["state"], failed["outcome"], failed["attempt"]) == ("failed", "failed", 1)
        rig.sweep()
        fails(rig, rig.run_one(), EXHAUSTED)
        dead = running.json()
        assert (dead["state"], dead["reason"], dead["ms"]) == ("dead", "exhausted", 250.0)
        assert dead["delivery"] == a_delivery()
        assert running.end() == (0, "")


def test_the_history_can_be_chosen(deployment: Deployment, rig: Rig, redis_url: str) -> None:
    for number in range(4):
        accept_later(rig, str(number))
    with tail(deployment, redis_url, "--since", "1h", "-n", "2", "--json") as running:
        assert {running.json()["provider_id"] for _ in range(2)} == {"2", "3"}
        rig.accept("new")
        assert running.json()["provider_id"] == "new"


def test_it_ends_quietly_when_nobody_reads_any_more_though_nothing_happens(
    deployment: Deployment, rig: Rig, redis_url: str
) -> None:
    rig.accept("1")
    with tail(deployment, redis_url) as running:
        running.line()
        assert running.process.stdout
        running.process.stdout.close()
        assert running.process.wait(END_SECONDS) == 0
        assert running.process.stderr
        assert running.process.stderr.read() == ""


def test_an_unknown_source_ends_with_the_name_that_was_meant(
    deployment: Deployment, redis_url: str
) -> None:
    ended = deployment.run("tail", "--source", "githib", redis_url=redis_url)
    assert ended.returncode == 3
    assert "github" in ended.stderr


def _wait_until_it_looks(rig: Rig) -> None:
    """It asks for the time at its start, and at each look."""
    rig.raw("CONFIG", "RESETSTAT")

    def looks() -> bool:
        found: Any = rig.redis.info("commandstats")
        return bool(found.get("cmdstat_time", {}).get("calls", 0) > 3)

    until(looks)
