"""The kit that authors of processors test with."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.catalogue import load_preset
from gateway.core.capture import Captured
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Done, RetryPolicy, Wait
from gateway.core.verification import VerifiedRequest, verify
from gateway.plugins import Defer, Discard, Event, Registry, RetryAfter
from gateway.samples import UnknownSample
from gateway.testing import (
    NOON,
    SECRET,
    Clock,
    Fixture,
    FixtureError,
    make_event,
    receive,
    run_delivery,
    signed_request,
)
from tests.adapters.ledger_rig import Rig, a_source, an_event

registry = Registry()
seen: list[int] = []


class Invoice(BaseModel):
    id: str
    total: int


@registry.processor(source="test")
def third_time_lucky(event: Event) -> None:
    if event.attempt < 3:
        raise ConnectionError("busy")


@registry.processor(source="test")
async def asks_for_time(event: Event) -> None:
    raise RetryAfter(timedelta(minutes=5))


@registry.processor(source="test")
def refuses(event: Event) -> None:
    raise Discard("not for us")


@registry.processor(source="test")
def takes_an_invoice(event: Event, invoice: Invoice) -> None:
    seen.append(invoice.total)


def test_an_event_is_made_from_a_payload_a_body_or_a_sample() -> None:
    assert make_event("github", "push", {"ref": "main"}).payload == {"ref": "main"}
    assert make_event("github", "push", body=b"\xff").body == b"\xff"
    assert "repository" in make_event("github", "push").payload
    with pytest.raises(UnknownSample, match="push"):
        make_event("github", "no_such_type")


def test_the_same_event_has_the_same_key_for_every_attempt() -> None:
    first, second = (make_event("github", "push", {}, attempt=n, processor="p") for n in (1, 2))
    assert first.idempotency_key == second.idempotency_key
    assert first.idempotency_key != make_event("github", "push", {}, provider_id="2").idempotency_key


def test_a_delivery_runs_through_its_attempts_to_done() -> None:
    results = run_delivery(third_time_lucky, make_event("test", "x", {}), registry)
    assert [result.outcome for result in results] == ["failed", "failed", "done"]
    assert isinstance(results[0].decision, Wait)
    assert results[-1].decision == Done()
    assert results[0].error == "busy"


def test_a_delivery_that_never_works_ends_as_a_dead_letter() -> None:
    results = run_delivery(
        third_time_lucky, make_event("test", "x", {}), registry, policy=RetryPolicy(attempts=2)
    )
    assert results[-1].decision == Dead(DeadReason.EXHAUSTED)


def test_what_a_processor_asks_for_is_kept() -> None:
    (first, *_) = run_delivery(asks_for_time, make_event("test", "x", {}), registry)
    assert first.decision == Wait(300.0)
    assert first.outcome is AttemptOutcome.RETRY_ASKED
    (only,) = run_delivery(refuses, make_event("test", "x", {}), registry)
    assert only.decision == Dead(DeadReason.DISCARDED)


def test_a_payload_that_does_not_fit_names_the_field_and_not_the_value() -> None:
    run_delivery(takes_an_invoice, make_event("test", "x", {"id": "in_1", "total": 5}), registry)
    assert seen == [5]
    event = make_event("test", "x", {"id": "in_1", "total": "canary"})
    (only,) = run_delivery(takes_an_invoice, event, registry)
    assert only.decision == Dead(DeadReason.PAYLOAD_MISMATCH)
    assert "total" in only.error
    assert "canary" not in only.error


def test_a_function_that_is_not_registered_is_named() -> None:
    with pytest.raises(LookupError, match="make_event"):
        run_delivery(make_event, make_event("test", "x", {}), registry)


def test_a_signed_request_is_what_the_gate_believes() -> None:
    secret = b"whsec_0123456789abcdef"
    request = signed_request("stripe", secret, b'{"id": "evt_1"}', now=1e9, provider_id="evt_1")
    scheme = load_preset("stripe").verify.build()
    assert isinstance(verify(request, scheme, (scheme.load_key(secret),), 1e9), VerifiedRequest)


# Time.


@registry.processor(source="test")
def waits_for_midnight(event: Event) -> None:
    if event.fence < 3:
        raise Defer(NOON + timedelta(hours=12 * event.fence))


def test_every_result_carries_the_time_at_which_its_attempt_ran() -> None:
    clock = Clock(NOON)
    results = run_delivery(third_time_lucky, make_event("test", "x", {}), registry, clock=clock)
    assert [result.at for result in results] == [NOON + timedelta(seconds=s) for s in (0, 5, 20)]
    assert clock.now == NOON + timedelta(seconds=20)


def test_a_deferral_moves_the_clock_and_is_no_attempt() -> None:
    policy = RetryPolicy(attempts=1)
    result = run_delivery(waits_for_midnight, make_event("test", "x", {}), registry, policy=policy)
    assert [each.attempt for each in result] == [1, 1, 1]
    assert [each.at for each in result] == [
        NOON,
        NOON + timedelta(hours=12),
        NOON + timedelta(hours=24),
    ]
    assert result.outcome == "done"


def test_a_processor_that_defers_for_ever_is_told() -> None:
    own = Registry()

    @own.processor(source="test")
    def later(event: Event) -> None:
        raise Defer(timedelta(minutes=1))

    with pytest.raises(AssertionError, match="later still waits after 1000 runs"):
        run_delivery(later, make_event("test", "x", {}), own)


def test_the_clock_begins_when_the_event_came() -> None:
    came = datetime(2024, 2, 29, tzinfo=UTC)
    event = make_event("test", "x", {}, received_at=came)
    assert run_delivery(third_time_lucky, event, registry)[0].at == came
    assert event.age(came + timedelta(minutes=3)) == timedelta(minutes=3)


def test_a_clock_goes_forward_only_and_knows_its_zone() -> None:
    clock = Clock()
    assert clock.advance(timedelta(hours=1)) == clock() == NOON + timedelta(hours=1)
    assert clock.seconds == clock.now.timestamp()
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime(2026, 1, 1))


# What became of it.


def test_a_result_is_the_story_of_a_delivery() -> None:
    policy = RetryPolicy(attempts=2)
    result = run_delivery(third_time_lucky, make_event("test", "x", {}), registry, policy=policy)
    assert (result.outcome, result.state, result.dead_reason) == ("failed", "dead", "exhausted")
    assert result.attempts[-1].kind == "ConnectionError"
    assert "test_testing.py:" in result.attempts[-1].where
    head, first, second, *trace = str(result).splitlines()
    assert head.startswith("third_time_lucky on evt_")
    assert "12:00:00  failed" in first
    assert "again in 5s" in first
    assert "dead: exhausted" in second
    assert trace[-1] == "ConnectionError: busy"
    assert "dead (exhausted) at attempt 2: busy" in repr(result)


def test_asserting_on_an_end_tells_every_attempt_when_it_was_another() -> None:
    dead = run_delivery(refuses, make_event("test", "x", {}), registry)
    assert dead.assert_dead().assert_dead(DeadReason.DISCARDED) is dead
    with pytest.raises(AssertionError, match=r"expected the delivery to be done\n.*\n.*discarded"):
        dead.assert_done()
    with pytest.raises(AssertionError, match=r"expected a dead letter \(exhausted\)"):
        dead.assert_dead("exhausted")
    done = run_delivery(third_time_lucky, make_event("test", "x", {}), registry)
    with pytest.raises(AssertionError, match="expected a dead letter\n"):
        done.assert_done().assert_dead()


def test_emitting_what_leads_to_itself_twice_is_told_and_not_followed_to_its_end() -> None:
    own = Registry()

    @own.processor(source="github", events=["push"])
    def begins(event: Event) -> None:
        event.emit("again", {})

    @own.processor(source="internal", events=["again"])
    def doubles(event: Event) -> None:
        event.emit("again", {})
        event.emit("again", {})

    received = receive("github", signed_request("github", type="push"), registry=own)
    with pytest.raises(AssertionError, match="doubles still has more: does 'again' lead to itself"):
        received.run()


def test_steps_run_once_over_all_attempts_and_what_was_emitted_is_told() -> None:
    own = Registry()
    charged: list[str] = []

    @own.processor(source="test")
    async def charge(event: Event) -> None:
        await event.once("charge", charged.append, "a card")
        event.emit("invoice.booked", {"attempt": event.attempt})
        if event.attempt == 1:
            raise ConnectionError

    result = run_delivery(charge, make_event("test", "x", {}), own)
    assert charged == ["a card"]
    assert result.steps == {"charge": None}
    assert result.emitted == [("invoice.booked", {"attempt": 2})]


def test_a_processor_can_be_named() -> None:
    assert run_delivery("refuses", make_event("test", "x", {}), registry).dead_reason == "discarded"
    with pytest.raises(LookupError, match=r"nobody is not in this registry; there are: .*refuses"):
        run_delivery("nobody", make_event("test", "x", {}), registry)


# What processors need.


@dataclass
class Books:
    entries: list[str] = field(default_factory=list)


class Bank(Books): ...


dependent = Registry()


@dependent.lifespan
def open_books() -> Iterator[Books]:
    yield Books(["the real ones"])


@dependent.lifespan
async def open_bank() -> AsyncIterator[Bank]:
    yield Bank(["the real one"])


@dependent.processor(source="test")
def book(event: Event, books: Books) -> None:
    books.entries.append(event.type)


@dependent.processor(source="test")
async def pay(event: Event, bank: Bank, books: Books) -> None:
    books.entries.append(bank.entries[0])


def test_what_lifespans_yield_can_be_given() -> None:
    books = Books()
    run_delivery(book, make_event("test", "paid", {}), dependent, given={Books: books}).assert_done()
    both = {Books: books, Bank: Bank(["a made-up one"])}
    run_delivery(pay, make_event("test", "x", {}), dependent, given=both).assert_done()
    assert books.entries == ["paid", "a made-up one"]
    with pytest.raises(LookupError, match="book has no lifespan that yields Bank"):
        run_delivery(book, make_event("test", "x", {}), dependent, given={Bank: Bank()})


def test_what_is_not_given_is_opened() -> None:
    books = Books()
    run_delivery(pay, make_event("test", "x", {}), dependent, given={Books: books}).assert_done()
    assert books.entries == ["the real one"]


# Events from elsewhere.


def a_fixture(body: bytes = b'{"id": "evt_1", "type": "invoice.paid"}', **changes: Any) -> Fixture:
    request = signed_request("stripe", SECRET, body, provider_id="evt_1", type="invoice.paid")
    captured = Captured.of(request, "stripe")
    known = Fixture(captured, "invoice.paid", "evt_1", "stripe", SECRET.decode())
    return replace(known, **changes)


def test_an_event_is_made_from_a_captured_fixture(tmp_path: Path) -> None:
    file = tmp_path / "paid.toml"
    file.write_text(a_fixture().to_toml())
    event = make_event(file)
    assert (event.source, event.type, event.provider_id) == ("stripe", "invoice.paid", "evt_1")
    assert event.payload["type"] == "invoice.paid"
    assert event.headers["content-type"] == "application/json"
    assert event.received_at == NOON
    assert event.id == receive(file, registry=Registry()).events[0].id
    assert make_event(str(file), changes={"type": "other"}).payload["type"] == "other"


def test_an_event_is_made_from_one_that_came(
    redis: "Redis", redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = an_event("7", body=b'{"number": 7}')
    Rig(redis).run(ledger.accept([(stored, a_source(), ["archive"])]))
    monkeypatch.setenv("REDIS_URL", redis_url)
    event = make_event(stored.id)
    assert (event.id, event.type, event.payload) == (stored.id, "push", {"number": 7})
    assert event.headers["X-GitHub-Event"] == "push"
    with pytest.raises(LookupError, match="never accepted"):
        make_event(an_event("8").id)
    redis.delete(Rig(redis).keys.body(stored.id))
    with pytest.raises(LookupError, match="retention has ended"):
        make_event(stored.id)


def test_without_a_ledger_it_says_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LookupError, match="set REDIS_URL"):
        make_event(an_event().id)


HEADER = st.tuples(st.sampled_from([b"x-a", b"content-type"]), st.binary(max_size=20))


@example(b"it's ''' over", [], "")
@example(b"it's over'", [], "")
@example(b"one\r\ntwo", [], "")
@given(st.binary(max_size=200) | st.text().map(str.encode), st.lists(HEADER), st.text("aé'\"\\\n\x7f"))
def test_a_fixture_reads_back_what_was_written(
    body: bytes, headers: list[tuple[bytes, bytes]], text: str
) -> None:
    captured = Captured("POST", "/in?a=b", tuple(headers), body, len(body), 1.5, "stripe")
    fixture = Fixture(captured, text, text, "stripe", "whsec_", redacted=True)
    assert Fixture.from_toml(fixture.to_toml()) == fixture


@given(st.text() | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_any_text_is_a_fixture_or_refused(text: str) -> None:
    with pytest.raises(FixtureError, match="here"):
        Fixture.from_toml(text, "here")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("secret = 5", "secret must be a text"),
        ("received_at = 'soon'", "received_at is no time"),
        ("body_base64 = '!'", "body"),
        ("headers = 5", "headers is no list"),
    ],
)
def test_a_faulty_fixture_says_what_and_where(line: str, said: str) -> None:
    name = line.partition(" ")[0].removesuffix("_base64")
    rest = re.sub(
        rf"^{name} = (\[.*?^\]|'''.*?'''|.*?)$\n", "", a_fixture().to_toml(), flags=re.M | re.S
    )
    text = f"{line}\n{rest}"
    with pytest.raises(FixtureError, match=f"paid.toml.*{said}"):
        Fixture.from_toml(text, "paid.toml")


# The whole path.

shop = Registry()
sold: list[str] = []


@shop.processor(source="github", events=["push"])
def deploy(event: Event) -> None:
    sold.append(event.payload["ref"])
    event.emit("deployed", {"ref": event.payload["ref"]})


@shop.processor(source="internal", events=["deployed"])
def announce(event: Event) -> None:
    sold.append(f"deployed {event.payload['ref']}")


@shop.processor(source="github", events=["star"], when={"field": "action", "equals": "created"})
def thank(event: Event) -> None: ...


def test_a_push_reaches_its_processor_once_and_twice_is_one() -> None:
    sold.clear()
    request = signed_request("github", type="push")
    received = receive("github", request, request, registry=shop)
    assert received.outcomes == ["accepted", "duplicate"]
    assert received.processors == ["deploy"]
    first, chained = received.run()
    assert (first.processor, chained.processor) == ("deploy", "announce")
    assert sold == ["refs/heads/main", "deployed refs/heads/main"]
    assert received.run() == []


def test_the_same_signed_bytes_under_another_id_are_a_repeat() -> None:
    first = signed_request("github", SECRET, b'{"ref": "a"}', type="push", provider_id="1")
    other = signed_request("github", SECRET, b'{"ref": "a"}', type="push", provider_id="2")
    assert receive("github", first, other, registry=shop).outcomes == ["accepted", "duplicate"]


def test_a_forged_request_is_refused_with_the_reason() -> None:
    request = signed_request("github", type="push")
    forged = receive("github", replace(request, body=request.body + b" "), registry=shop)
    assert (forged.outcome, forged.ending.refusal) == ("refused", "signature_mismatch")
    assert forged.processors == []
    assert "refused: signature_mismatch" in str(forged)


def test_what_nobody_wants_and_what_is_filtered_is_ignored() -> None:
    issue = receive("github", signed_request("github", type="issues"), registry=shop)
    assert issue.outcome == "ignored"
    body = b'{"action": "deleted"}'
    star = receive("github", signed_request("github", SECRET, body, type="star"), registry=shop)
    assert (star.outcome, star.ending.reason) == ("ignored", "filtered")


def test_a_handshake_is_answered_as_the_provider_expects() -> None:
    request = signed_request("slack", type="url_verification")
    received = receive("slack", request, registry=Registry())
    assert received.outcome == "handshake"
    assert received.ending.reply
    assert received.ending.reply.body


def test_a_dead_event_comes_back_where_its_source_says_so() -> None:
    own = Registry()

    @own.processor(source="github")
    def fail(event: Event) -> None:
        raise Discard("no")

    request = signed_request("github", type="push")
    received = receive("github", request, registry=own)
    (dead,) = received.run()
    assert dead.dead_reason == "discarded"
    again = received.app.receive(request)
    assert again.ending.acceptance == "revived"
    assert len(again.run()) == 1


def test_requests_go_to_this_deployments_own_sources_and_processors() -> None:
    received = receive("github", signed_request("github", type="push"))
    assert (received.outcome, received.processors) == ("accepted", ["push_log"])
    by_file = receive("config/sources/github.toml", signed_request("github", type="push"))
    assert by_file.processors == ["push_log"]
    with pytest.raises(LookupError, match="did you mean 'github'"):
        receive("gihub", signed_request("github", type="push"))
    with pytest.raises(LookupError, match="did you mean 'github'"):
        receive("gihub", signed_request("github", type="push"), registry=shop)


def test_a_test_with_an_event_loop_of_its_own_can_receive() -> None:
    async def work() -> str:
        return receive("github", signed_request("github", type="push"), registry=shop).outcome

    assert asyncio.run(work()) == "accepted"


def test_the_ledger_in_memory_answers_as_the_real_one(redis: "Redis") -> None:
    """Accepted, then what became of the first, for ids and for what was signed."""
    from gateway.core.event import Arrival
    from gateway.testing.memory import MemoryLedger

    events = [an_event("1", content="a"), an_event("1", content="a"), an_event("2", content="a")]
    events += [an_event("3"), an_event("3")]
    batch = [(each, a_source(), ["archive"]) for each in events]
    real = Rig(redis).run(ledger.accept(batch))
    arrivals = [Arrival(each, ("archive",)) for each in events]
    assert asyncio.run(MemoryLedger().accept(arrivals, a_source())) == real
