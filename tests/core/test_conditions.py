"""Conditions as data: what holds, what is refused, and that a verdict tells no value."""

import json
import re
import time
from contextlib import suppress
from fnmatch import translate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.condition import Condition, ConditionError, parse_condition
from gateway.core.event import Event
from gateway.core.json_path import Subject
from gateway.core.operators import OPERATORS

PULL = {
    "action": "opened",
    "number": 7,
    "amount": 12.5,
    "draft": False,
    "closed_at": None,
    "at": "2026-03-01T10:00:00Z",
    "labels": [{"name": "bug"}, {"name": "ui"}, {}],
    "tags": ["a", 1, True],
    "user": {"login": "canary-octo"},
}


def a_subject(body: Any = PULL, **headers: str) -> Subject:
    pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Subject(Event("evt_1", "shop", "pull", "", pairs, json.dumps(body).encode(), 0.0))


def holds(condition: Any, subject: Subject | None = None) -> bool:
    return not parse_condition(condition).judge(subject or a_subject())


@pytest.mark.parametrize(
    ("field", "operator", "expected", "held"),
    [
        ("action", "equals", "opened", True),
        ("action", "equals", "Opened", False),
        ("number", "equals", 7, True),
        ("number", "equals", 7.0, True),
        ("number", "equals", "7", False),  # text is no number
        ("draft", "equals", False, True),
        ("draft", "equals", 0, False),  # and a boolean is none
        ("tags.2", "equals", 1, False),
        ("user", "equals", "canary-octo", False),
        ("nothing", "equals", "x", False),
        ("action", "not_equals", "closed", True),
        ("action", "not_equals", "opened", False),
        ("nothing", "not_equals", "x", True),
        ("action", "in", ["closed", "opened"], True),
        ("number", "in", ["7", 8], False),
        ("number", "in", ["7", 7], True),
        ("draft", "in", [0, 1], False),
        ("draft", "in", [False], True),
        ("labels", "in", ["bug"], False),
        ("action", "not_in", ["closed"], True),
        ("nothing", "not_in", ["closed"], True),
        ("action", "not_in", ["opened"], False),
        ("action", "exists", True, True),
        ("action", "exists", False, False),
        ("nothing", "exists", True, False),
        ("nothing", "exists", False, True),
        ("closed_at", "exists", True, False),  # null counts as absent
        ("closed_at", "not_equals", "x", True),
        ("number", "greater", 6, True),
        ("number", "greater", 7, False),
        ("amount", "at_least", 12.5, True),
        ("amount", "less", 13, True),
        ("amount", "at_most", 12, False),
        ("draft", "less", 1, False),
        ("action", "greater", 1, False),
        ("at", "greater", "2026-01-01", True),
        ("number", "less", "2026-01-01", False),
        ("action", "starts_with", "open", True),
        ("action", "ends_with", "ned", True),
        ("action", "ends_with", "open", False),
        ("number", "starts_with", "7", False),
        ("action", "contains", "pen", True),
        ("tags", "contains", "a", True),
        ("tags", "contains", 1, True),
        ("tags", "contains", "1", False),
        ("user", "contains", "login", False),
        ("number", "contains", 7, False),
        ("action", "matches", "op*d", True),
        ("action", "matches", "*", True),
        ("action", "matches", "*x*", False),
        ("action", "matches", "*en*en*", False),
        ("action", "matches", "opened*ed", False),  # one part of a text is not two
        ("number", "matches", "*", False),
        ("type", "equals", "pull", True),
        ("header:x-shop", "equals", "north", True),
        ("header:x-none", "equals", "north", False),
        ("labels.*.name", "equals", "ui", True),
        ("labels.*.name", "not_equals", "ui", False),  # none of them may be
        ("labels.*.name", "not_equals", "new", True),
        ("labels.*.name", "exists", True, True),
        ("labels.*.colour", "exists", False, True),
    ],
)
def test_compares_a_value(field: str, operator: str, expected: Any, held: bool) -> None:
    subject = a_subject(**{"x-shop": "north"})
    assert holds({"field": field, operator: expected}, subject) is held


def test_several_operators_of_one_field_must_all_hold() -> None:
    assert holds({"field": "number", "at_least": 5, "less": 10})
    assert not holds({"field": "number", "at_least": 5, "less": 7})


YES = {"field": "action", "equals": "opened"}
NO = {"field": "number", "greater": 100}


def test_all_any_and_not_are_what_they_say() -> None:
    for left, first in ((YES, True), (NO, False)):
        assert holds({"not": left}) is not first
        for right, second in ((YES, True), (NO, False)):
            assert holds({"all": [left, right]}) is (first and second)
            assert holds({"any": [left, right]}) is (first or second)


def test_a_reason_names_fields_and_operators_and_no_value() -> None:
    login = {"field": "user.login", "equals": "somebody"}
    cases = [
        (login, "user.login equals"),
        ({"all": [YES, login, NO]}, "user.login equals"),
        ({"any": [login, NO]}, "user.login equals or number greater"),
        ({"not": {"field": "user.login", "starts_with": "can"}}, "not (user.login starts_with)"),
    ]
    for condition, reason in cases:
        assert parse_condition(condition).judge(a_subject()) == reason


def test_a_reason_stays_short_whatever_was_asked() -> None:
    many = {"any": [{"field": f"f{number}" * 20, "exists": True} for number in range(90)]}
    assert len(parse_condition(many).judge(a_subject())) < 310


def test_is_written_as_it_was_configured() -> None:
    condition = {"all": [YES, {"any": [NO, {"not": {"field": "type", "in": ["x", "y"]}}]}]}
    text = 'action equals "opened" and (number greater 100 or not (type in ["x", "y"]))'
    assert str(parse_condition(condition)) == text


def test_findings_say_what_was_found_and_that_kinds_differ() -> None:
    (found,) = parse_condition({"field": "number", "equals": "7"}).findings(a_subject())
    assert (found.held, found.found, found.place) == (False, (7,), "json.number")
    assert found.note == "a number is never the same as text"
    (found,) = parse_condition({"field": "nothing", "equals": "7"}).findings(a_subject())
    assert (found.found, found.note) == ((), "nothing is there")


def test_the_finding_of_a_negated_test_is_turned_round() -> None:
    (found,) = parse_condition({"not": YES}).findings(a_subject())
    assert (found.test, found.held) == ('not (action equals "opened")', False)


def test_findings_of_a_group_are_those_of_all_its_tests() -> None:
    condition = parse_condition({"not": {"any": [YES, {"all": [NO, YES]}]}})
    assert [each.held for each in condition.findings(a_subject())] == [True, False, True]
    assert condition.size == 3


def problems_of(data: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConditionError) as error:
        parse_condition(data)
    assert all(each.mend for each in error.value.problems)
    return [(each.key, each.problem) for each in error.value.problems]


@pytest.mark.parametrize(
    ("data", "key", "problem"),
    [
        (5, "when", "is a number"),
        ([YES], "when", "is a list"),
        ("a == 1", "when", "is text"),
        ({}, "when", "is empty"),
        ({"equals": 1}, "when.field", "is required"),
        ({"field": 5, "equals": 1}, "when.field", "is required"),
        ({"field": "a..b", "equals": 1}, "when.field", "empty step"),
        ({"field": "a"}, "when", "no operator"),
        ({"field": "a", "equal": 1}, "when.equal", "no word of a condition"),
        ({"field": "a", "equals": None}, "when.equals", "is null"),
        ({"field": "a", "equals": [1]}, "when.equals", "is a list"),
        ({"field": "a", "equals": {}}, "when.equals", "is an object"),
        ({"field": "a", "equals": float("nan")}, "when.equals", "no number"),
        ({"field": "a", "equals": 10**100}, "when.equals", "too large"),
        ({"field": "a", "equals": "x" * 1001}, "when.equals", "more than 1000"),
        ({"field": "a", "in": []}, "when.in", "no list of 1 to 1000"),
        ({"field": "a", "in": "ab"}, "when.in", "no list"),
        ({"field": "a", "in": [1, None]}, "when.in", "is null"),
        ({"field": "a", "exists": "yes"}, "when.exists", "neither true nor false"),
        ({"field": "a", "greater": "10"}, "when.greater", "never compared"),
        ({"field": "a", "less": True}, "when.less", "a boolean"),
        ({"field": "a", "starts_with": ""}, "when.starts_with", "is empty"),
        ({"field": "a", "ends_with": 5}, "when.ends_with", "is a number"),
        ({"field": "a", "matches": "abc"}, "when.matches", "has no *"),
        ({"field": "header:x", "equals": 1}, "when.equals", "always text"),
        ({"field": "type", "in": ["a", 1]}, "when.in", "always text"),
        ({"field": "type", "greater": 1}, "when.greater", "always text"),
        ({"all": []}, "when.all", "no list of 1 to 100"),
        ({"any": YES}, "when.any", "no list"),
        ({"all": [YES], "any": [YES]}, "when", "all beside any"),
        ({"not": [YES]}, "when.not", "is a list"),
        ({"all": [YES, {"not": {"field": "a"}}]}, "when.all[1].not", "no operator"),
    ],
)
def test_refuses_what_is_no_condition_and_says_where(data: Any, key: str, problem: str) -> None:
    (found,) = problems_of(data)
    assert found[0] == key
    assert problem in found[1]


def test_tells_every_fault_at_once() -> None:
    data = {"any": [{"field": "", "equals": None}, {"all": [{"feld": "a"}, 5]}, NO]}
    keys = ["when.any[0].field", "when.any[1].all[0].field", "when.any[1].all[0].feld"]
    assert [key for key, _ in problems_of(data)] == [*keys, "when.any[1].all[1]"]


def test_the_place_of_a_fault_is_told_from_where_the_condition_stands() -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition({"not": {"field": "a"}}, at="processors[0].when")
    assert error.value.key == "processors[0].when.not"


def test_the_mend_for_a_number_in_quotes_can_be_written_as_it_stands() -> None:
    with pytest.raises(ConditionError, match=r"write it without quotes: 10$"):
        parse_condition({"field": "n", "at_least": "10"})
    with pytest.raises(ConditionError, match=r'write it in quotes: "1"$'):
        parse_condition({"field": "header:x", "equals": 1})


def test_its_depth_and_its_size_are_bounded() -> None:
    deep: Any = YES
    for _ in range(7):
        deep = {"not": deep}
    assert parse_condition(deep)
    assert problems_of({"not": deep}) == [("when" + ".not" * 8, "is nested more than 8 deep")]
    wide = {"all": [{"any": [YES] * 60}, {"any": [YES] * 60}]}
    assert problems_of(wide) == [("when", "has 120 tests, and 100 are the most")]
    own: Any = {}
    own["not"] = own  # as only Python can write it
    assert problems_of(own)


def test_a_pattern_and_a_text_that_would_drive_a_regex_mad_take_no_time() -> None:
    pattern, text = "*a" * 400 + "b*", "a" * 500_000
    started = time.perf_counter()
    assert not holds({"field": "t", "matches": pattern}, a_subject({"t": text}))
    assert time.perf_counter() - started < 0.5


LETTERS = st.text("ab*", max_size=8)


@given(LETTERS, st.text("ab", max_size=12))
def test_matches_what_a_glob_matches(pattern: str, text: str) -> None:
    if "*" not in pattern:
        pattern += "*"
    expected = re.fullmatch(translate(pattern), text) is not None
    assert holds({"field": "t", "matches": pattern}, a_subject({"t": text})) is expected


SCALAR = st.text(max_size=4) | st.integers() | st.booleans() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | SCALAR | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(("a", "a.b", "a.0", "a.*", "$", "type", "header:x"))
TESTS = st.builds(
    lambda field, name, expected: {"field": field, name: expected},
    FIELDS,
    st.sampled_from([*OPERATORS]),
    SCALAR | st.lists(SCALAR, min_size=1, max_size=3),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.builds(
        lambda word, parts: {word: parts[0] if word == "not" else parts},
        st.sampled_from(("all", "any", "not")),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def read(data: Any) -> Condition | None:
    try:
        return parse_condition(data)
    except ConditionError:
        return None


@given(CONDITIONS, JSON, st.binary(max_size=50))
def test_every_condition_has_a_verdict_for_any_event(data: Any, value: Any, other: bytes) -> None:
    condition = read(data)
    for body in (json.dumps(value).encode(), other):
        subject = Subject(Event("", "s", "t", "", ((b"x", other),), body, 0.0))
        if condition:
            condition.judge(subject)
            assert len([*condition.findings(subject)]) == condition.size
            assert str(condition)


@given(TESTS, JSON)
def test_not_turns_every_verdict_round(data: Any, value: Any) -> None:
    if read(data):
        assert holds(data, a_subject({"a": value})) is not holds({"not": data}, a_subject({"a": value}))


@given(SCALAR, JSON)
def test_a_negated_operator_is_the_opposite_of_the_plain_one(expected: Any, value: Any) -> None:
    for plain, negated, given_ in (("equals", "not_equals", expected), ("in", "not_in", [expected])):
        tests = ({"field": "a", plain: given_}, {"field": "a", negated: given_})
        if all(map(read, tests)):
            subject = a_subject({"a": value})
            assert holds(tests[0], subject) is not holds(tests[1], subject)


@given(JSON | st.text())
def test_any_data_is_a_condition_or_refused(data: Any) -> None:
    with suppress(ConditionError):
        parse_condition(data, at="when")
