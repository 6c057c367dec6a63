"""What goes to a terminal: nothing that commands it, tables that fit it, no secret of a URL."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from gateway.cli import events, plugins, presets, sources
from gateway.cli.shared import candidates, letters, records
from gateway.cli.shared.printing import body_text, json_text, note, print_text, printable
from gateway.cli.shared.server import safe_url
from gateway.cli.shared.tables import fitted, print_table

ODD = "a\x00\x07\x1b[2J\x7f\x9b31m\u200b\u202e\u2066\ufeff\u2028\udc80b"
TABLE = (("event", "type", "size"), [("evt_abc", "pull_request", "1KiB"), ("evt_d", ODD, None)])


def odd_signs(text: str) -> list[str]:
    return [sign for sign in text.replace("\n", "") if not sign.isprintable()]


def test_nothing_printed_commands_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(*TABLE)
    print_text(f"{ODD}\n{ODD}")
    note(ODD)
    out, err = capsys.readouterr()
    texts = (
        out,
        err,
        printable(f"{ODD}\n"),
        json_text({ODD: ODD}),
        body_text(ODD.encode("utf-8", "replace")),
    )
    assert not [odd_signs(text) for text in texts if odd_signs(text)]
    assert "\n" not in printable("one\nline")


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("Zürich → 東京 🎣") == "Zürich → 東京 🎣"
    assert json_text(["ü"]) == '[\n  "ü"\n]'


def test_json_is_equal_to_its_value_however_odd() -> None:
    assert json.loads(json_text({"key": ODD})) == {"key": ODD}


def test_a_table_in_a_pipe_is_whole_and_without_rows_it_is_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(*TABLE, [("type", 4), ("size", 0)])
    print_table(("event",), [])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["evt_abc", "pull_request", "1KiB"]
    assert lines[2].endswith("  -")


STEPS = (("type", 4), ("size", 0), ("type", 0))


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (80, {"event": 7, "type": 12, "size": 4}),
        (27, {"event": 7, "type": 12, "size": 4}),
        (26, {"event": 7, "type": 11, "size": 4}),
        (19, {"event": 7, "type": 4, "size": 4}),
        (18, {"event": 7, "type": 9}),
        (13, {"event": 7, "type": 4}),
        (12, {"event": 7}),
        (3, {"event": 7}),
    ],
)
def test_columns_give_way_in_their_order_and_no_more_than_needed(
    room: int, widths: dict[str, int]
) -> None:
    assert fitted({"event": 7, "type": 12, "size": 4}, STEPS, room) == widths


def test_a_table_on_a_terminal_fits_it_and_says_what_is_left_out() -> None:
    code = (
        "from gateway.cli.shared.tables import print_table\n"
        "columns = ('event', 'type', 'size')\n"
        "print_table(columns, [('evt_abc', 'pull_request', '1KiB')], (('type', 6), ('size', 0)))"
    )
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": "16", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environ, stdout=theirs, stderr=theirs, check=True)
    seen = os.read(ours, 4096).decode().splitlines()
    os.close(theirs)
    os.close(ours)
    assert seen[1:] == ["evt_abc  pull_r…", "No room for SIZE: --json has everything."]


@pytest.mark.parametrize(
    ("module", "copied"),
    [
        (events, "event"),
        (candidates, "delivery"),
        (letters, "delivery"),
        (records, "delivery"),
        (plugins, "name"),
        (presets, "id"),
        (sources, "name"),
    ],
)
def test_what_one_must_copy_is_never_cut(module: Any, copied: str) -> None:
    assert copied in module.COLUMNS
    assert {name for name, _ in module.STEPS} <= set(module.COLUMNS) - {copied}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:sesame@host:1/0", "redis://***@host:1/0"),
        ("rediss://user:ses@me@host", "rediss://***@host"),
        ("redis://host?password=sesame", "redis://host?***"),
        ("user:sesame@host", "***@host"),
        ("redis://:ses/ame@host", "redis://***@host"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert safe_url(url) == shown
