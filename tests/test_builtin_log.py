"""`run = "log"`: a line tells what was asked for, and of the body nothing else."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.builtin.log import fields_of, shown
from gateway.core.json_path import parse_path
from gateway.logs import configure_logs
from tests.builtin_rig import CANARY, an_event, processor, run

TABLE = '[[processors]]\nrun = "log"\n'
BODY = (
    b'{"action": "opened", "repository": {"full_name": "octo/hello"}, "note": "%s"}' % CANARY.encode()
)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs("json", "info", stream)
    yield stream
    structlog.reset_defaults()


def test_a_line_tells_id_type_size_and_the_chosen_fields(lines: io.StringIO, tmp_path: Path) -> None:
    chosen = 'fields = ["action", "repository.full_name", "header:X-GitHub-Event", "type", "absent"]'
    run(processor(TABLE + chosen, tmp_path), an_event(BODY, processor="github.log"))
    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert line.pop("time")
    assert line == {
        "event": "event.logged",
        "level": "info",
        "event_id": "evt_abcdefghijklmnopqrstuvwxyz",
        "source": "github",
        "event_type": "issues",
        "processor": "github.log",
        "attempt": 1,
        "bytes": len(BODY),
        "fields": {
            "action": "opened",
            "repository.full_name": "octo/hello",
            "header:X-GitHub-Event": "issues",
            "type": "issues",
            "absent": None,
        },
    }


def test_nothing_of_the_body_is_told_unasked(lines: io.StringIO, tmp_path: Path) -> None:
    run(processor(TABLE, tmp_path), an_event(BODY))
    assert CANARY not in lines.getvalue()
    assert "fields" not in json.loads(lines.getvalue())


def test_a_body_that_is_no_json_has_no_fields_and_is_done(lines: io.StringIO, tmp_path: Path) -> None:
    run(processor(TABLE + 'fields = ["action"]', tmp_path), an_event(b"\xff\x00"))
    assert json.loads(lines.getvalue())["fields"] == {"action": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, 1),
        (True, True),
        (None, None),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ({"secret": CANARY}, "object with 1 key"),
        ({"a": 1, "b": 2}, "object with 2 keys"),
        ([CANARY], "list of 1"),
    ],
)
def test_long_values_are_cut_and_of_a_table_only_its_size_is_told(value: Any, text: Any) -> None:
    assert shown(value) == text


@given(st.binary(max_size=200))
def test_any_body_gives_a_line(body: bytes) -> None:
    paths = (parse_path("a.b"), parse_path("header:x"), parse_path("$"))
    assert set(fields_of(an_event(body), paths)) == {"a.b", "header:x", "$"}
