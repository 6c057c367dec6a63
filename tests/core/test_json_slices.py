"""Values cut out of a JSON body: the very bytes, and the values that `json.loads` finds there."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fields import MISSING, dig_all, parse_json
from gateway.core.json_slices import cut, slices

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab*0é"), inner)
)
paths = st.sampled_from(["$", "a", "a.b", "*", "a.*", "*.a", "*.*", "0", "a.0", "é.*.b", "a.*.*.b"])
layouts = st.sampled_from(
    [{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (" ,\t", "\r:\n")}]
)
# Pieces of JSON in any order: mostly broken, now and then not.
MARKS = (b"[", b"]", b"{", b"}", b",", b":", b" ", b'"', b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf")
WORDS = (b'"a"', b'"\\u0061"', b'"\\ud800"', b"\xed\xa0\x80", b"1", b"-0", b"1e999", b"NaN", b"null")
pieces = st.lists(st.sampled_from(MARKS + WORDS)).map(b"".join)


def lists_at(value: Any, path: str) -> list[Any] | None:
    lists = [found for found in dig_all(value, path) if isinstance(found, list)]
    return [each for found in lists for each in found] if lists else None


@given(values, paths, layouts)
def test_finds_what_json_loads_finds_and_cuts_it_verbatim(
    value: Any, path: str, layout: dict[str, Any]
) -> None:
    body = json.dumps(value, **layout).encode("utf-8", "surrogatepass")
    found, expected = slices(body, path), lists_at(value, path)
    assert [each for each, _ in found or []] == (expected or [])
    at = 0
    for each, raw in found or []:
        assert json.loads(raw) == each
        at = body.index(raw, at) + len(raw)  # in the body's order, and not overlapping


@given(values, values, layouts)
def test_a_place_cut_out_leaves_the_rest_as_it_was(
    value: Any, other: Any, layout: dict[str, Any]
) -> None:
    body = json.dumps({"a": other, "auth": value, "z": other}, **layout).encode(
        "utf-8", "surrogatepass"
    )
    found = cut(body, "auth")
    assert found is not None
    before, cut_out, after = found
    assert cut_out == value
    assert body.startswith(before)
    assert body.endswith(after)
    assert json.loads(body[len(before) : len(body) - len(after)]) == value


@given(pieces | st.binary(), paths)
def test_any_bytes_are_answered_as_json_loads_reads_them(body: bytes, path: str) -> None:
    found, value = slices(body, path), parse_json(body)
    cut(body, path)
    if found is not None:
        assert value is not MISSING
        assert repr([each for each, _ in found]) == repr(lists_at(value, path) or [])  # repr: NaN
        assert all(raw in body for _, raw in found)


@pytest.mark.parametrize(
    ("body", "path", "raw"),
    [
        (b'[ 1.0 ,{"a" : 1e2}\n,"\\u00e9\\/"]', "$", [b"1.0", b'{"a" : 1e2}', b'"\\u00e9\\/"']),
        (b'{"a": [1], "a": [2, 3]}', "a", [b"2", b"3"]),
        (b'{"a": [1], "\\u0061": [2]}', "a", [b"2"]),  # an escaped key is the same key
        (b'{"a": {"b": [1]}, "a": {"b": [2]}}', "a.b", [b"2"]),
        (b'{"a.b": [1]}', "a\\.b", [b"1"]),
        (b'{"entry": [{"c": [1, 2]}, {"d": 0}, {"c": [3]}]}', "entry.*.c", [b"1", b"2", b"3"]),
        (b'{"a": []}', "a", []),
        (b"\xef\xbb\xbf [1]", "$", [b"1"]),
        (b'["\xed\xa0\x80\xed\xb0\x80"]', "$", [b'"\xed\xa0\x80\xed\xb0\x80"']),
    ],
)
def test_cuts_each_element_as_it_was_written(body: bytes, path: str, raw: list[bytes]) -> None:
    found = slices(body, path)
    assert found is not None
    assert [each for _, each in found] == raw


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "$"),
        (b"{}", "$"),
        (b"{}", "a"),
        (b'{"a": [1], "a": null}', "a"),  # the last one counts, and it is no list
        (b'{"a": [1]} x', "a"),
        (b"[1,]", "$"),
        (b"[1 2]", "$"),
        (b'{"a": [1],}', "a"),
        (b"{a: [1]}", "a"),
        (b'{"a" [1]}', "a"),
        (b"[1", "$"),
        (b"[\xff]", "$"),
        (" \ufeff[1]".encode(), "$"),
        ("[1]".encode("utf-16"), "$"),
        (b"[" * 100_000, "$"),
        (b"[" + b"[" * 100_000 + b"]" * 100_000 + b"]", "$"),
        (b"[" + b"1" * 10_000 + b"]", "$"),
    ],
)
def test_what_holds_no_list_there_has_no_slices(body: bytes, path: str) -> None:
    assert slices(body, path) is None


def test_time_grows_with_the_length_and_no_faster() -> None:
    def seconds(count: int, body: bytes, path: str) -> float:
        started = time.perf_counter()
        slices(b"{" + b",".join([body] * count) + b"}", path)
        return time.perf_counter() - started

    for body, path in [(b'"a":[1,2]', "a"), (b'"a":[[1],[2]]', "a.*"), (b'"b":"\xc3\xa9"', "a")]:
        seconds(1_000, body, path)
        assert seconds(40_000, body, path) < 100 * max(seconds(2_000, body, path), 0.001)
