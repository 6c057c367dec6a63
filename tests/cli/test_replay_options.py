"""`hookline replay --last`, `--wait` and `--shadow`: real processes, a real ledger."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.cli import main
from gateway.cli.shared.desk import open_desk
from gateway.cli.shared.shadowing import Order, Session
from gateway.core.delivery import Claimed
from gateway.core.event import INTERNAL, Event, event_id
from gateway.shadow import Comparison, Run, Verdict
from tests.adapters.ledger_rig import LOOK, Rig, a_delivery, a_source, an_event
from tests.adapters.test_follow import fails
from tests.e2e.deployments import SIGNED
from tests.e2e.rig import PATIENT, SECRET, until

QUICK = f"{PATIENT}[defaults.retry]\nattempts = 1\n"
ARCHIVE = """
from gateway.plugins import Event, Registry

registry = Registry()


@registry.processor(source="github", events=["push"])
def archive(event: Event) -> None:
    if event.payload.get("bad"):
        raise KeyError("bad")
"""


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


@dataclass(frozen=True)
class Console:
    """The command line of a deployment whose one processor is that of ARCHIVE."""

    root: Path
    environ: Mapping[str, str]

    def __call__(self, *words: str, status: int = 0) -> Result:
        done = CliRunner().invoke(main, words, env=self.environ, prog_name="hookline")
        assert done.exit_code == status, (done.output, done.exception)
        return done

    def json(self, *words: str, status: int = 0) -> Any:
        return json.loads(self(*words, "--json", status=status).stdout)

    def shadow(self, text: str, *words: str, status: int = 0) -> list[dict[str, Any]]:
        """What a new version of archive.py would do, as JSON."""
        file = self.file(text)
        rows: list[dict[str, Any]] = self.json(
            "replay", "--shadow", file, "--yes", *words, status=status
        )
        return rows

    def file(self, text: str) -> str:
        path = self.root / "archive.py"
        path.write_text(text)
        return str(path)

    @contextmanager
    def worker(self) -> Iterator[None]:
        command = [sys.executable, "-m", "gateway", "worker"]
        environ = {**os.environ, **self.environ}
        with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.terminate()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole run: Python knows one folder of a name."""
    folder = tmp_path_factory.mktemp("archive_processors")
    (folder / "archive.py").write_text(ARCHIVE)
    return folder


@pytest.fixture
def hookline(tmp_path: Path, redis_url: str, archive: Path) -> Console:
    (tmp_path / "sources").mkdir()
    (tmp_path / "gateway.toml").write_text(QUICK)
    for name in ("github", "slack"):
        (tmp_path / "sources" / f"{name}.toml").write_text(SIGNED)
    environ = {
        "REDIS_URL": redis_url,
        "SECRET": SECRET,
        "HOOKLINE_CONFIG": str(tmp_path),
        "HOOKLINE_PROCESSORS": str(archive),
    }
    return Console(tmp_path, environ)


def push(rig: Rig, value: str, body: bytes = b"{}", ended: bool = True) -> Claimed | None:
    """An event that archive took and was done with, or has still to take."""
    moment = rig.now()
    until(lambda: rig.now() > moment)  # within a millisecond, events have no order
    rig.run(ledger.accept([(an_event(value, body=body), a_source(), ("archive",))], LOOK))
    if not ended:
        return None
    held = rig.run_one()
    rig.finish(held)
    return held


# --last, --wait


def test_the_last_event_runs_again_whatever_became_of_it(hookline: Console, rig: Rig) -> None:
    rig.bury("1")
    push(rig, "2")
    assert hookline.json("replay", "--last") == [{"id": a_delivery("2"), "result": "replayed"}]
    assert rig.row(a_delivery("1")).state == "dead"
    rows = hookline.json("replay", "--last", status=1)
    assert rows == [{"id": a_delivery("2"), "result": "pending"}], "it is left alone while it waits"


def test_last_means_the_last_of_what_is_asked_for(hookline: Console, rig: Rig) -> None:
    push(rig, "1")
    rig.accept("2", source=a_source("slack"), processors=("mail",))
    rig.finish(rig.run_one("slack"))
    one = [{"id": a_delivery("1"), "result": "replayed"}]
    assert hookline.json("replay", "--last", "--source", "github") == one
    assert hookline.json("replay", "--last", "--processor", "mail")[0]["id"].endswith("-1")
    hookline("replay", "--last", "--type", "other", status=3)


def test_last_with_a_number_takes_so_many_and_asks_before(hookline: Console, rig: Rig) -> None:
    for value in "123":
        push(rig, value)
    assert "add --yes" in hookline("replay", "--last", "2", status=2).stderr
    rows = hookline.json("replay", "--last", "2", "--yes")
    assert [row["id"] for row in rows] == [a_delivery("2"), a_delivery("3")]


def test_options_that_contradict_each_other_are_refused(hookline: Console) -> None:
    file = hookline.file(ARCHIVE)
    for words in (
        ("--last", "1", an_event().id),
        ("--last", "--limit", "3"),
        ("--shadow", file, "--wait"),
        ("--shadow", file, "--dry-run"),
        ("--shadow", file, "--last", "1", an_event().id),
    ):
        hookline("replay", *words, status=2)


def test_the_outcome_is_waited_for_and_shown(hookline: Console, rig: Rig) -> None:
    push(rig, "bad", b'{"bad": 1}')
    push(rig, "good")
    with hookline.worker():
        (done,) = hookline.json("replay", "--last", "--wait")
        assert (done["outcome"], done["delivery"]) == ("done", a_delivery("good"))
        assert done["ms"] < 30_000, "counted from the replay"
        failed = hookline("replay", a_delivery("bad"), "--state", "done", "--wait", status=1)
    assert "dead" in failed.stdout
    assert "archive.py:10 in archive\n" in failed.stdout
    assert "KeyError: 'bad'" in failed.stdout


# --shadow


def test_a_version_that_does_the_same_differs_in_nothing(hookline: Console, rig: Rig) -> None:
    push(rig, "1")
    (row,) = hookline.shadow(ARCHIVE)
    assert (row["verdict"], row["differences"]) == ("same", [])
    assert row["shadow"]["outcome"] == "done"


def test_what_a_version_mends_and_breaks_is_told_and_the_ledger_stays_as_it_is(
    hookline: Console, rig: Rig
) -> None:
    push(rig, "1")
    rig.run(ledger.accept([(an_event("2"), a_source(), ("archive",))], LOOK))
    fails(rig, rig.run_one())
    before = rig.snapshot()
    new = ARCHIVE.replace('event.payload.get("bad")', 'event.provider_id == "1"')
    rows = {row["event"]: row for row in hookline.shadow(new, status=1)}
    broken, fixed = rows[an_event("1").id], rows[an_event("2").id]
    assert (broken["verdict"], broken["shadow"]["error"]) == ("broken", "KeyError")
    assert broken["shadow"]["where"] == f"{hookline.root}/archive.py:10"
    assert (fixed["verdict"], fixed["recorded"]["error"]) == ("fixed", "KeyError")
    assert rig.snapshot() == before


def test_a_step_that_was_recorded_gives_what_it_gave_and_runs_no_more(
    hookline: Console, rig: Rig
) -> None:
    rig.run(ledger.accept([(an_event("1"), a_source(), ("archive",))], LOOK))
    held = rig.run_one()
    assert rig.run(ledger.step(held.delivery, held.fence, "charge", b'"ch_1"'))
    rig.finish(held)
    body = (
        'assert event.once("charge", lambda: 1 / 0) == "ch_1"\n    assert event.once("new", int) == 0'
    )
    new = ARCHIVE.replace('if event.payload.get("bad"):\n        raise KeyError("bad")', body)
    before = rig.snapshot()
    (row,) = hookline.shadow(new)
    assert row["verdict"] == "same"
    assert rig.snapshot() == before, "nor is the new step recorded"


def test_what_would_be_emitted_is_compared_and_not_stored(hookline: Console, rig: Rig) -> None:
    rig.run(ledger.accept([(an_event("1"), a_source(), ("archive",))], LOOK))
    held = rig.run_one()
    name = f"{held.delivery}:1"
    sent = Event(event_id(INTERNAL, "emitted", name.encode()), INTERNAL, "booked", name, (), b"{}", 0.0)
    rig.run(ledger.accept([(sent, a_source(INTERNAL), ("mail",))], LOOK))
    rig.finish(held)
    before = rig.snapshot()
    (row,) = hookline.shadow(ARCHIVE, "--source", "github", status=1)
    assert (row["verdict"], row["differences"]) == ("changed", ["emitted"])
    new = ARCHIVE.rstrip() + '\n    event.emit("booked", {})\n'
    (row,) = hookline.shadow(new, "--source", "github")
    assert row["shadow"]["emitted"] == [{"number": 1, "type": "booked", "body": "{}"}]
    assert rig.snapshot() == before


BAD = """
import os
import sys
import time
from gateway.plugins import Event, Registry

registry = Registry()


@registry.processor(source="github", events=["push"])
def archive(event: Event) -> None:
    print("what it prints is no answer")
    assert os.environ["HOOKLINE_SHADOW"] == "1"
    assert sys.stdin.read() == ""


@registry.processor(source="github", events=["push"])
def kills(event: Event) -> None:
    os._exit(3)


@registry.processor(source="github", events=["push"], timeout=0.2)
def slow(event: Event) -> None:
    while True:
        time.sleep(0.01)
"""


def test_a_processor_that_kills_its_process_or_never_ends_hurts_no_other(
    hookline: Console, rig: Rig
) -> None:
    push(rig, "1")
    push(rig, "2")
    rows = hookline.shadow(BAD, status=1)
    ends = [(row["processor"], row["shadow"]["outcome"]) for row in rows]
    assert sorted(ends) == [
        *[("archive", "done")] * 2,
        *[("kills", "crashed")] * 2,
        *[("slow", "timed_out")] * 2,
    ]
    assert {row["verdict"] for row in rows if row["processor"] != "archive"} == {"new"}
    assert "status 3" in next(row["shadow"]["message"] for row in rows if row["processor"] == "kills")


def test_a_file_that_can_not_be_run_is_told_with_its_line(
    hookline: Console, rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    push(rig, "1")
    hookline("replay", "--shadow", hookline.file("x = 1\ny = x / 0"), "--yes", status=78)
    assert "archive.py:2: ZeroDivisionError: division by zero" in capfd.readouterr().err
    hookline("replay", "--shadow", hookline.file("registry = 1"), "--yes", status=78)
    assert "no `registry`" in capfd.readouterr().err


def test_nothing_runs_before_somebody_has_agreed(hookline: Console, rig: Rig) -> None:
    push(rig, "1")
    ran = hookline.root / "ran"
    file = hookline.file(f"open({str(ran)!r}, 'w')\n{ARCHIVE}")
    said = hookline("replay", "--shadow", file, status=2).stderr
    assert "runs for real" in said
    assert "HOOKLINE_SHADOW=1" in said
    assert not ran.exists()


# Which events


@dataclass
class FakeChild:
    """Its file has one processor, which is always done."""

    name: str = "archive"
    source: str = "github"

    @property
    def timeouts(self) -> Mapping[str, float]:
        return {self.name: 1.0}

    def wants(self, claimed: Claimed) -> list[str]:
        return [self.name] if claimed.source == self.source else []

    def run(self, claimed: Claimed, steps: Mapping[str, str]) -> Run:
        return Run("done", seconds=0.0)


def compared(
    hookline: Console,
    monkeypatch: pytest.MonkeyPatch,
    child: FakeChild,
    *ids: str,
    most: int | None = 9,
) -> tuple[list[Comparison], int]:
    """What a session tells, and how many events it had to leave out."""
    for name, value in hookline.environ.items():
        monkeypatch.setenv(name, value)
    with open_desk() as desk:
        file = Path(hookline.file(ARCHIVE))
        order = Order(file, ids, ("github", "slack"), 0.0, most, None, lambda _: True)
        session = Session(desk, order, child)
        return list(session.comparisons(lambda _: None)), session.without_body


def test_the_newest_events_that_concern_the_file_are_taken_as_many_as_were_asked_for(
    hookline: Console, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in "123":
        push(rig, value)
    rig.accept("4", source=a_source("slack"), processors=("mail",))
    found, _ = compared(hookline, monkeypatch, FakeChild(), most=2)
    assert [each.event for each in found] == [an_event("3").id, an_event("2").id]
    named, _ = compared(hookline, monkeypatch, FakeChild(), "github:1")
    assert [each.event for each in named] == [an_event("1").id]


def test_a_processor_that_is_gone_or_new_is_told(
    hookline: Console, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(rig, "1")
    found, _ = compared(hookline, monkeypatch, FakeChild("keep"))
    assert [(each.processor, each.verdict) for each in found] == [
        ("keep", Verdict.NEW),
        ("archive", Verdict.GONE),
    ]


def test_an_event_without_its_body_is_left_out_and_counted(
    hookline: Console, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(rig, "1")
    push(rig, "2")
    rig.redis.delete(rig.keys.body(an_event("2").id))
    found, left_out = compared(hookline, monkeypatch, FakeChild())
    assert ([each.event for each in found], left_out) == ([an_event("1").id], 1)


def test_a_delivery_that_has_not_run_yet_is_no_record(
    hookline: Console, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(rig, "1", ended=False)
    ((comparison,), _) = compared(hookline, monkeypatch, FakeChild())
    assert comparison.verdict is Verdict.NEW
