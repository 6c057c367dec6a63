"""A captured request: what is caught comes back, and any other text is refused with its fault."""

import base64
import json
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.capture import Captured, CaptureError, refusal_id
from gateway.core.request import Headers, InboundRequest

REQUEST = InboundRequest(
    "POST",
    "/hooks/shop",
    b"a=1&b=%2F\xff",
    Headers(((b"x-token", b"right\xfe"), (b"x-token", b"again"))),
    b"\x00{}\xff",
    "192.0.2.9",
    1_700_000_000.25,
)
VALUE = {"method": "POST", "url": "/x", "headers": [], "body": ""}


def test_a_request_comes_back_byte_for_byte() -> None:
    text = Captured.of(REQUEST, "shop", "signature_mismatch").to_json()
    assert Captured.from_json(text).request() == REQUEST


def test_a_file_gives_the_equal_value_back() -> None:
    captured = Captured.of(REQUEST, "shop", "signature_mismatch")
    assert Captured.from_json(captured.to_json()) == captured


@given(
    st.binary(max_size=50),
    st.lists(st.tuples(st.binary(max_size=9).map(bytes.lower), st.binary(max_size=9)), max_size=4),
    st.binary(max_size=20),
)
def test_any_bytes_come_back(body: bytes, headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    request = InboundRequest("PUT", "/p", query, Headers(tuple(headers)), body, None, 0.0)
    assert Captured.from_json(Captured.of(request).to_json()).request() == request


def test_headers_may_be_an_object_and_the_rest_may_be_missing() -> None:
    text = json.dumps(VALUE | {"headers": {"X-Token": "a"}, "method": "post"})
    captured = Captured.from_json(text)
    assert captured == Captured("POST", "/x", ((b"x-token", b"a"),), b"", 0)
    assert captured.request(at=5).received_at == 5


def test_a_whole_url_is_split_into_what_the_gateway_saw_and_the_public_one() -> None:
    value = VALUE | {"url": "https://hooks.example.com/in/shop?a=1?2", "received_at": 1}
    request = Captured.from_json(json.dumps(value)).request()
    assert (request.path, request.query) == ("/in/shop", b"a=1?2")
    assert request.url == "https://hooks.example.com/in/shop"
    assert Captured.from_json(json.dumps(value)).request(url="https://x/y").url == "https://x/y"


def test_what_is_beyond_latin_1_is_meant_as_utf_8() -> None:
    captured = Captured.from_json(json.dumps(VALUE | {"headers": [["x-name", "žluť"]]}))
    assert captured.headers == ((b"x-name", "žluť".encode()),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"body": "%%%"}, "body is no base64"),
        ({"body": None}, "body is no text"),
        ({"body": "aGk"}, "body is no base64"),
        ({"method": 1}, "method is no text"),
        ({"url": ["/"]}, "url is no text"),
        ({"headers": "a: b"}, "headers is no list"),
        ({"headers": [["a"]]}, "headers[0] is no pair"),
        ({"headers": [["a", "b"], ["c", 1]]}, "headers[1] is no pair"),
        ({"headers": {"a": ["b"]}}, "headers[0] is no pair"),
        ({"body_size": -1}, "body_size is no number"),
        ({"body_size": True}, "body_size is no number"),
        ({"received_at": "now"}, "received_at is no time"),
        ({"received_at": float("nan")}, "received_at is no time"),
        ({"received_at": float("inf")}, "received_at is no time"),
        ({"received_at": 10**400}, "received_at is no time"),
        ({"received_at": False}, "received_at is no time"),
        ({"client": 5}, "client is no text"),
    ],
)
def test_what_does_not_fit_is_named_with_its_mend(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(CaptureError) as caught:
        Captured.from_json(json.dumps(VALUE | change))
    assert caught.value.problem.startswith(problem)
    assert caught.value.mend


@pytest.mark.parametrize("name", VALUE)
def test_what_is_missing_is_named(name: str) -> None:
    value = {key: each for key, each in VALUE.items() if key != name}
    with pytest.raises(CaptureError, match=f"{name} is missing"):
        Captured.from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "[" * 100_000, "9" * 5000, b"\xff\xfe\x00"])
def test_what_is_no_json_object_is_told(text: str | bytes) -> None:
    with pytest.raises(CaptureError):
        Captured.from_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*VALUE, "received_at", "body_size", "x"]), inner)
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_request_or_refused_with_the_one_error(value: Any) -> None:
    with suppress(CaptureError):
        Captured.from_json(json.dumps(value)).request(at=0.0)


def test_without_a_time_a_request_cannot_be_judged() -> None:
    with pytest.raises(CaptureError, match="received_at is missing"):
        Captured.from_json(json.dumps(VALUE)).request()


def test_a_cut_body_says_how_long_it_was() -> None:
    cut = Captured.from_json(
        json.dumps(VALUE | {"body": base64.b64encode(b"ab").decode(), "body_size": 9})
    )
    assert (cut.body, cut.body_size, cut.whole) == (b"ab", 9, False)
    assert Captured.of(REQUEST).whole


def test_neither_headers_nor_body_stand_in_a_traceback() -> None:
    assert "right" not in repr(Captured.of(REQUEST))
    assert "{}" not in repr(Captured.of(REQUEST))


def test_a_repeat_has_the_same_id_where_it_is_kept_once_and_another_in_the_log() -> None:
    first = Captured.of(REQUEST, "shop")
    later = Captured.of(InboundRequest(**{**_facts(REQUEST), "received_at": 2.0}), "shop")
    assert refusal_id(first, once=True) == refusal_id(later, once=True)
    assert refusal_id(first, once=False) != refusal_id(later, once=False)
    assert refusal_id(first, once=True) != refusal_id(first, once=False)


@pytest.mark.parametrize("change", [{"body": b"x"}, {"query": b""}, {"headers": Headers()}])
def test_another_request_has_another_id(change: dict[str, Any]) -> None:
    other = Captured.of(InboundRequest(**{**_facts(REQUEST), **change}), "shop")
    assert refusal_id(Captured.of(REQUEST, "shop"), once=True) != refusal_id(other, once=True)


def _facts(request: InboundRequest) -> dict[str, Any]:
    return {each.name: getattr(request, each.name) for each in fields(request)}
