"""Paths: what they lead to, and which are refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import Event
from gateway.core.fields import MISSING
from gateway.core.json_path import Path, PathError, Subject, parse_path

BODY = (
    b'{"a": {"b": [1, {"c": null}]}, "x.y": "dotted", "type": "own", "l": [{"n": "p"}, {"n": "q"}, {}]}'
)


def a_subject(body: bytes = BODY, *headers: tuple[bytes, bytes]) -> Subject:
    return Subject(Event("evt_1", "shop", "order.paid", "", headers, body, 0.0))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b.0", 1),
        ("a.b.1.c", None),
        ("x\\.y", "dotted"),
        ("$.x\\.y", "dotted"),
        ("type", "order.paid"),
        ("$.type", "own"),
        ("l.1.n", "q"),
        ("l.7.n", MISSING),
        ("a.b.c", MISSING),
        ("a.b.0.c", MISSING),
        ("nothing", MISSING),
    ],
)
def test_leads_to_one_value(text: str, value: Any) -> None:
    assert parse_path(text).of(a_subject()) == value


def test_leads_to_the_whole_body() -> None:
    assert parse_path("$").of(a_subject(b"[1]")) == [1]


def test_a_star_takes_each_element_that_has_the_rest_of_the_path() -> None:
    path = parse_path("l.*.n", many=True)
    assert path.many
    assert path.all_of(a_subject()) == ["p", "q"]
    assert path.all_of(a_subject(b'{"l": {"n": 1}}')) == []


def test_a_header_is_found_in_any_case_and_not_when_it_is_repeated() -> None:
    path = parse_path("header:X-Shop")
    assert path.of(a_subject(b"", (b"x-shop", b"north"))) == "north"
    assert path.of(a_subject(b"", (b"x-shop", b"a"), (b"x-shop", b"a"))) is MISSING
    assert path.of(a_subject()) is MISSING


def test_headers_of_different_bytes_are_different_texts() -> None:
    path = parse_path("header:x")
    assert path.of(a_subject(b"", (b"x", b"\xff"))) != path.of(a_subject(b"", (b"x", b"\xfe")))


def test_finds_in_a_value_what_goes_into_json_and_nothing_else() -> None:
    assert parse_path("a.0").find({"a": [5]}) == 5
    assert parse_path("a").find(MISSING) is MISSING
    assert parse_path("type").find({"type": "own"}) is MISSING
    assert parse_path("header:a").find({"header:a": 1}) is MISSING


@pytest.mark.parametrize(
    ("text", "place"),
    [("$.a.b", "json.a.b"), ("header:X-Shop", "header.x-shop"), ("type", "type")],
)
def test_has_the_place_that_masking_knows_it_by(text: str, place: str) -> None:
    assert parse_path(text).place == place


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1 to 200"),
        ("a" * 201, "1 to 200"),
        ("a\0b", "1 to 200"),
        ("a..b", "empty step"),
        (".a", "empty step"),
        ("a.", "empty step"),
        ("$.", "empty step"),
        (".".join("a" * 33), "32 steps"),
        ("header:", "names no header"),
        ("header:x y", "names no header"),
        ("header:é", "names no header"),
        ("a.*.b", "one value"),
    ],
)
def test_refuses_a_path_that_leads_nowhere(text: str, problem: str) -> None:
    with pytest.raises(PathError, match=problem) as error:
        parse_path(text)
    assert error.value.mend


def test_refuses_a_star_inside_a_key() -> None:
    with pytest.raises(PathError, match="inside a key"):
        parse_path("a*.b", many=True)


def test_parses_the_body_once_and_only_when_a_path_goes_into_it() -> None:
    asked: list[str] = []

    def parsed() -> Any:
        asked.append("parsed")
        return {"a": 1, "b": 2}

    subject = Subject(Event("evt_1", "shop", "paid", "", ((b"x", b"y"),), b"", 0.0), parsed)
    assert (parse_path("type").of(subject), parse_path("header:x").of(subject)) == ("paid", "y")
    assert asked == []
    assert (parse_path("a").of(subject), parse_path("b").of(subject)) == (1, 2)
    assert asked == ["parsed"]


def test_a_body_that_is_no_json_is_asked_for_once_too() -> None:
    answers = iter([MISSING])
    subject = Subject(Event("", "", "", "", (), b"", 0.0), lambda: next(answers))
    assert [parse_path(each).of(subject) for each in ("a", "b")] == [MISSING, MISSING]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(max_size=30), st.binary(max_size=100), st.booleans())
def test_any_text_is_a_path_or_refused_and_any_body_gives_an_answer(
    text: str, body: bytes, many: bool
) -> None:
    try:
        path = parse_path(text, many=many)
    except PathError:
        return
    path.of(a_subject(body))
    path.all_of(a_subject(body))
    path.find(body)


@given(JSON, st.lists(st.text(max_size=5) | st.just("*"), min_size=1, max_size=4))
def test_any_value_can_be_walked(value: Any, steps: list[str]) -> None:
    Path("x", ".".join(steps)).find(value)
