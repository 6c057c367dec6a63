"""The flow's order: who is asked when, and that nothing after a refusal happens."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.core.event import Arrival, Event
from gateway.core.handshake import Condition, Handshake, Proof
from gateway.core.identity import IdentityRules
from gateway.core.key_request import KeyRequest
from gateway.core.key_source import KeySource, key_text
from gateway.core.outcomes import Absence, Acceptance, Outcome, Refusal
from gateway.core.reply import ReplyTemplate
from gateway.core.request import Headers, InboundRequest
from gateway.core.routing import Routing
from gateway.core.schemes.token import TokenScheme
from gateway.core.source import Source
from gateway.core.template import Reference, compile_template
from gateway.deadlines import TICK_SECONDS
from gateway.endings import Ending
from gateway.ingest import Ingest
from gateway.ports import Ledger, Quota, Told, Unavailable
from tests import leaping

TOKEN = TokenScheme((Reference("header", "x-token"),))
TYPE = IdentityRules(event_type=(compile_template("{json.type}"),))
SOURCE = Source("shop", "/hooks/shop", "shop", TOKEN, (TOKEN.load_key(b"right"),), identity=TYPE)
LIMITED = replace(SOURCE, rate_limit="1/minute")
PUSH = b'{"type": "push"}'
SILENT = Ending(Outcome.UNAVAILABLE, absence=Absence.NO_ANSWER)


@dataclass
class Ports(Ledger, Quota):
    """Every port and the routing; what was asked of them, in order."""

    asked: list[str] = field(default_factory=list)
    wait: float | None = None
    acceptance: Acceptance = Acceptance.ACCEPTED
    hang: str = ""
    fault: bool = False
    armed_for: str = ""
    fetched: tuple[bytes, ...] = ()
    learnt: tuple[bytes, ...] = ()
    room: bool = True
    away: bool = False
    noted: list[bool] = field(default_factory=list)
    disk: bool = True

    async def charge(self, source: Source) -> float | None:
        self.asked.append("quota")
        await self._hang("quota")
        return self.wait

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        for each in arrivals:
            self.asked.append(f"ledger {each.event.type} {','.join(each.processors)}")
        await self._hang("ledger")
        if self.fault:
            raise Unavailable
        return [self.acceptance] * len(arrivals)

    def route(self, event: Event, parsed: Callable[[], Any] | None = None) -> Routing:
        self.asked.append("route")
        return Routing(("archive", "count") if event.type == "push" else ())

    async def keys_for(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:
        self.asked.append(f"key {request.url}")
        await self._hang("key")
        if self.fault:
            raise Unavailable
        return self.fetched

    async def armed(self, source: Source) -> bool:
        self.asked.append("armed")
        return self.armed_for == source.name

    async def learn(self, source: Source, secret: bytes) -> bool:
        self.asked.append(f"learn {secret.decode()}")
        await self._hang("learn")
        return self.armed_for == source.name

    async def keys(self, source: Source) -> tuple[Any, ...]:
        await self._hang("learnt keys")
        return tuple(source.scheme.load_key(each) for each in self.learnt)

    def note(self, request: InboundRequest, source: Source, reason: Refusal) -> None:
        self.asked.append(f"note {reason}")

    async def quarantine(self, request: InboundRequest, source: Source, reason: Refusal) -> bool:
        self.asked.append(f"quarantine {reason}")
        await self._hang("quarantine")
        if self.fault:
            raise Unavailable
        return self.room

    def visit(self, url: str, hosts: Sequence[str], *, source: str) -> None:
        self.asked.append(f"visit {url}")

    async def _hang(self, port: str) -> None:
        if self.hang == port:
            await asyncio.Event().wait()


@dataclass
class Fetched:
    """The port of fetched keys, which shares a name with the one of learnt ones."""

    ports: Ports

    async def keys_for(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:
        return await self.ports.keys_for(request, now)


@dataclass
class Disk:
    """The port of the spool, which shares a name with the log of refused requests."""

    ports: Ports

    @property
    def away(self) -> bool:
        return self.ports.away

    def note(self, *, answered: bool) -> None:
        self.ports.noted.append(answered)

    async def keep(self, arrivals: Sequence[Arrival], source: Source) -> None:
        kept = [f"{each.event.type} {','.join(each.processors)}" for each in arrivals]
        self.ports.asked.append(f"spool {' and '.join(kept)}")
        await self.ports._hang("spool")
        if not self.ports.disk:
            raise Unavailable


def a_request(body: bytes = PUSH, token: bytes = b"right", method: str = "POST") -> InboundRequest:
    headers = Headers.of([(b"X-Token", token)])
    return InboundRequest(method, "/hooks/shop", b"challenge=abc", headers, body, None, 1_700_000_000.0)


def receive(
    ports: Ports, request: InboundRequest, source: Source = SOURCE, deadline: float = 1.2
) -> Ending:
    return timed(ports, request, source, deadline)[0]


def timed(
    ports: Ports, request: InboundRequest, source: Source = SOURCE, deadline: float = 1.2
) -> tuple[Ending, float]:
    """And the seconds that it took."""
    ports_of = (ports, ports, ports.route, Fetched(ports), ports, ports, ports)
    ingest = Ingest(*ports_of, deadline, deadline, Disk(ports), deadline + 0.1)

    async def main() -> tuple[Ending, float]:
        ending = await ingest.receive(request, source)
        return ending, asyncio.get_running_loop().time()

    return leaping.run(main())


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
    assert ports.asked == ["note signature_mismatch"]


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


def test_a_request_with_anything_new_was_accepted_else_the_first_answer_stands() -> None:
    done, new, dead = Acceptance.DONE, Acceptance.ACCEPTED, Acceptance.DEAD
    assert Ending(Outcome.ACCEPTED, acceptances=(done, new, dead)).acceptance is new
    assert Ending(Outcome.DUPLICATE, acceptances=(done, dead)).acceptance is done
    assert Ending(Outcome.IGNORED).acceptance is None


def test_a_ledger_that_cannot_be_reached_is_an_outcome_and_no_error() -> None:
    assert receive(Ports(fault=True), a_request()) == Ending(Outcome.UNAVAILABLE)


@pytest.mark.parametrize("port", ["quota", "ledger"])
def test_waits_for_a_silent_port_no_longer_than_the_deadline(port: str) -> None:
    ending, seconds = timed(Ports(hang=port), a_request(), LIMITED, deadline=0.25)
    assert ending == SILENT
    assert 0.25 <= seconds <= 0.25 + 2 * TICK_SECONDS


SPOOLING = replace(LIMITED, spool=True)
UNLIMITED = replace(SOURCE, spool=True)
either = pytest.mark.parametrize("source", [SPOOLING, UNLIMITED], ids=["limited", "unlimited"])


@either
def test_what_the_ledger_cannot_take_is_kept_where_the_source_spools(source: Source) -> None:
    ports = Ports(fault=True)
    ending = receive(ports, a_request(), source)
    assert (ending.outcome, ending.acceptance, ending.key_index) == (Outcome.SPOOLED, None, 0)
    assert ending.event
    ledger, spool = (f"{port} push archive,count" for port in ("ledger", "spool"))
    quota = ["quota"] if source.rate_limit else []
    assert ports.asked == [*quota, "route", ledger, "route", spool]
    assert ports.noted == [False]


@pytest.mark.parametrize(
    ("port", "source"), [("quota", SPOOLING), ("ledger", SPOOLING), ("ledger", UNLIMITED)]
)
def test_what_a_silent_port_holds_up_is_kept_too(port: str, source: Source) -> None:
    assert receive(Ports(hang=port), a_request(), source, 0.05).outcome is Outcome.SPOOLED


@either
def test_while_the_ledger_is_known_to_be_away_the_spool_is_asked_first(source: Source) -> None:
    ports = Ports(away=True)
    assert receive(ports, a_request(), source).outcome is Outcome.SPOOLED
    assert ports.asked == ["route", "spool push archive,count"]
    full = Ports(away=True, disk=False)
    assert receive(full, a_request(), source).outcome is Outcome.ACCEPTED


@either
def test_while_the_ledger_answers_the_spool_is_asked_nothing(source: Source) -> None:
    ports = Ports()
    assert receive(ports, a_request(), source).outcome is Outcome.ACCEPTED
    assert ports.asked[-2:] == ["route", "ledger push archive,count"]
    assert ports.noted == []


@either
def test_a_disk_that_takes_nothing_or_hangs_is_a_503_in_time(source: Source) -> None:
    assert receive(Ports(fault=True, disk=False), a_request(), source) == Ending(Outcome.UNAVAILABLE)
    hung = Ports(away=True, hang="spool")
    ending, seconds = timed(hung, a_request(), source, 0.25)
    assert ending == SILENT
    assert seconds <= 0.25 + 0.1 + 2 * TICK_SECONDS


def test_beyond_the_quota_nothing_is_kept() -> None:
    ports = Ports(wait=7.5)
    assert receive(ports, a_request(), SPOOLING).outcome is Outcome.RATE_LIMITED
    assert ports.asked == ["quota"]


def test_nothing_forged_and_nothing_unwanted_is_kept() -> None:
    ports = Ports(fault=True, away=True)
    assert receive(ports, a_request(token=b"wrong"), SPOOLING).outcome is Outcome.REFUSED
    assert receive(ports, a_request(b'{"type": "star"}'), SPOOLING).outcome is Outcome.IGNORED
    assert not [each for each in ports.asked if each.startswith("spool")]


ECHO = ReplyTemplate(body=compile_template("{query.challenge}"))


def _handshake(method: str = "POST", source: Source = LIMITED, **changes: Any) -> Source:
    made = Handshake(**{"when": Condition(method), "reply": ECHO, **changes})
    return replace(source, handshakes=(made,))


def test_answers_an_unsigned_handshake_before_any_proof_is_asked() -> None:
    ports = Ports()
    source = _handshake("GET", proof=Proof.NONE)
    ending = receive(ports, a_request(token=b"wrong", method="GET"), source)
    assert ending.outcome is Outcome.HANDSHAKE
    assert ending.reply
    assert ending.reply.body == b"abc"
    assert ports.asked == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_answers_a_signed_handshake_after_the_proof_and_without_redis(method: str) -> None:
    """Also beyond the quota and during an outage: a URL must not fail its provider's check by them."""
    ports = Ports(wait=9.0, hang="quota")
    source = _handshake(method)
    ending = receive(ports, a_request(method=method), source)
    assert ending.outcome is Outcome.HANDSHAKE
    assert ports.asked == []
    forged = receive(ports, a_request(token=b"wrong", method=method), source)
    assert forged.outcome is Outcome.REFUSED


def test_a_get_that_is_no_handshake_is_never_an_event() -> None:
    ports = Ports()
    source = _handshake(when=Condition("GET", json=(("type", "verify"),)))
    assert receive(ports, a_request(method="GET"), source) == Ending(Outcome.METHOD_NOT_ALLOWED)
    assert ports.asked == []


SECRET_AT = Reference("query", "challenge")


def test_a_handshake_that_teaches_a_secret_is_answered_only_while_armed() -> None:
    source = _handshake(proof=Proof.ARMED, learn=SECRET_AT)
    idle, armed = Ports(), Ports(armed_for="shop")
    assert receive(idle, a_request(token=b"wrong"), source).outcome is Outcome.REFUSED
    assert receive(armed, a_request(token=b"wrong"), source).outcome is Outcome.HANDSHAKE
    assert armed.asked == ["learn abc"]


def test_a_handshake_without_a_lesson_may_need_arming_too() -> None:
    source = _handshake(proof=Proof.ARMED)
    assert receive(Ports(), a_request(token=b"wrong"), source).outcome is Outcome.REFUSED
    assert receive(Ports(armed_for="shop"), a_request(), source).outcome is Outcome.HANDSHAKE


def test_a_secret_that_was_learnt_verifies_beside_those_of_the_file() -> None:
    other = Condition("POST", has=(Reference("header", "x-hook-secret"),))
    source = _handshake(when=other, proof=Proof.ARMED, learn=Reference("header", "x-hook-secret"))
    taught = Ports(learnt=(b"taught",))
    assert receive(taught, a_request(token=b"taught"), source).key_index == 1
    assert receive(taught, a_request(), source).key_index == 0
    assert receive(Ports(), a_request(token=b"taught"), source).outcome is Outcome.REFUSED


def test_a_learning_source_whose_secrets_cannot_be_read_is_unavailable_and_refuses_nobody() -> None:
    source = _handshake(proof=Proof.ARMED, learn=Reference("header", "x-hook-secret"))
    hung = receive(Ports(hang="learnt keys"), a_request(), source, deadline=0.05)
    assert hung == SILENT


def test_a_confirmation_link_is_visited_only_after_the_proof() -> None:
    link = compile_template("https://sns.example.com/{query.challenge}")
    source = _handshake(visit=link, visit_hosts=(r"sns\.example\.com",))
    ports = Ports()
    assert receive(ports, a_request(), source).outcome is Outcome.HANDSHAKE
    assert ports.asked == ["visit https://sns.example.com/abc"]
    forged = Ports()
    receive(forged, a_request(token=b"wrong"), source)
    assert forged.asked == ["note signature_mismatch"]


KEYS = KeySource(
    key_text("https://keys.example.com/{key_id}"),
    "text",
    hosts=(r"keys\.example\.com",),
    key_id=key_text("{query.challenge}"),
)
NAMED = replace(SOURCE, keys=(), key_source=KEYS)


def test_a_key_that_the_request_names_is_fetched_and_verified_with() -> None:
    ports = Ports(fetched=(b"other", b"right"))
    assert receive(ports, a_request(), NAMED).outcome is Outcome.ACCEPTED
    assert ports.asked[0] == "key https://keys.example.com/abc"
    forged = receive(Ports(fetched=(b"other",)), a_request(), NAMED)
    assert forged.refusal is Refusal.SIGNATURE_MISMATCH


def test_a_key_that_nobody_knows_is_refused_and_one_that_cannot_be_fetched_is_not() -> None:
    assert receive(Ports(), a_request(), NAMED).refusal is Refusal.UNKNOWN_KEY
    assert receive(Ports(fault=True), a_request(), NAMED) == Ending(Outcome.UNAVAILABLE)
    late = receive(Ports(hang="key"), a_request(), NAMED, deadline=0.05)
    assert late == SILENT


def test_a_fetched_key_that_the_scheme_cannot_use_is_an_unknown_one() -> None:
    assert receive(Ports(fetched=(b"",)), a_request(), NAMED).refusal is Refusal.UNKNOWN_KEY


QUARANTINING = replace(SOURCE, quarantine=True)


def test_a_quarantining_source_keeps_what_it_refuses_before_it_answers() -> None:
    ports = Ports()
    ending = receive(ports, a_request(token=b"wrong"), QUARANTINING)
    assert ending == Ending(Outcome.REFUSED, refusal=Refusal.SIGNATURE_MISMATCH, quarantined=True)
    assert ports.asked == ["quarantine signature_mismatch"]


def test_without_room_in_the_quarantine_the_answer_is_the_same() -> None:
    ending = receive(Ports(room=False), a_request(token=b"wrong"), QUARANTINING)
    assert ending == Ending(Outcome.REFUSED, refusal=Refusal.SIGNATURE_MISMATCH)


def test_what_could_not_be_quarantined_is_asked_for_again() -> None:
    fault = receive(Ports(fault=True), a_request(token=b"wrong"), QUARANTINING)
    hung = receive(Ports(hang="quarantine"), a_request(token=b"wrong"), QUARANTINING, 0.05)
    assert (fault, hung) == (Ending(Outcome.UNAVAILABLE), SILENT)


BATCH = replace(
    SOURCE,
    identity=IdentityRules(
        event_id=(compile_template("{item.id}"),),
        event_type=(compile_template("{item.type}"),),
        batch="$",
    ),
)


def test_each_item_of_a_batch_is_an_event_and_all_go_to_the_ledger_at_once() -> None:
    ports = Ports()
    one, three = b'{"id": 1, "type": "push"}', b'{"id":3,  "type":"push"}'
    body = b'[%b, {"id": 2, "type": "star"}, %b]' % (one, three)
    ending = receive(ports, a_request(body), BATCH)
    assert [event.provider_id for event in ending.events] == ["1", "3"]
    assert [event.body for event in ending.events] == [one, three]
    assert ports.asked == [*["route"] * 3, *["ledger push archive,count"] * 2]


def test_an_empty_batch_is_acknowledged_and_asks_nobody() -> None:
    ports = Ports()
    assert receive(ports, a_request(b"[]"), BATCH) == Ending(Outcome.IGNORED, key_index=0)
    assert ports.asked == []


def test_an_answer_that_echoes_the_request_is_made_from_it() -> None:
    echo = replace(SOURCE, acknowledgement=ECHO)
    reply = receive(Ports(), a_request(), echo).reply
    assert reply
    assert reply.body == b"abc"


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


class Later(Ports):
    """A ledger that is asked, and answers when it is told to."""

    def ask(self, arrivals: Sequence[Arrival], source: Source, seconds: float, told: Told) -> None:
        self.told = told


@pytest.mark.parametrize("answers", [[Acceptance.ACCEPTED], Unavailable(), OSError("a bug")])
def test_an_answer_that_nobody_waits_for_any_more_disturbs_nobody(answers: Any) -> None:
    """Others hear of the same call."""
    ports = Later()
    ports_of = (ports, ports, ports.route, Fetched(ports), ports, ports, ports)
    ingest = Ingest(*ports_of, spool=Disk(ports))

    async def main() -> None:
        task = asyncio.create_task(ingest.receive(a_request(), UNLIMITED))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ports.told(answers)

    asyncio.run(main())
