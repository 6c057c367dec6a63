"""Lines and versions: which deliveries stand behind one another, and which is the newer one."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import Event, Turn
from gateway.core.json_path import Subject
from gateway.core.ordering import (
    BY_ARRIVAL,
    Order,
    OrderError,
    key_of,
    parse_order,
    turns_of,
    version_text,
)


def an_event(body: bytes, *headers: tuple[bytes, bytes]) -> Event:
    return Event("evt_1", "stripe", "push", "1", headers, body, 0.0)


def an_order(*paths: str, **options: Any) -> Order:
    order = parse_order(paths, **options)
    assert order
    return order


def turn(order: Order, body: bytes, *headers: tuple[bytes, bytes], processor: str = "p") -> Turn | None:
    return order.turn(1, processor, Subject(an_event(body, *headers)))


# The declaration


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order_by": "a..b"}, "order_by: 'a..b' has an empty step"),
        ({"order_by": ""}, "order_by: '' is no path"),
        ({"order_by": ()}, "order_by names no path"),
        ({"order_by": ("a", 1)}, "order_by takes paths, which are text, and not 1"),
        ({"order_by": "header:"}, "names no header"),
        ({"order_by": "items.*.id"}, "one value is meant"),
        ({"order_by": "a", "on_dead": "stop"}, "on_dead is 'stop': write 'skip' or 'block'"),
        ({"order_by": "a", "version": "v"}, "it needs latest_only=True"),
        (
            {"order_by": "a", "latest_only": True, "version": "v..w"},
            "version: 'v..w' has an empty step",
        ),
        ({"order_by": None, "latest_only": True}, "latest_only needs order_by"),
        ({"order_by": None, "on_dead": "block"}, "on_dead needs order_by"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_mend(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError) as caught:
        parse_order(**options)
    assert words in str(caught.value)


def test_who_asks_for_no_order_gets_none() -> None:
    assert parse_order(None) is None


# Lines


def test_the_same_value_at_the_path_is_the_same_line() -> None:
    order = an_order("data.customer")
    first = turn(order, b'{"data": {"customer": "cus_1"}, "n": 1}')
    assert first == turn(order, b'{"n":2,"data":{"customer":"cus_1"}}')
    assert first != turn(order, b'{"data": {"customer": "cus_2"}}')
    assert first != turn(order, b'{"data": {"customer": "cus_1"}}', processor="q")


def test_values_of_two_types_are_two_lines() -> None:
    keys = {key_of("p", [value]) for value in (1, "1", True, "true", 1.5)}
    assert len(keys) == 5


def test_several_paths_are_one_key_and_all_are_needed() -> None:
    order = an_order("account", "header:x-shop")
    both = turn(order, b'{"account": 7}', (b"x-shop", b"a"))
    assert both
    assert both != turn(order, b'{"account": 7}', (b"x-shop", b"b"))
    assert turn(order, b'{"account": 7}') is None
    assert key_of("p", ["a", "b"]) != key_of("p", ["a,b"]) != key_of("p", ["ab"])


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"{}", b'{"a": null}', b'{"a": {}}', b'{"a": [1]}', b"[" * 100_000]
)
def test_an_event_without_a_usable_value_stands_in_no_line(body: bytes) -> None:
    assert turn(an_order("a"), body) is None


def test_nothing_of_the_payload_can_be_read_in_a_key() -> None:
    key = key_of("record", ["anna@example.com"])
    assert len(key) == 26
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz234567")


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_body_and_any_header_give_an_answer(body: bytes, header: bytes) -> None:
    for order in (an_order("a.b", latest_only=True, version="c"), an_order("header:x", "type")):
        found = turn(order, body, (b"x", header))
        assert found is None or len(found.key) == 26


def test_the_turns_of_an_event_carry_the_numbers_of_their_processors() -> None:
    orders = {"b": an_order("a"), "c": an_order("none"), "d": an_order("a", on_dead="block")}
    turns = turns_of(["a", "b", "c", "d"], orders, Subject(an_event(b'{"a": 1}')))
    assert [(each.number, each.blocks) for each in turns] == [(2, False), (4, True)]
    assert turns[0].key != turns[1].key


# Versions


def test_a_turn_has_a_version_only_where_the_newer_one_counts() -> None:
    body = b'{"a": 1, "v": 7}'
    versions = [
        found.version
        for order in (
            an_order("a"),
            an_order("a", latest_only=True),
            an_order("a", latest_only=True, version="v"),
            an_order("a", latest_only=True, version="none"),
        )
        if (found := turn(order, body))
    ]
    assert versions == ["", BY_ARRIVAL, version_text(7), ""]


NUMBERS = st.decimals(
    min_value=-(10**30) + 1, max_value=10**30 - 1, places=None, allow_nan=False, allow_infinity=False
).filter(lambda each: -int(each.as_tuple().exponent) <= 30)


@given(NUMBERS, NUMBERS)
def test_numbers_sort_as_text_exactly(first: Decimal, second: Decimal) -> None:
    one, other = version_text(format(first, "f")), version_text(format(second, "f"))
    assert len(one) == len(other) == 62
    assert (one < other, one == other) == (first < second, first == second)


@given(st.integers(-(10**30) + 1, 10**30 - 1), st.integers(-(10**30) + 1, 10**30 - 1))
def test_a_number_and_its_digits_are_one_version(first: int, second: int) -> None:
    assert version_text(first) == version_text(str(first))
    assert (version_text(first) < version_text(str(second))) == (first < second)


@given(st.floats(1e-13, 1e20), st.floats(1e-13, 1e20))
def test_floats_sort_as_they_are(first: float, second: float) -> None:
    one, other = version_text(first), version_text(second)
    if one and other:  # some have more digits than there is room for
        assert (one < other, one == other) == (first < second, first == second)


TIMES = st.datetimes(
    datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.builds(
        lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-1439, 1439)
    )
)  # fmt: skip


@given(TIMES, TIMES)
def test_times_sort_as_they_pass_wherever_they_were_told(first: datetime, second: datetime) -> None:
    one, other = version_text(first.isoformat()), version_text(second.isoformat())
    assert len(one) == 62
    assert (one < other, one == other) == (first < second, first == second)


def test_times_are_read_in_the_forms_that_providers_write() -> None:
    noon = version_text("2026-01-02T12:00:00Z")
    for text in (
        *("2026-01-02 12:00:00", "2026-01-02t12:00z", "2026-01-02T12:00:00.000+00:00"),
        *("2026-01-02T13:00:00+0100", "2026-01-02T06:30:00,0-05:30", " 2026-01-02T12:00:00Z "),
    ):
        assert version_text(text) == noon, text
    assert version_text("2026-01-02") < noon < version_text("2026-01-02T12:00:00.000000001Z")
    assert version_text(datetime(2026, 1, 2, 12, tzinfo=UTC).isoformat()) == noon


def test_times_and_numbers_are_of_two_kinds() -> None:
    assert version_text(1)[0] != version_text("2026-01-02")[0] != BY_ARRIVAL


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            True,
            [],
            {},
            "",
            "x",
            "1e3",
            "0x1",
            "1.",
            ".5",
            "--1",
            "\u0661",
            "1" * 31,
            "yesterday",
        ),
        *(float("nan"), float("inf"), 1e300, 10**30),
        *("0000-01-01", "2026-13-01", "2026-02-30", "2026-01-01T24:00", "2026-01-01T00:60"),
        *("2026-01-01T00:00:61", "2026-01-01T00:00:00+24:00"),
    ],
)
def test_odd_values_are_no_version(value: Any) -> None:
    assert version_text(value) == ""


@given(st.text(max_size=40) | st.integers() | st.floats())
def test_any_value_gives_an_answer(value: Any) -> None:
    assert len(version_text(value)) in (0, 62)
