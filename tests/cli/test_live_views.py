"""What `hookline dev` and `hookline tail` print, and how a saved file is noticed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.ledger.event_records import Failure
from gateway.cli.shared.dev_crew import Child
from gateway.cli.shared.dev_view import View, line_of
from gateway.cli.shared.exits import ending
from gateway.cli.shared.live_lines import Line, LinePrinter, duration
from gateway.cli.shared.traces import shortened_trace
from gateway.cli.shared.watching import Watch, differing, snapshot

TIME = "2026-01-31T14:05:06.500000Z"
TRACE = f"""Traceback (most recent call last):
  File "/home/me/processors/stripe.py", line 8, in book
    ledger.post(amount)
    ~~~~~~~~~~~^^^^^^^^
  File "{os.__file__}", line 40, in post
    return json.loads(text)
  File "/venv/site-packages/acme/client.py", line 4, in send
    raise KeyError("cus_1")
KeyError: 'cus_1'
"""


def request(word: str, **facts: Any) -> dict[str, Any]:
    known = {"source": "github", "status": 200, "ms": 20.0, "event_type": "push", "event_id": "evt_a"}
    return {"event": f"request.{word}", "level": "info", "time": TIME, **known, **facts}


def attempt(word: str, **facts: Any) -> dict[str, Any]:
    known = {"processor": "book", "attempt": 1, "delivery": "dlv_a-1"}
    return request("") | known | {"event": f"attempt.{word}", **facts}


def told(facts: dict[str, Any]) -> tuple[str, str]:
    line = line_of(facts)
    assert line
    return line.word, line.note


# Lines of a log


def test_a_request_is_told_with_what_is_known_of_it() -> None:
    assert told(request("accepted")) == ("accepted", "evt_a")
    assert told(request("accepted", count=3)) == ("accepted", "3 events")
    assert told(request("duplicate", reason="done")) == ("duplicate", "evt_a was here before: done")
    assert told(request("refused", reason="stale_timestamp")) == ("refused", "stale_timestamp")
    assert told(request("ignored")) == ("ignored", "no processor wants it")
    assert told(request("rate_limited", status=429)) == ("rate_limited", "answered 429")


def test_an_attempt_is_told_with_what_follows_it() -> None:
    assert told(attempt("done")) == ("done", "")
    assert told(attempt("done", attempt=3)) == ("done", "attempt 3")
    assert told(attempt("failed", next_in_s=9.84)) == ("failed", "attempt 1, next in 9.8 s")
    assert told(attempt("failed", dead="exhausted", attempt=8)) == ("dead", "exhausted, attempt 8")
    assert "another worker" in told(attempt("done", stale=True))[1]


def test_a_request_is_dated_from_when_it_came_and_an_attempt_from_its_end() -> None:
    came, ended = line_of(request("accepted")), line_of(attempt("done"))
    assert came
    assert ended
    assert ended.at - came.at == pytest.approx(0.02)


def test_other_lines_of_a_log_are_none_of_ours() -> None:
    assert line_of({"event": "worker.started", "level": "info", "time": TIME}) is None
    assert line_of({"event": "attempt.crashed", "level": "error", "delivery": "dlv_a-1"}) is None


# Printing


def test_columns_grow_with_what_they_have_held() -> None:
    printer = LinePrinter()
    first = printer.text(Line(0.0, "github", "push", "archive", "done", 3.2))
    long = printer.text(Line(0.0, "github", "customer.subscription.deleted", "archive", "done", 3.2))
    last = printer.text(Line(0.0, "github", "push", "archive", "done", 3.2))
    assert first.index("archive") < long.index("archive") == last.index("archive")
    assert long.split()[-3:] == [long.split()[-3], "3", "ms"]


def test_what_a_sender_chose_can_not_command_the_terminal() -> None:
    text = LinePrinter().text(Line(0.0, "github", "push\x1b[2J\n", "archive", "dropped", None))
    assert "\\x1b[2J\\n" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0.4, "0 ms"), (999, "999 ms"), (1200, "1.2 s"), (240_000, "4 min"), (7_200_000, "2 h")],
)
def test_a_duration_has_the_unit_that_fits(ms: float, text: str) -> None:
    assert duration(ms) == text


# Traces


def test_a_trace_shows_the_authors_frames_and_counts_the_libraries() -> None:
    assert shortened_trace(TRACE, Path("/home/me")) == [
        "processors/stripe.py:8 in book",
        "  ledger.post(amount)",
        "... 2 frames in libraries",
        "KeyError: 'cus_1'",
    ]


def test_a_long_trace_keeps_its_beginning_and_its_end() -> None:
    deep = "".join(f'  File "/home/me/a.py", line {n}, in f\n    f()\n' for n in range(100))
    lines = shortened_trace(
        f"Traceback (most recent call last):\n{deep}RecursionError: no\n", Path("/")
    )
    assert len(lines) == 24
    assert lines[-1] == "RecursionError: no"
    assert "... 178 lines" in lines


# The view


def failure(number: int, trace: str = TRACE) -> Failure:
    return Failure(number, "failed", 0.0, 0.1, "KeyError", "", "", trace)


def view_of(kept: Sequence[Failure] = ()) -> View:
    return View(lambda _: kept, Path("dev.log"), "http://here", {"github": "/hooks/github"})


def test_a_failed_attempt_is_followed_by_its_own_trace(capsys: pytest.CaptureFixture[str]) -> None:
    view = view_of([failure(1, "Traceback (most recent call last):\nOther: no\n"), failure(2)])
    view.line(attempt("failed", attempt=2, error="KeyError", level="warning"))
    view.show(float("inf"))
    out = capsys.readouterr().out
    assert "KeyError: 'cus_1'" in out
    assert "Other: no" not in out


def test_an_arrival_comes_before_its_attempt_however_late_its_line_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = view_of()
    view.line(attempt("done"))
    view.line(request("accepted", time="2026-01-31T14:05:06.510000Z"))
    view.show(0.0)
    assert not capsys.readouterr().out, "too early to know the order"
    view.show(float("inf"))
    words = [line.split()[4] for line in capsys.readouterr().out.splitlines()]
    assert words == ["accepted", "done"]


def test_a_warning_of_the_configuration_is_said_once_and_any_other_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = view_of()
    for _ in range(2):
        view.line({"event": "config.warning", "level": "warning", "warning": "old lists", "time": TIME})
        view.line({"event": "worker.odd", "level": "error", "error": "E", "time": TIME})
    assert capsys.readouterr().err.splitlines() == [
        "old lists",
        "worker.odd error=E",
        "worker.odd error=E",
    ]


def test_a_source_that_was_added_is_told_with_its_url(capsys: pytest.CaptureFixture[str]) -> None:
    paths = {"github": "/hooks/github", "slack": "/hooks/slack"}
    view_of().line({"event": "gateway.started", "level": "info", "paths": paths, "time": TIME})
    assert capsys.readouterr().err.split() == ["slack", "http://here/hooks/slack"]


def test_a_fault_is_shown_with_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    child = Child("worker", None, said=["processors/a.py: line 3: cannot be imported"])  # type: ignore[arg-type]
    view_of().refused(child, 78, stays=True)
    assert "line 3" in (err := capsys.readouterr().err)
    assert "What ran before goes on" in err
    view_of().refused(child, 78, stays=False)
    assert "Nothing runs yet" in capsys.readouterr().err


def test_an_end_is_named_by_its_signal_or_its_status() -> None:
    assert [ending(3), ending(-9), ending(-63)] == ["status 3", "SIGKILL", "signal 63"]


# Watching


def touched(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_change_is_told_once_and_when_the_files_have_kept_still(tmp_path: Path) -> None:
    touched(tmp_path / "a.py", "1")
    watch = Watch([tmp_path])
    assert watch.changed() == ()
    touched(tmp_path / "a.py", "12")
    assert watch.changed() == (), "it may still be written"
    assert watch.changed() == (tmp_path / "a.py",)
    assert watch.changed() == ()


def test_new_and_lost_files_are_changes_and_other_files_are_none(tmp_path: Path) -> None:
    touched(tmp_path / "lost.py", "")
    before = snapshot([tmp_path, tmp_path / "missing"])
    (tmp_path / "lost.py").unlink()
    for name in ("sources/new.toml", ".#a.py", "__pycache__/a.py", ".git/b.py", "notes.md", "a.py~"):
        touched(tmp_path / name, "")
    after = snapshot([tmp_path])
    assert differing(before, after) == (tmp_path / "lost.py", tmp_path / "sources" / "new.toml")
