"""Putting a value where a template would look for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fields import Fields
from gateway.core.placing import fits, put, with_json
from gateway.core.template import reference_of

from .examples import request

FORM = (b"content-type", b"application/x-www-form-urlencoded")
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=20)
PLACES = ["header.X-A", "header_json.X-A.b.c", "query.a b", "json.a", "json.a.b\\.c", "json.l.0.x"]
FORM_PLACES = ["form.a&b", "form_json.payload.id", "form_json.payload.a.b", "header.x", "query.x"]


@pytest.mark.parametrize("place", PLACES)
@given(value=TEXT)
def test_what_was_put_is_found_there(place: str, value: str) -> None:
    before = request(body=b'{"a": {}, "l": [{}, {}]}')
    if place == "json.a":
        before = request(body=b"")
    after = put(before, reference_of(place), value.encode())
    reference = reference_of(place)
    assert Fields(after).lookup(reference.kind, reference.name) == value.encode()
    assert fits(before, reference)


@pytest.mark.parametrize("place", FORM_PLACES)
@given(value=TEXT)
def test_what_was_put_into_a_form_is_found_there(place: str, value: str) -> None:
    before = request(FORM, body=b"first=1&payload=%7B%22a%22%3A%7B%7D%7D&x=2")
    reference = reference_of(place)
    after = put(before, reference, value.encode())
    assert Fields(after).lookup(reference.kind, reference.name) == value.encode()
    assert Fields(after).lookup("form", "first") == b"1"
    assert fits(before, reference)


@pytest.mark.parametrize("place", ["form.a", "form_json.a.b", "body", "method", "item.a", "json.l.9.x"])
def test_a_request_that_has_no_such_place_stays_as_it_is(place: str) -> None:
    before = request(body=b'{"l": []}')
    assert put(before, reference_of(place), b"x") == before
    assert put(request(FORM), reference_of("json.a"), b"x") == request(FORM)


def test_says_which_places_a_body_can_have() -> None:
    assert not fits(request(FORM), reference_of("json.a"))
    assert not fits(request(), reference_of("form.a"))
    assert not fits(request(), reference_of("form_json.a.b"))
    assert not fits(request(), reference_of("body"))


def test_a_value_replaces_what_was_there_once() -> None:
    before = request(query=b"a=1&b=2&a=3", body=b'{"a": 1, "b": 2}')
    assert put(before, reference_of("query.a"), b"x").query == b"b=2&a=x"
    assert json.loads(put(before, reference_of("json.a"), b"x").body) == {"a": "x", "b": 2}
    form = put(request(FORM, body=b"a=1&b=2&a=3"), reference_of("form.a"), b"&=")
    assert form.body == b"b=2&a=%26%3D"


@pytest.mark.parametrize(
    ("body", "path", "changed"),
    [
        (b"", "a.b", {"a": {"b": "x"}}),
        (b'{"a": {"b": 1}}', "a.b", {"a": {"b": "x"}}),
        (b'{"l": [{}, {"v": 1}]}', "l.*.v", {"l": [{"v": "x"}, {"v": "x"}]}),
        (b'{"l": [{}, {}]}', "l.1.v", {"l": [{}, {"v": "x"}]}),
        (b"[{}]", "0.v", [{"v": "x"}]),
    ],
)
def test_objects_are_made_on_the_way_and_a_star_is_every_element(
    body: bytes, path: str, changed: Any
) -> None:
    assert json.loads(with_json(body, path, "x")) == changed


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"no json", "a"),
        (b"[1]", "a"),
        (b"[1]", "0"),
        (b'{"a": 1}', "a.b"),
        (b'{"a": [1]}', "a.0.b"),
        (b'{"a":"x"}', "a"),
        (b'{"l": []}', "l.*.v"),
        (b"7", "a"),
    ],
)
def test_a_body_in_which_nothing_changes_keeps_its_bytes(body: bytes, path: str) -> None:
    assert with_json(body, path, "x") is body


def test_a_star_in_a_headers_name_stands_for_a_number() -> None:
    assert put(request(), reference_of("header.X-Sig-*"), b"x").headers.one(b"x-sig-1") == b"x"
