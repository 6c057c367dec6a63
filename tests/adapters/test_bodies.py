"""Bodies are bounded one by one, and all that are held at once together."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.bodies import BodyRefused, InFlight
from gateway.adapters.http.edge import Limits
from gateway.adapters.http.exchange import Exchange
from gateway.core.outcomes import Outcome
from gateway.core.request import Headers
from tests.adapters.edge_rig import END, GONE, Caller, Rig


def coming(*pieces: bytes | str) -> Exchange:
    """A request whose body comes so."""
    caller = Caller(iter(pieces), None, [])
    caller.exchange = Exchange(caller, "POST", "/", b"", Headers())
    return caller.exchange


def refused(bodies: InFlight, *pieces: bytes | str, most: int = 100, together: int = 100) -> Outcome:
    with pytest.raises(BodyRefused) as caught:
        asyncio.run(bodies.read(coming(*pieces), most, together))
    return caught.value.outcome


def test_what_is_held_counts_until_it_is_given_back() -> None:
    bodies = InFlight()
    body = asyncio.run(bodies.read(coming(b"12345", END), 100, 8))
    assert (body, bodies.held) == (b"12345", 5)
    assert refused(bodies, b"1234", END, together=8) is Outcome.OVERLOADED
    bodies.give(len(body))
    assert asyncio.run(bodies.read(coming(b"12345678", END), 100, 8)) == b"12345678"


def test_what_is_here_at_once_counts_too() -> None:
    bodies = InFlight()
    bodies.take(b"12345", 5, 8)
    with pytest.raises(BodyRefused, match="overloaded"):
        bodies.take(b"1234", 5, 8)
    with pytest.raises(BodyRefused, match="body_too_large"):
        bodies.take(b"12", 1, 8)
    assert bodies.held == 5


def test_what_there_is_no_room_for_is_refused_before_it_is_read() -> None:
    rig = Rig(limits=Limits(max_in_flight=10))
    sent = rig.call((b"content-length", b"11"), body=[])
    assert (sent.status, "body" in rig.asked) == (503, False)


@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=6), st.sampled_from(["gone", "large", "full"])
)
def test_a_body_that_is_refused_holds_nothing(chunks: list[bytes], end: str) -> None:
    bodies = InFlight()
    last = GONE if end == "gone" else bytes(200)
    outcome = refused(
        bodies,
        *chunks,
        last,
        most=190 if end == "large" else 1000,
        together=190 if end == "full" else 1000,
    )
    assert (
        outcome
        is {
            "gone": Outcome.DISCONNECTED,
            "large": Outcome.BODY_TOO_LARGE,
            "full": Outcome.OVERLOADED,
        }[end]
    )
    assert bodies.held == 0


def test_a_body_that_stops_coming_holds_nothing_after_its_deadline() -> None:
    async def main() -> int:
        bodies = InFlight()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await bodies.read(coming(b"12345"), 100, 100)
        return bodies.held

    assert asyncio.run(main()) == 0


def test_beyond_all_together_a_caller_is_told_to_come_again() -> None:
    rig = Rig(limits=Limits(max_in_flight=10))
    for _ in range(3):  # each gives back what it held
        sent = rig.call(body=b'{"a":"0123456789"}')
        assert sent.status == 503
        assert 5 <= int(dict(sent.headers)[b"retry-after"]) <= 10
        assert dict(sent.headers)[b"connection"] == b"close"
    assert rig.events == []
    assert set(rig.counted()) == {"shop|overloaded|bodies_held"}
    assert rig.lines[0]["log_level"] == "error"


def test_what_was_answered_is_no_longer_held() -> None:
    rig = Rig(limits=Limits(max_in_flight=10))
    assert [rig.call(body=b'{"a":1}').status for _ in range(5)] == [401] * 5
