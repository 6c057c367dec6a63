"""CEL expressions as conditions: what holds, what is refused, and that no event breaks one."""

import dataclasses
import json
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import conditions
from gateway.conditions import parse_condition
from gateway.core.condition import ConditionError
from gateway.core.event import Event
from gateway.core.json_path import Subject
from gateway.core.judging import Unjudged, keeps_out

PULL = {"action": "opened", "number": 7, "labels": [{"name": "bug"}], "user": {"login": "canary-octo"}}


def a_subject(body: bytes | None = None, **headers: bytes) -> Subject:
    pairs = tuple((name.encode(), value) for name, value in headers.items())
    text = json.dumps(PULL).encode() if body is None else body
    return Subject(Event("evt_1", "shop", "pull", "", pairs, text, 0.0))


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("payload.action == 'opened' && payload.number > 5", True),
        ("payload.action == 'closed'", False),
        ("payload.number == '7'", False),  # kinds are kept apart, as in tables
        ("payload.labels.exists(each, each.name == 'bug')", True),
        ("has(payload.nothing) && payload.nothing == 1", False),
        ("payload.nothing == 1", False),
        ("payload.action", False),
        ("event_type == 'pull'", True),
        ("headers['shop'] == 'north'", True),
        ("int(headers['count']) > 3", True),
        ("payload.action.matches('^op.*d$')", True),
    ],
)
def test_asks_the_body_the_headers_and_the_type(text: str, held: bool) -> None:
    subject = a_subject(shop=b"north", count=b"5")
    assert (not parse_condition(text).judge(subject)) is held


def test_stands_beside_tables() -> None:
    data = {"all": ["payload.number > 5", {"field": "action", "equals": "closed"}]}
    condition = parse_condition(data)
    assert condition.judge(a_subject()) == "action equals"
    assert str(condition) == 'payload.number > 5 and action equals "closed"'


def test_a_repeated_header_is_not_there() -> None:
    headers = ((b"x", b"a"), (b"x", b"a"))
    subject = Subject(Event("", "s", "t", "", headers, b"", 0.0))
    assert parse_condition("!('x' in headers)").judge(subject) == ""


def test_neither_a_reason_nor_a_note_repeats_a_value() -> None:
    for text in ("payload.user.login == 'x'", "payload.user.login > 1", "payload['user'].login.x == 1"):
        condition = parse_condition(text)
        (finding,) = condition.findings(a_subject())
        assert condition.judge(a_subject()) == "expression"
        assert "canary" not in finding.note + finding.test


def test_says_that_a_key_is_not_there() -> None:
    (finding,) = parse_condition("payload.nothing == 1").findings(a_subject())
    assert "has()" in finding.note


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no expression of 1 to 2000"),
        ("true" + " " * 2000, "no expression"),
        ("payload.a =", "1:11: Syntax error"),
        ("pay.a == 1", "undeclared reference to 'pay.a'"),
        ("1 + 1", "no true or false"),
        ("payload.all(a, payload.map (b, b) == a)", "uses map"),
        ("(" * 100 + "true" + ")" * 100, "no CEL expression"),
    ],
)
def test_refuses_what_is_no_condition_at_start(text: str, problem: str) -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition({"not": text})
    assert error.value.key == "when.not"
    assert problem in error.value.problem
    assert error.value.mend


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    conditions._environment.cache_clear()
    with pytest.raises(ConditionError, match=r"pip install 'hookline\[cel\]'"):
        parse_condition("payload.a == 1")


def test_tables_need_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    assert parse_condition({"field": "action", "equals": "opened"}).judge(a_subject()) == ""


def test_a_loop_within_a_loop_ends_by_its_budget() -> None:
    condition = parse_condition("payload.all(a, payload.all(b, payload.all(c, a + b + c >= 0)))")
    started = time.thread_time()
    assert isinstance(condition.judge(a_subject(json.dumps([*range(500)]).encode())), Unjudged)
    assert time.thread_time() - started < 1


def test_a_loop_over_too_much_is_not_begun() -> None:
    condition = parse_condition("payload.l.all(x, payload.t + payload.t != '')")
    started = time.thread_time()
    for most, verdict in ((2000, ""), (500_000, "expression (too much to evaluate: let through)")):
        body = json.dumps({"l": [*range(1500)], "t": "a" * most}).encode()
        assert condition.judge(a_subject(body)) == verdict
    assert time.thread_time() - started < 2
    (finding,) = condition.findings(a_subject(body))
    assert "20000 characters" in finding.note


def test_without_a_loop_any_size_is_looked_at() -> None:
    body = json.dumps({"t": "a" * 500_000}).encode()
    assert parse_condition("payload.t.endsWith('a')").judge(a_subject(body)) == ""


def test_a_body_nested_without_end_is_not_given_to_the_package() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    subject = Subject(Event("", "s", "t", "", (), b"", 0.0), lambda: deep)
    (finding,) = parse_condition("payload == 1").findings(subject)
    assert (finding.held, finding.note) == (None, "the body is nested more than 200 deep")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)
EXPRESSIONS = [
    parse_condition(text)
    for text in (
        "payload.a == 1",
        "payload.a.b > 0 || has(payload.a.a)",
        "payload.a.size() > 0",
        "payload[0] > 1.5",
        "payload.a.matches(payload.b)",
        "headers['x'] == ''",
    )
]


@given(JSON, st.binary(max_size=60))
def test_every_expression_has_a_verdict_for_any_event(value: Any, other: bytes) -> None:
    for body in (json.dumps(value).encode(), other, b'{"a": "\\ud800"}'):
        for each in EXPRESSIONS:
            each.judge(a_subject(body, x=other))


@given(JSON, st.sampled_from(EXPRESSIONS))
def test_what_an_expression_does_not_look_at_changes_no_verdict(value: Any, each: Any) -> None:
    whole = dataclasses.replace(each, parts=None)
    body = json.dumps(value).encode()
    assert each.judge(a_subject(body)) == whole.judge(a_subject(body))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("payload.a.b == 1 && payload.a.c.matches('x')", {"a": {"b": None, "c": None}}),
        ("payload.a.b == 1 && has(payload.a)", {"a": None}),
        ("payload.l[0].b == 1", {"l": None}),
        ("payload.exists(key, key == 'a')", None),
        ("payload.a.exists (key, key == 'a')", {"a": None}),
        ("payload['a'] == 1", None),
        ("'a' in payload", None),
        ("event_type == 'a'", {}),
        ("payload." + ".".join("abcdefghij") + " == 1", None),
    ],
)
def test_an_expression_is_given_what_it_looks_at(text: str, parts: Any) -> None:
    condition: Any = parse_condition(text)
    if text.startswith("payload.a.b.c.d"):
        parts = None
        for key in reversed("abcdefgh"):
            parts = {key: parts}
    assert condition.parts == parts


def test_text_that_is_no_unicode_hurts_only_who_looks_at_it() -> None:
    body = b'{"a": 1, "b": "\\ud800"}'
    assert parse_condition("payload.a == 1").judge(a_subject(body)) == ""
    assert isinstance(parse_condition("payload.b == 'x'").judge(a_subject(body)), Unjudged)


TOO_MUCH = "payload.all(a, payload.all(b, payload.all(c, a + b + c >= 0)))"
SHORT: dict[str, Any] = {"field": "type", "equals": "pull"}
OTHER: dict[str, Any] = {"field": "type", "equals": "push"}


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        (TOO_MUCH, None),
        ({"not": TOO_MUCH}, None),
        ({"not": {"not": TOO_MUCH}}, None),
        ({"all": [TOO_MUCH, SHORT]}, None),
        ({"all": [TOO_MUCH, OTHER]}, False),  # whatever the expression says
        ({"any": [OTHER, TOO_MUCH]}, None),
        ({"any": [TOO_MUCH, SHORT]}, True),
        ({"not": {"any": [TOO_MUCH, SHORT]}}, False),
        ({"not": {"all": [TOO_MUCH, OTHER]}}, True),
    ],
)
def test_only_what_is_certain_keeps_an_event_out(condition: Any, held: bool | None) -> None:
    verdict = parse_condition(condition).judge(a_subject(json.dumps([*range(500)]).encode()))
    assert keeps_out(verdict) is (held is False)
    assert isinstance(verdict, Unjudged) is (held is None)


def test_a_number_wider_than_any_of_cel_is_no_verdict() -> None:
    condition = parse_condition("payload.a > 1")
    assert isinstance(condition.judge(a_subject(b'{"a": 123456789012345678901234567890}')), Unjudged)
    assert condition.judge(a_subject(b'{"a": 2, "b": 123456789012345678901234567890}')) == ""
    assert condition.judge(a_subject(b'{"a": "2"}')) == "expression"
