"""`events`, `dead-letters` and `replay` as an operator meets them, on a real server."""

import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

import gateway
from gateway.adapters.ledger import calls as ledger
from gateway.cli import main
from gateway.cli.shared import listing
from gateway.core.event import Event
from gateway.core.outcomes import AttemptOutcome
from gateway.process import describe
from tests.adapters.ledger_rig import DONE, EXHAUSTED, Rig, a_delivery, a_source, an_event
from tests.e2e.rig import PATIENT

GITHUB = 'preset = "github"\nsecrets = ["env:SECRET"]\n'
CUSTOM = 'secrets = ["env:SECRET"]\n[verify]\nscheme = "token"\nheader = "X-Door"\n'
ROOT = Path(gateway.__file__).parents[1]
EVENT = an_event().id


@dataclass(frozen=True)
class Console:
    """A deployment's command line beside the rig that fills its ledger."""

    rig: Rig
    environ: dict[str, str]

    def __call__(self, *args: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, args, env=self.environ, prog_name="hookline")
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def json(self, *args: str, status: int = 0) -> Any:
        return json.loads(self(*args, "--json", status=status).stdout)

    def process(self, *args: str, **options: Any) -> "subprocess.Popen[str]":
        environ = {**os.environ, **self.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "gateway", *args]
        return subprocess.Popen(command, env=environ, cwd=ROOT, text=True, **options)

    def states(self) -> dict[str, str]:
        rows = self.json("events", "list", "--limit", "99")
        return {row["provider_id"]: row["state"] for row in rows}

    def accept(self, *events: Event, processors: Sequence[str] = ("archive",)) -> None:
        for event in events:
            source = a_source(event.source)
            self.rig.run(ledger.accept([(event, source, processors)]))

    def bury_noted(self, event: Event, message: str = "no such customer") -> None:
        """A dead letter that says what went wrong."""
        self.accept(event)
        held = self.rig.run_one(event.source)
        try:
            raise KeyError(message)
        except KeyError as error:
            now = datetime.now(UTC)
            note = describe(held, error, AttemptOutcome.FAILED, 0.25, now)
        self.rig.finish(held, EXHAUSTED, note)


@pytest.fixture(scope="session")
def no_processors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole run: Python knows one folder of a name."""
    return tmp_path_factory.mktemp("no_processors")


@pytest.fixture
def hookline(redis: "Redis", redis_url: str, tmp_path: Path, no_processors: Path) -> Console:
    (tmp_path / "config" / "sources").mkdir(parents=True)
    (tmp_path / "config" / "gateway.toml").write_text(PATIENT)
    (tmp_path / "config" / "sources" / "github.toml").write_text(GITHUB)
    environ = {
        "REDIS_URL": redis_url,
        "SECRET": "It's a secret to everybody",
        "HOOKLINE_CONFIG": str(tmp_path / "config"),
        "HOOKLINE_PROCESSORS": str(no_processors),
    }
    return Console(Rig(redis), environ)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def came_at(rig: Rig, value: str, moment: str, source: str = "github") -> None:
    """As if the event had been received then."""
    ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)
    rig.came_at(an_event(value, source).id, ms, source)


# events list


@pytest.mark.usefixtures("utc")
def test_events_are_listed_with_all_that_tells_them_apart(hookline: Console) -> None:
    hookline.accept(an_event(body=b"x" * 2000), processors=("archive", "mail"))
    hookline.rig.finish(hookline.rig.run_one())
    came_at(hookline.rig, "1", "2026-01-31T14:05:06")
    head, row = hookline("events", "list").stdout.splitlines()
    columns = ["RECEIVED", "EVENT", "SOURCE", "TYPE", "PROVIDER ID", "STATE", "ATTEMPTS", "SIZE"]
    assert re.split("  +", head) == columns
    assert re.split("  +", row) == [
        "2026-01-31 14:05:06",
        EVENT,
        "github",
        "push",
        "1",
        "1 pending, 1 done",
        "1",
        "2000B",
    ]


def test_events_come_newest_first_from_every_source_configured_or_once_known(hookline: Console) -> None:
    hookline.accept(an_event("1"), an_event("2", "slack"), an_event("3"))
    for value, source in (("1", "github"), ("2", "slack"), ("3", "github")):
        came_at(hookline.rig, value, f"2026-01-0{value}T00:00:00", source)
    assert [row["provider_id"] for row in hookline.json("events", "list")] == ["3", "2", "1"]
    assert [row["id"] for row in hookline.json("events", "list", "--source", "slack")] == [
        an_event("2", "slack").id
    ]


def test_json_gives_times_with_their_zone_and_sizes_in_bytes(hookline: Console) -> None:
    hookline.accept(an_event())
    came_at(hookline.rig, "1", "2026-01-31T14:05:06.789")
    (row,) = hookline.json("events", "list")
    assert (row["received"], row["size"], row["state"]) == (
        "2026-01-31T14:05:06.789+00:00",
        2,
        "pending",
    )
    assert row["deliveries"][0]["due_since"].endswith("+00:00")


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (("--type", "pu*"), {"1", "2", "3"}),
        (("--type", "pus?"), {"1", "2"}),
        (("--type", "pull_request"), {"3"}),
        (("--state", "dead"), {"1"}),
        (("--state", "pending"), {"2", "3"}),
        (("--state", "done"), set()),
        (("--since", "2h"), {"3"}),
        (("--until", "2h"), {"1", "2"}),
        (("--since", "2026-01-02", "--until", "2026-01-02T12:00:00+00:00"), {"2"}),
    ],
)
@pytest.mark.usefixtures("utc")
def test_filters_narrow_the_list(hookline: Console, options: Sequence[str], values: set[str]) -> None:
    hookline.rig.bury("1")
    hookline.accept(an_event("2"), replace(an_event("3"), type="pull_request"))
    came_at(hookline.rig, "1", "2026-01-01T00:00:00")
    came_at(hookline.rig, "2", "2026-01-02T00:00:00")
    assert {row["provider_id"] for row in hookline.json("events", "list", *options)} == values


def test_it_says_on_stderr_when_there_are_more(hookline: Console) -> None:
    hookline.accept(*(an_event(str(number)) for number in range(3)))
    result = hookline("events", "list", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert "there are more" in result.stderr
    assert hookline("events", "list", "--limit", "3").stderr == ""


def test_a_filter_that_finds_little_stops_looking_and_says_so(
    hookline: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 2)
    hookline.accept(*(an_event(str(number)) for number in range(3)))
    result = hookline("events", "list", "--type", "nothing")
    assert (result.stdout, result.stderr) == (
        "",
        "Only the newest 2 were looked at: filter more narrowly.\n",
    )


def test_an_empty_list_is_no_failure(hookline: Console) -> None:
    assert hookline("events", "list").stderr == "No events.\n"
    assert hookline("dead-letters", "list").stderr == "No dead letters.\n"
    assert hookline.json("events", "list") == hookline.json("dead-letters", "list") == []


@pytest.mark.parametrize(
    "args",
    [
        ("events", "list", "--since", "yesterday"),
        ("events", "list", "--until", "0001-01-01"),
        ("events", "list", "--limit", "0"),
        ("replay", "--source", "github", "--rate", "0/s"),
        ("replay", "--source", "github", "--rate", "fast"),
        ("replay",),
        ("replay", EVENT, "--source", "github"),
        ("dead-letters", "replay"),
        ("dead-letters", "discard", EVENT, "--all"),
        ("dead-letters", "discard", EVENT, "--reason", "poison"),
    ],
)
def test_wrong_usage_is_told_with_status_two(hookline: Console, args: Sequence[str]) -> None:
    assert "Error" in hookline(*args, status=2).stderr


def test_a_mistyped_source_is_not_an_empty_list(hookline: Console) -> None:
    for command in (("events", "list"), ("dead-letters", "list"), ("replay",)):
        assert "did you mean 'github'?" in hookline(*command, "--source", "gihub", status=3).stderr


# events show


def test_an_event_is_found_by_its_id_a_deliverys_and_the_providers(hookline: Console) -> None:
    hookline.accept(an_event())
    for name in (EVENT, a_delivery(), "github:1"):
        assert f"Event        {EVENT}\n" in hookline("events", "show", name).stdout


def test_what_is_no_event_is_not_found_and_a_providers_id_gets_a_hint(hookline: Console) -> None:
    hookline.accept(an_event())
    assert "SOURCE:ID" in hookline("events", "show", "evt_1NG8Du2e", status=3).stderr
    for name in (an_event("2").id, a_delivery(number=2), "github:2"):
        assert "is not known" in hookline("events", "show", name, status=3).stderr


def test_an_event_is_shown_with_its_deliveries_and_failed_attempts(hookline: Console) -> None:
    hookline.bury_noted(an_event())
    text = hookline("events", "show", EVENT).stdout
    assert re.search(r"^Provider id +1$", text, re.MULTILINE)
    assert re.search(rf"^{a_delivery()} +archive +dead +1 +ended .* exhausted$", text, re.MULTILINE)
    assert re.search(r"^  1  .*  failed  KeyError  .*\.py:\d+$", text, re.MULTILINE)
    assert "      'no such customer'\n" in text
    assert "Traceback" not in text
    assert (
        "      Traceback (most recent call last):\n"
        in hookline("events", "show", EVENT, "--trace").stdout
    )


def test_a_named_delivery_narrows_the_failures_to_its_own(hookline: Console) -> None:
    hookline.accept(an_event(), processors=("archive", "mail"))
    for _ in range(2):
        held = hookline.rig.run_one()
        now = datetime.now(UTC)
        note = describe(held, ValueError(held.processor), AttemptOutcome.FAILED, 0.1, now)
        hookline.rig.finish(held, EXHAUSTED, note)
    assert hookline("events", "show", EVENT).stdout.count("Failed attempts of") == 2
    assert hookline("events", "show", a_delivery(number=2)).stdout.count("Failed attempts of") == 1


@pytest.mark.parametrize(
    "name",
    [
        "X-Hub-Signature-256",
        "Authorization",
        "Cookie",
        "Proxy-Authorization",
        "X-Api-Key",
        "X-Gitlab-Token",
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_headers_that_prove_who_sends_are_masked(hookline: Console, name: str, as_json: bool) -> None:
    headers = ((name.encode(), b"sesame"), (b"User-Agent", b"curl"))
    hookline.accept(replace(an_event(), headers=headers))
    result = hookline("events", "show", EVENT, *(["--json"] if as_json else []))
    assert "sesame" not in result.output
    assert "curl" in result.stdout
    assert name in result.stdout


def test_the_header_of_a_sources_own_scheme_is_masked_however_it_is_called(hookline: Console) -> None:
    (Path(hookline.environ["HOOKLINE_CONFIG"]) / "sources" / "custom.toml").write_text(CUSTOM)
    event = replace(an_event(source="custom"), headers=((b"x-DOOR", b"sesame"),))
    hookline.accept(event)
    assert "x-DOOR: ***\n" in hookline("events", "show", event.id).stdout


def test_a_json_body_is_shown_indented_and_raw_byte_for_byte(hookline: Console) -> None:
    body = '{"a":[1,"ü"]}\r\n'.encode()
    hookline.accept(an_event(body=body))
    assert '"ü"' not in hookline("events", "show", EVENT).stdout
    assert (
        '{\n  "a": [\n    1,\n    "ü"\n  ]\n}\n' in hookline("events", "show", EVENT, "--body").stdout
    )
    assert hookline("events", "show", EVENT, "--raw-body").stdout_bytes == body


def test_a_body_that_is_no_json_is_shown_as_text(hookline: Console) -> None:
    hookline.accept(an_event(body=b"a=1\n\xff\x00"))
    assert "\nBody\na=1\n\\xff\\x00\n" in hookline("events", "show", EVENT, "--body").stdout
    assert hookline("events", "show", EVENT, "--raw-body").stdout_bytes == b"a=1\n\xff\x00"


def test_a_body_whose_retention_has_ended_is_told_gone(hookline: Console) -> None:
    hookline.accept(an_event())
    hookline.rig.redis.delete(hookline.rig.keys.body(EVENT))
    assert "The retention has ended" in hookline("events", "show", EVENT, "--body").stdout
    assert hookline.json("events", "show", EVENT)["headers"] is None
    assert "is gone" in hookline("events", "show", EVENT, "--raw-body", status=3).stderr


COMMANDS_A_TERMINAL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = "a\x1b[2J\x9b31m\u202eb\x07"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_nothing_that_a_sender_wrote_commands_the_terminal(
    hookline: Console, more: tuple[str, ...]
) -> None:
    headers = ((b"X-Evil", b"\x1b]0;title\x07\x9b"), (b"\x1bname", b""))
    body = json.dumps({"key": EVIL}, ensure_ascii=False).encode()
    event = replace(an_event(), type=EVIL, provider_id=EVIL, headers=headers, body=body)
    hookline.bury_noted(event, EVIL + "\n" + EVIL)
    delivery = a_delivery()
    for args in (
        ("events", "list"),
        ("events", "show", EVENT, "--body", "--trace"),
        ("dead-letters", "list"),
        ("dead-letters", "show", delivery),
        ("replay", "--source", "github", "--dry-run"),
    ):
        assert not COMMANDS_A_TERMINAL.search(hookline(*args, *more).output), args
    for args in (("events", "show", EVIL), ("replay", EVIL), ("events", "list", "--source", EVIL)):
        assert not COMMANDS_A_TERMINAL.search(hookline(*args, *more, status=3).output), args


def test_json_says_exactly_what_the_sender_wrote(hookline: Console) -> None:
    hookline.accept(replace(an_event(body=EVIL.encode()), type=EVIL))
    shown = hookline.json("events", "show", EVENT, "--body")
    assert (shown["type"], shown["body"]) == (EVIL, EVIL)


# dead-letters


def test_dead_letters_are_listed_with_their_reason_and_last_error(hookline: Console) -> None:
    hookline.bury_noted(an_event())
    _, row = hookline("dead-letters", "list").stdout.splitlines()
    assert re.split("  +", row)[1:] == [
        a_delivery(),
        "github",
        "push",
        "archive",
        "exhausted",
        "1",
        "KeyError: 'no such customer'",
    ]
    (value,) = hookline.json("dead-letters", "list")
    assert value["last_failure"]["error"] == "KeyError"


@pytest.mark.parametrize(
    ("options", "many"),
    [
        (("--reason", "exhausted"), 2),
        (("--reason", "poison"), 0),
        (("--processor", "archive"), 2),
        (("--processor", "mail"), 0),
        (("--source", "slack"), 1),
    ],
)
def test_dead_letters_can_be_narrowed(hookline: Console, options: Sequence[str], many: int) -> None:
    hookline.rig.bury("1")
    hookline.accept(an_event("2", "slack"))
    hookline.rig.finish(hookline.rig.run_one("slack"), EXHAUSTED)
    assert len(hookline.json("dead-letters", "list", *options)) == many


def test_a_dead_letter_is_shown_with_why_and_what_to_do(hookline: Console) -> None:
    hookline.bury_noted(an_event())
    text = hookline("dead-letters", "show", a_delivery()).stdout
    assert "exhausted: every attempt failed\n" in text
    assert "KeyError: 'no such customer'\n" in text
    assert "      Traceback (most recent call last):\n" in text
    assert f"hookline dead-letters replay {a_delivery()}\n" in text


def test_what_is_no_dead_letter_says_what_it_is(hookline: Console) -> None:
    hookline.accept(an_event())
    assert (
        "is no dead letter, it is pending" in hookline("dead-letters", "show", EVENT, status=3).stderr
    )


def test_discarded_dead_letters_are_gone_for_good(hookline: Console) -> None:
    hookline.rig.bury("1")
    result = hookline("dead-letters", "discard", a_delivery())
    assert result.stdout.split() == ["ID", "RESULT", a_delivery(), "discarded"]
    assert hookline("dead-letters", "list").stderr == "No dead letters.\n"
    hookline("replay", "--source", "github", "--state", "done", "--yes", status=3)
    assert hookline.states() == {"1": "done"}
    hookline("replay", a_delivery(), "--state", "done")
    assert hookline.states() == {"1": "pending"}


def test_all_dead_letters_of_a_reason_go_back_in_one_command(hookline: Console) -> None:
    for value in "123":
        hookline.rig.bury(value)
    key = hookline.rig.keys.event(an_event("2").id)
    hookline.rig.redis.hset(key, "1r", "poison")
    result = hookline("dead-letters", "replay", "--all", "--reason", "exhausted", "--yes")
    assert result.stderr == "2 replayed.\n"
    assert hookline.states() == {"1": "pending", "2": "dead", "3": "pending"}
    assert hookline("dead-letters", "replay", "--all", "--reason", "exhausted").stderr == (
        "No dead letters.\n"
    )


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_more_than_one_needs_a_yes_where_nobody_can_be_asked(hookline: Console, verb: str) -> None:
    for value in "12":
        hookline.rig.bury(value)
    result = hookline("dead-letters", verb, "--all", status=2)
    assert f"This would {verb} 2 deliveries: add --yes." in result.stderr
    assert hookline.states() == {"1": "dead", "2": "dead"}


def on_a_terminal(hookline: Console, answer: str, *args: str) -> tuple[int, str]:
    """Runs the command on a terminal, answers its question, gives its status and what was seen."""
    ours, theirs = pty.openpty()
    process = hookline.process(*args, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, asked, deadline = b"", math.inf, time.monotonic() + 60
    while time.monotonic() < deadline:
        if answer == "^C" and time.monotonic() > asked:
            # A signal that comes just before the read is only seen after it: press again, as people do.
            # But not while it ends, which the signal would cut off.
            process.send_signal(signal.SIGINT)
            asked = time.monotonic() + 8.0
        if not select.select([ours], [], [], 0.05)[0]:
            continue
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if b"[y/N]" in seen and asked == math.inf:
            asked = time.monotonic()
            os.write(ours, b"" if answer == "^C" else answer.encode())
    os.close(ours)
    return process.wait(60), seen.decode()


@pytest.mark.parametrize(
    ("answer", "status", "state"),
    [("y\n", 0, "pending"), ("n\n", 1, "dead"), ("^C", 130, "dead"), ("\x04", 130, "dead")],
)
def test_on_a_terminal_it_asks_with_the_count(
    hookline: Console, answer: str, status: int, state: str
) -> None:
    for value in "12":
        hookline.rig.bury(value)
    ended, seen = on_a_terminal(hookline, answer, "replay", "--source", "github")
    assert "Replay 2 deliveries? [y/N]" in seen
    assert (ended, hookline.states()) == (status, {"1": state, "2": state})


def test_a_body_that_commands_terminals_is_not_written_raw_to_one(hookline: Console) -> None:
    hookline.accept(an_event(body=b"\x1b[2J"))
    ended, seen = on_a_terminal(hookline, "", "events", "show", EVENT, "--raw-body")
    assert ended == 1
    assert "\x1b[2J" not in seen
    assert "send it to a file" in seen


# replay


def test_one_delivery_goes_back_without_asking(hookline: Console) -> None:
    hookline.rig.bury("1")
    result = hookline("replay", a_delivery())
    assert result.stdout.split() == ["ID", "RESULT", a_delivery(), "replayed"]
    assert result.stderr == "1 replayed.\n"
    assert hookline.states() == {"1": "pending"}


def test_an_event_goes_back_in_its_dead_deliveries_only(hookline: Console) -> None:
    hookline.accept(an_event(), processors=("a", "b", "c"))
    for decision in (DONE, EXHAUSTED, EXHAUSTED):
        hookline.rig.finish(hookline.rig.run_one(), decision)
    assert hookline.json("replay", "github:1", "--yes") == [
        {"id": a_delivery(number=2), "result": "replayed"},
        {"id": a_delivery(number=3), "result": "replayed"},
    ]
    assert hookline.json("replay", EVENT, "--state", "done") == [
        {"id": a_delivery(number=1), "result": "replayed"}
    ]
    assert hookline.states() == {"1": "pending"}


def test_each_that_could_not_go_back_says_why(hookline: Console) -> None:
    hookline.rig.bury("1")
    hookline.accept(an_event("2"))
    hookline.rig.redis.delete(hookline.rig.keys.body(EVENT))
    names = (a_delivery("1"), an_event("2").id, a_delivery("3"))
    rows = hookline.json("replay", *names, status=1)
    assert hookline("replay", a_delivery("4"), names[1], status=1).stderr == "1 missing, 1 pending.\n"
    assert {row["id"]: row["result"] for row in rows} == {
        names[0]: "body_missing",
        names[1]: "pending",
        names[2]: "missing",
    }


def test_status_three_says_that_none_was_found(hookline: Console) -> None:
    hookline.accept(an_event())
    assert hookline("replay", "--source", "github", status=3).stderr == "Nothing to replay.\n"
    assert hookline("replay", a_delivery("2"), status=3).stderr == "1 missing.\n"


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("options", "values"),
    [
        (("--source", "github"), {"1", "2", "3"}),
        (("--type", "pull_*"), {"3"}),
        (("--since", "2026-01-02"), {"2", "3"}),
        (("--since", "2026-01-02", "--until", "2026-01-02"), {"2"}),
        (("--limit", "1"), {"1"}),
        (("--processor", "archive", "--limit", "2"), {"1", "2"}),
    ],
)
def test_what_goes_back_can_be_said_by_options(
    hookline: Console, options: Sequence[str], values: set[str]
) -> None:
    for value in "123":
        hookline.accept(replace(an_event(value), type="pull_request" if value == "3" else "push"))
        hookline.rig.finish(hookline.rig.run_one(), EXHAUSTED)
        came_at(hookline.rig, value, f"2026-01-0{value}T00:00:00")
        hookline.rig.redis.zadd(
            hookline.rig.keys.dead("github"), {a_delivery(value): 2e12 + int(value)}
        )
    hookline("replay", *options, "--yes")
    assert {value for value, state in hookline.states().items() if state == "pending"} == values


def test_a_dry_run_shows_which_and_does_nothing(hookline: Console) -> None:
    for value in "12":
        hookline.rig.bury(value)
    result = hookline("replay", "--source", "github", "--dry-run")
    assert a_delivery("1") in result.stdout
    assert a_delivery("2") in result.stdout
    assert result.stderr == "2 deliveries would be replayed; nothing was done.\n"
    rows = hookline.json("replay", EVENT, "--dry-run")
    assert [(row["delivery"], row["state"]) for row in rows] == [(a_delivery(), "dead")]
    assert hookline.states() == {"1": "dead", "2": "dead"}
    hookline("replay", an_event("9").id, "--dry-run", status=3)


def test_ctrl_c_ends_it_between_two_deliveries_and_tells_how_many_went_back(hookline: Console) -> None:
    for value in "123":
        hookline.rig.bury(value)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    args = ("replay", "--source", "github", "--rate", "1/h", "--yes", "--json")
    with hookline.process(*args, stdin=subprocess.DEVNULL, **pipes) as process:
        try:
            deadline = time.monotonic() + 60
            while not hookline.rig.redis.zcard(hookline.rig.keys.pending("github")):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, "Interrupted: 1 of 3 replayed.\n")
    assert [row["result"] for row in json.loads(out)] == ["replayed"]
    assert sorted(hookline.states().values()) == ["dead", "dead", "pending"]


def test_a_server_that_goes_away_is_told_with_what_was_done(
    hookline: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.exceptions import ConnectionError as Gone

    from gateway.adapters.ledger import scripts

    for value in "12":
        hookline.rig.bury(value)
    calls = iter([scripts.run])

    def run_once(*args: Any) -> Any:
        for run in calls:
            return run(*args)
        raise Gone("closed")

    monkeypatch.setattr(scripts, "run", run_once)
    result = hookline("replay", "--source", "github", "--yes", "--rate", "50/s", status=69)
    assert (
        result.stderr == "Redis does not answer any more: closed\nKnown to be done: 1 of 2 replayed.\n"
    )
    assert result.stdout.count("replayed") == 1


def test_help_needs_neither_redis_nor_pydantic() -> None:
    code = (
        "import sys; import gateway.cli.events, gateway.cli.dead_letters, gateway.cli.replay; "
        "print(*{'redis', 'rq', 'pydantic', 'rich'} & set(sys.modules))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True)
    assert done.stdout.split() == []
