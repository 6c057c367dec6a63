"""The flow's order: who is asked when, and that nothing after a refusal happens."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.core.event import Event
from gateway.core.handshake import Handshake
from gateway.core.identity import IdentityRules
from gateway.core.outcomes import Acceptance, Outcome, Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.token import TokenScheme
from gateway.core.source import Source
from gateway.core.template import Reference, compile_template
from gateway.ingest import Ending, Ingest, Unavailable

TOKEN = TokenScheme(Reference("header", "x-token"))
TYPE = IdentityRules(event_type=(compile_template("{json.type}"),))
SOURCE = Source("shop", "/hooks/shop", "shop", TOKEN, (TOKEN.load_key(b"right"),), identity=TYPE)
LIMITED = replace(SOURCE, rate_limit="1/minute")
PUSH = b'{"type": "push"}'


@dataclass
class Ports:
    """Both ports and the routing; what was asked of them, in order."""

    asked: list[str] = field(default_factory=list)
    wait: float | None = None
    acceptance: Acceptance = Acceptance.ACCEPTED
    hang: str = ""
    fault: bool = False

    async def charge(self, source: Source) -> float | None:
        self.asked.append("quota")
        await self._hang("quota")
        return self.wait

    async def accept(self, event: Event, source: Source, processors: tuple[str, ...]) -> Acceptance:
        self.asked.append(f"ledger {event.type} {','.join(processors)}")
        await self._hang("ledger")
        if self.fault:
            raise Unavailable
        return self.acceptance

    def route(self, source: str, event_type: str) -> tuple[str, ...]:
        self.asked.append("route")
        return ("archive", "count") if event_type == "push" else ()

    async def _hang(self, port: str) -> None:
        if self.hang == port:
            await asyncio.Event().wait()


def a_request(body: bytes = PUSH, token: bytes = b"right", method: str = "POST") -> InboundRequest:
    headers = Headers.of([(b"X-Token", token)])
    return InboundRequest(method, "/hooks/shop", b"challenge=abc", headers, body, None, 1_700_000_000.0)


def receive(
    ports: Ports, request: InboundRequest, source: Source = SOURCE, deadline: float = 1.2
) -> Ending:
    ingest = Ingest(ports, ports, ports.route, deadline)
    return asyncio.run(ingest.receive(request, source))


def test_asks_the_quota_then_the_routing_then_the_ledger() -> None:
    ports = Ports()
    ending = receive(ports, a_request(), LIMITED)
    assert ports.asked == ["quota", "route", "ledger push archive,count"]
    assert (ending.outcome, ending.acceptance) == (Outcome.ACCEPTED, Acceptance.ACCEPTED)
    assert ending.event
    assert (ending.event.body, ending.event.source, ending.key_index) == (PUSH, "shop", 0)


def test_a_forged_request_reaches_neither_quota_nor_ledger() -> None:
    ports = Ports()
    ending = receive(ports, a_request(token=b"wrong"), LIMITED)
    assert ending == Ending(Outcome.REFUSED, refusal=Refusal.SIGNATURE_MISMATCH)
    assert ports.asked == []


def test_a_source_without_a_rate_limit_is_charged_nothing() -> None:
    ports = Ports()
    receive(ports, a_request())
    assert "quota" not in ports.asked


def test_beyond_the_quota_nothing_is_stored_and_the_wait_is_told() -> None:
    ports = Ports(wait=7.5)
    ending = receive(ports, a_request(), LIMITED)
    assert ending == Ending(Outcome.RATE_LIMITED, retry_after=7.5)
    assert ports.asked == ["quota"]


def test_an_event_that_nobody_wants_is_charged_but_not_stored() -> None:
    ports = Ports()
    ending = receive(ports, a_request(b'{"type": "star"}'), LIMITED)
    assert ending.outcome is Outcome.IGNORED
    assert ports.asked == ["quota", "route"]


@pytest.mark.parametrize("of_the_first", [each for each in Acceptance if each.value != "accepted"])
def test_a_repeat_is_a_duplicate_that_says_what_became_of_the_first(of_the_first: Acceptance) -> None:
    ending = receive(Ports(acceptance=of_the_first), a_request())
    assert (ending.outcome, ending.acceptance) == (Outcome.DUPLICATE, of_the_first)


def test_a_ledger_that_cannot_be_reached_is_an_outcome_and_no_error() -> None:
    assert receive(Ports(fault=True), a_request()) == Ending(Outcome.UNAVAILABLE)


@pytest.mark.parametrize("port", ["quota", "ledger"])
def test_waits_for_a_silent_port_no_longer_than_the_deadline(port: str) -> None:
    began = time.perf_counter()
    ending = receive(Ports(hang=port), a_request(), LIMITED, deadline=0.05)
    assert ending == Ending(Outcome.UNAVAILABLE)
    assert time.perf_counter() - began < 1.0


def _handshake(**changes: Any) -> Source:
    return replace(
        LIMITED, handshakes=(Handshake(echo=compile_template("{query.challenge}"), **changes),)
    )


def test_answers_an_unsigned_handshake_before_any_proof_is_asked() -> None:
    ports = Ports()
    ending = receive(
        ports, a_request(token=b"wrong", method="GET"), _handshake(method="GET", signed=False)
    )
    assert ending.outcome is Outcome.HANDSHAKE
    assert ending.reply
    assert ending.reply.body == b"abc"
    assert ports.asked == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_answers_a_signed_handshake_after_the_proof_and_without_redis(method: str) -> None:
    """Also beyond the quota and during an outage: a URL must not fail its provider's check by them."""
    ports = Ports(wait=9.0, hang="quota")
    source = _handshake(method=method, signed=True)
    ending = receive(ports, a_request(method=method), source)
    assert ending.outcome is Outcome.HANDSHAKE
    assert ports.asked == []
    forged = receive(ports, a_request(token=b"wrong", method=method), source)
    assert forged.outcome is Outcome.REFUSED


def test_a_get_that_is_no_handshake_is_never_an_event() -> None:
    ports = Ports()
    source = _handshake(method="GET", json=(("type", "verify"),))
    assert receive(ports, a_request(method="GET"), source) == Ending(Outcome.METHOD_NOT_ALLOWED)
    assert ports.asked == []


ODD: list[Callable[[], bytes]] = [
    lambda: b"",
    lambda: b"\x00\xff\xfe",
    lambda: b"[" * 100_000,
    lambda: b'{"type":' + b"9" * 5000 + b"}",
    lambda: b'{"type": "\\ud800"}',
    lambda: b'{"type": {"type": [null]}}',
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_a_verified_body_is_never_refused_for_what_it_is(body: Callable[[], bytes]) -> None:
    ending = receive(Ports(), a_request(body()))
    assert ending.outcome in (Outcome.ACCEPTED, Outcome.IGNORED)
    assert ending.event
    assert ending.event.body == body()
