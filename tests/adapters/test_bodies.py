"""Bodies are bounded one by one, and all that are held at once together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.bodies import BodyRefused, InFlight
from gateway.adapters.http.edge import Limits
from gateway.core.outcomes import Outcome
from gateway.core.request import Headers
from tests.adapters.edge_rig import GONE, Rig, chunk

Receive = Callable[[], Any]


def receiving(*messages: Any) -> Receive:
    async def each() -> AsyncIterator[Any]:
        for message in messages:
            yield message
        await asyncio.Event().wait()

    messages_left = each()
    return lambda: anext(messages_left)


def refused(bodies: InFlight, *messages: Any, most: int = 100, together: int = 100) -> Outcome:
    with pytest.raises(BodyRefused) as caught:
        asyncio.run(bodies.read(receiving(*messages), Headers(), most, together))
    return caught.value.outcome


def test_what_is_held_counts_until_it_is_given_back() -> None:
    bodies = InFlight()
    body = asyncio.run(bodies.read(receiving(chunk(b"12345")), Headers(), 100, 8))
    assert (body, bodies.held) == (b"12345", 5)
    assert refused(bodies, chunk(b"1234"), together=8) is Outcome.OVERLOADED
    bodies.give(len(body))
    assert asyncio.run(bodies.read(receiving(chunk(b"12345678")), Headers(), 100, 8)) == b"12345678"


def test_what_there_is_no_room_for_is_refused_before_it_is_read() -> None:
    rig = Rig(limits=Limits(max_in_flight=10))
    sent = rig.call((b"content-length", b"11"), body=[])
    assert (sent.status, "body" in rig.asked) == (503, False)


@given(st.lists(st.binary(max_size=30), max_size=6), st.sampled_from(["gone", "large", "full"]))
def test_a_body_that_is_refused_holds_nothing(chunks: list[bytes], end: str) -> None:
    bodies = InFlight()
    messages = [chunk(each, more=True) for each in chunks]
    last = GONE if end == "gone" else chunk(bytes(200), more=True)
    outcome = refused(
        bodies,
        *messages,
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
                await bodies.read(receiving(chunk(b"12345", more=True)), Headers(), 100, 100)
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
