"""The signed time: how it is written, what is no time, and how old it may be."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcomes import Refusal
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.signature_places import SignaturePlaces
from gateway.core.schemes.timestamp import Timestamp, seconds_of
from gateway.core.template import Reference, reference_of

from .examples import NOW, header, request, signed, templates, verdict, with_header

UNITS = ("s", "ms", "auto", "iso8601", "http-date")
STALE, FUTURE, ODD = (
    Refusal.STALE_TIMESTAMP,
    Refusal.FUTURE_TIMESTAMP,
    Refusal.MALFORMED_TIMESTAMP,
)


def timed(time: Timestamp, message: str = "{ts}.{body}") -> SignatureScheme:
    places = SignaturePlaces((Reference("header", "x-signature"),))
    return SignatureScheme(ALGORITHMS["hmac-sha256"], places, templates(message), timestamp=time)


@given(st.integers(0, 4_000_000_000), st.sampled_from(UNITS))
def test_every_unit_reads_what_it_wrote(now: int, unit: str) -> None:
    assert seconds_of(Timestamp(None, unit).write(now), unit) == now


@pytest.mark.parametrize(
    ("unit", "text", "seconds"),
    [
        ("s", b"1700000000", 1_700_000_000.0),
        ("s", b"0", 0.0),
        ("ms", b"1700000000500", 1_700_000_000.5),
        ("auto", b"1700000000", 1_700_000_000.0),
        ("auto", b"1700000000500", 1_700_000_000.5),
        ("auto", b"99999999999", 99_999_999_999.0),
        ("auto", b"100000000000", 100_000_000.0),
        ("iso8601", b"2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("iso8601", b"2023-11-14T22:13:20.123456789Z", 1_700_000_000.0),
        ("iso8601", b"2023-11-14T14:13:20-08:00", 1_700_000_000.0),
        ("iso8601", b"2023-11-14 14:13:20-0800", 1_700_000_000.0),
        ("http-date", b"Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000.0),
    ],
)
def test_reads_a_time_as_its_provider_writes_it(unit: str, text: bytes, seconds: float) -> None:
    assert seconds_of(text, unit) == seconds


ODD_NUMBERS = [b"", b"soon", b"+1700000000", b"-1", b"1_700_000_000", b" 1700000000", b"1.7e9", b"nan"]
ODD_NUMBERS += [b"0x6553f100", b"\xd9\xa1\xd9\xa2", b"1" * 16, b"1" * 3000, b"1700000000.0", b"\xff"]
ODD_DATES = [
    b"",
    b"soon",
    b"2023-11-14",
    b"2023-11-14T22:13:20",
    b"2023-13-14T22:13:20Z",
    b"\xff",
    b"-",
]
ODD_DATES += [b"2023-11-14T25:13:20Z", b"2023-W46-2T22:13:20Z", b"0000-00-00T00:00:00Z", b"9" * 100]
ODD_DATES += [
    b"}Tue, 14 Nov 2023 22:13:20 GMT",
    b"ue, 14 Nov 2023 22:13:20 GMT",
    b"14 Nov 2023 22:13 GMT",
]
ODD_DATES += [b"Tue, 99 Nov 2023 22:13:20 GMT", b"Tue, 14 Nov 2023 22:13:20", b"2023-11-14T22:13:20Z\n"]


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_no_plain_time_is_none(unit: str) -> None:
    for text in ODD_DATES if unit in ("iso8601", "http-date") else ODD_NUMBERS:
        assert seconds_of(text, unit) is None, text


@given(st.binary(max_size=70), st.sampled_from(UNITS))
def test_reading_a_time_never_raises(text: bytes, unit: str) -> None:
    found = seconds_of(text, unit)
    assert found is None or isinstance(found, float)


@given(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.sampled_from(["iso8601", "http-date"])
)
def test_reading_any_date_never_raises(moment: datetime, unit: str) -> None:
    for zone in (b"Z", b"+14:00", b"-14:00", b"+23:59"):
        seconds_of(moment.strftime("%Y-%m-%dT%H:%M:%S").encode() + zone, unit)
    seconds_of(moment.strftime("%a, %d %b %Y %H:%M:%S -0000").encode(), unit)


@pytest.mark.parametrize(
    ("age", "tolerance", "expected"),
    [
        (0, 300, None),
        (300, 300, None),
        (301, 300, STALE),
        (-300, 300, None),
        (-301, 300, FUTURE),
        (10**9, None, None),
        (-(10**8), None, None),
    ],
)
def test_a_time_is_good_as_long_as_the_tolerance_to_the_second(
    age: int, tolerance: float | None, expected: Refusal | None
) -> None:
    assert Timestamp(None, "s", tolerance).judge(b"1700000000", NOW + age) is expected


def test_a_time_without_a_tolerance_must_still_be_one() -> None:
    assert Timestamp(None, "s", None).judge(b"soon", NOW) is ODD


@pytest.mark.parametrize("text", [b"0", b"170000000", b"17000000001", b"999999999"])
def test_a_time_of_any_age_is_one_of_our_days(text: bytes) -> None:
    """A digit of it moved into the body leaves the signature of time and body good."""
    assert Timestamp(None, "s", None).judge(text, NOW) is ODD
    assert Timestamp(None, "ms", None).judge(text + b"000", NOW) is ODD


@pytest.mark.parametrize("message", ["{header.x-time}{body}", "{body}{header.x-time}"])
@pytest.mark.parametrize("unit", UNITS)
def test_nothing_moves_from_the_time_into_the_body_or_back(message: str, unit: str) -> None:
    of = timed(Timestamp(Reference("header", "x-time"), unit, None), message)
    good = signed(of)
    time, body = header(good, b"x-time"), good.body
    for at in range(1, len(time)):
        for moved, rest in (
            (time[:-at], time[-at:] + body),
            (time[at:], body + time[:at]),
            (time + body[:at], body[at:]),
            (body[-at:] + time, body[:-at]),
        ):
            incoming = replace(with_header(good, b"x-time", moved), body=rest)
            assert verdict(of, incoming) in (ODD, Refusal.SIGNATURE_MISMATCH)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("place", ["header.x-time", "query.t", "json.time"])
def test_a_time_may_stand_anywhere_and_is_signed(unit: str, place: str) -> None:
    message = "{ts}" if place.startswith("json") else "{ts}.{body}"
    of = timed(Timestamp(reference_of(place), unit, 1.5), message)
    good = of.sign(request(), of.load_key(b"user:the-long-and-random-secret-1-of-"), NOW)
    assert verdict(of, good, now=NOW + 1.5) == 0
    assert verdict(of, good, now=NOW + 1.6) is STALE
    assert verdict(of, good, now=NOW - 1.6) is FUTURE
    assert verdict(of, good, 2, now=NOW + 99) is Refusal.SIGNATURE_MISMATCH


def test_a_time_that_was_renewed_after_signing_is_noticed() -> None:
    of = timed(Timestamp(Reference("header", "x-time")))
    good = signed(of)
    renewed = with_header(good, b"x-time", b"1700001000")
    assert verdict(of, renewed, now=NOW + 1000) is Refusal.SIGNATURE_MISMATCH
    for text in (b"", b"1700000000, 1700000000"):
        assert verdict(of, with_header(good, b"x-time", text)) in (
            Refusal.MISSING_TIMESTAMP,
            Refusal.SIGNATURE_MISMATCH,
        )


def test_a_genuine_signature_of_what_is_no_time_is_refused() -> None:
    of = timed(Timestamp(Reference("header", "x-time"), tolerance=None))
    plain = timed(Timestamp(None), "{header.x-time}.{body}")
    unsigned = request((b"x-time", b"soon"))
    proof = header(
        plain.sign(unsigned, plain.load_key(b"user:the-long-and-random-secret-1-of-"), NOW),
        b"x-signature",
    )
    assert verdict(of, with_header(unsigned, b"x-signature", proof)) is ODD


def test_a_unit_without_a_zone_is_universal_time() -> None:
    written = Timestamp(None, "iso8601").write(NOW).decode()
    assert datetime.fromisoformat(written) == datetime.fromtimestamp(NOW, UTC)
