"""What an earlier release has stored runs under this one: `ledgers/` has some, dumped key by key.

Each holds what a deploy can meet: deliveries that are pending (with a bell, and without), waiting for
the next attempt, leased by a worker that is gone, done, dead, and a line of two. That of the last
release also holds an event with two deliveries, done and dead, whose content was signed without its id.
"""

import base64
import json
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis
from rq import SimpleWorker

from gateway import jobs
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.event_records import EventRecord
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.worker.runner import Runner
from gateway.adapters.worker.strays import stray_queues
from gateway.core.delivery import Claimed
from gateway.core.event import event_id
from gateway.core.outcomes import Acceptance, DeliveryState
from gateway.plugins import Event
from tests.adapters.ledger_rig import DONE, EXHAUSTED, GITHUB, LOOK, Rig, a_delivery, a_proof, an_event
from tests.adapters.worker_rig import a_processor, an_app, drain

LEDGERS: Final = sorted((Path(__file__).parent / "ledgers").glob("*.json"))
TWOS: Final = [path for path in LEDGERS if path.stem in ("terms_in_fields", "an_index_of_scores")]
# Proofs were text then.
TEXT_PROOF: Final = event_id("github", "signed", b"signed").encode()
OPEN: Final = ("first", "leased", "pending", "second", "unrung", "waiting")
STATES: Final = {
    **dict.fromkeys(("pending", "unrung", "first"), "pending"),
    **{"leased": "leased", "waiting": "waiting", "second": "blocked", "done": "done", "dead": "dead"},
}


@pytest.fixture(params=LEDGERS, ids=lambda path: path.stem)
def rig(request: pytest.FixtureRequest, redis: "Redis") -> Iterator[Rig]:
    """The server as that release has left it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for kind, key, value in json.loads(request.param.read_text()):
        restore(redis, kind, base64.b64decode(key), value)
    yield Rig(redis)
    for number, handler in before.items():
        signal.signal(number, handler)


def restore(redis: "Redis", kind: str, key: bytes, value: Any) -> None:
    decode = base64.b64decode
    match kind:
        case "string":
            redis.set(key, decode(value))
        case "hash":
            redis.hset(key, mapping={decode(name): decode(each) for name, each in value})
        case "zset":
            redis.zadd(key, {decode(member): score for member, score in value})
        case "list":
            redis.rpush(key, *map(decode, value))
        case "set":
            redis.sadd(key, *map(decode, value))
        case "stream":
            for entry, pairs in value:
                redis.xadd(key, {decode(name): decode(each) for name, each in pairs}, id=entry)


@pytest.fixture(params=["hookline worker", "rq worker"])
def seen(
    request: pytest.FixtureRequest, rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> list[Event]:
    """All that was run until nothing was open any more."""
    found: list[Event] = []

    def remember(event: Event) -> None:
        found.append(event)

    names = ("archive", "record")
    app = an_app(*(a_processor(remember, name=name) for name in names), look_interval=0.001)
    monkeypatch.setattr(jobs, "_application", lambda: app)
    jobs._client.cache_clear()
    # What was cut off runs in a process of its own else, which does not know our processors.
    monkeypatch.setattr("gateway.adapters.worker.attempts.run_isolated", Runner().start)
    rig.pass_time(LOOK)
    for _ in OPEN:
        rig.sweep()
        if request.param == "rq worker":
            work = SimpleWorker(["github"], connection=rig.redis, serializer="json")
            work.work(burst=True, logging_level="ERROR")
        else:
            drain(app, redis_url)
    return found


def test_all_that_an_earlier_release_left_open_runs_to_its_end_once(
    rig: Rig, seen: list[Event]
) -> None:
    assert Counter(event.provider_id for event in seen) == Counter(OPEN)
    rows = {value: rig.row(a_delivery(value)) for value in OPEN}
    assert {row.state for row in rows.values()} == {"done"}
    assert {value: row.attempts for value, row in rows.items() if row.attempts != 1} == {
        "leased": 2,
        "waiting": 2,
    }
    assert {(event.body, event.headers["X-GitHub-Event"]) for event in seen} == {(b"{}", "push")}
    order = [event.provider_id for event in seen if event.processor == "record"]
    assert order == ["first", "second"]


def test_what_an_earlier_release_has_answered_is_a_duplicate_and_its_dead_come_back(rig: Rig) -> None:
    known = [Acceptance.DONE, Acceptance.PENDING, Acceptance.PENDING]
    assert rig.accept("done", "pending", "leased") == known
    assert rig.run(ledger.replay([a_delivery("dead")])) == ["replayed"]


def read(rig: Rig, value: str) -> EventRecord:
    found = Reader(rig.redis, rig.keys).event(an_event(value).id)
    assert found
    return found


@pytest.mark.parametrize("value", STATES)
def test_what_an_earlier_release_has_stored_is_told_as_it_is(rig: Rig, value: str) -> None:
    found = read(rig, value)
    assert (found.source, found.queue, found.type) == ("github", "github", "push")
    assert (found.provider_id, found.size, found.summary) == (value, 2, STATES[value])
    attempts = int(STATES[value] in ("leased", "waiting", "done", "dead"))
    assert [(each.attempts, each.fence, each.crashes) for each in found.deliveries] == [
        (attempts,) * 2 + (0,)
    ]
    assert all(abs(each.time - found.received) < 5 for each in found.deliveries)


def test_an_operator_acts_on_what_an_earlier_release_has_stored(rig: Rig) -> None:
    ends = [a_delivery("done"), a_delivery("dead")]
    rig.redis.delete("rq:failed:github")
    refiled = rig.run(ledger.refile("github", 0, 1, LOOK))
    assert (refiled.looked, refiled.filed) == (1, 1)
    assert rig.run(ledger.replay(ends, also_done=True)) == ["replayed", "replayed"]
    rig.redis.zrem(rig.keys.pending("github"), *rig.members(rig.keys.pending("github")) - {ends[1]})
    assert stray_queues(rig.redis, rig.keys, ["other"]) == ["github"]
    while held := [row for row in rig.claim() if isinstance(row, Claimed)]:
        rig.finish(held[0], EXHAUSTED if held[0].delivery in ends else DONE)
    assert rig.run(ledger.discard(ends)) == ["discarded", "discarded"]
    week = 7 * 86_400_000
    for value in ("done", "dead"):
        assert week - 10_000 < rig.lives(rig.keys.event(an_event(value).id)) <= week


def test_what_an_earlier_release_has_indexed_is_listed_before_what_comes_now_until_it_expires(
    rig: Rig,
) -> None:
    former = rig.members(rig.keys.events("github"))
    assert former
    rig.accept("new")
    shelf = Reader(rig.redis, rig.keys)
    listed = [each.id for each in shelf.received(["github"], newest_first=True)]
    assert listed[0] == an_event("new").id
    assert set(listed[1:]) == former
    assert listed[::-1] == [each.id for each in shelf.received(["github"], newest_first=False)]
    rig.redis.delete(rig.keys.event(an_event("done").id))
    assert rig.run(ledger.prune("github", "", 100)) == ("", 1)
    assert rig.members(rig.keys.events("github")) == former - {an_event("done").id}


@pytest.mark.parametrize("rig", TWOS, ids=lambda path: path.stem, indirect=True)
def test_of_an_event_with_two_deliveries_of_an_earlier_release_the_last_end_counts(rig: Rig) -> None:
    assert read(rig, "two").summary == "1 dead, 1 done"
    key, proof = rig.keys.event(an_event("two").id), rig.keys.proof(TEXT_PROOF)
    copy = [(replace(an_event("copy"), proof=TEXT_PROOF), GITHUB, ("archive",))]
    assert rig.run(ledger.accept(copy, LOOK)) == [Acceptance.DEAD]
    both = [a_delivery("two", 1), a_delivery("two", 2)]
    assert rig.run(ledger.replay(both, also_done=True)) == ["replayed"] * 2
    for each in both:
        assert (rig.lives(key), rig.lives(proof)) == (-1, -1)
        (held,) = rig.claim(taken=[(each, "")])
        assert isinstance(held, Claimed)
        assert rig.finish(held)
    assert rig.lives(key) > 0
    assert rig.lives(proof) > 0
    assert {each.state for each in read(rig, "two").deliveries} == {DeliveryState.DONE}


def test_a_gateway_of_the_release_before_sees_that_an_event_is_a_repeat_and_sweeps_none_away(
    rig: Rig,
) -> None:
    """Both run side by side for a while. It asks for these fields by these names."""
    batch = [(an_event("new", content="new"), GITHUB, ("archive", "record"))]
    assert rig.run(ledger.accept(batch, LOOK)) == [Acceptance.ACCEPTED]
    fields = rig.raw("HMGET", rig.keys.event(an_event("new").id), "n", "x", "1s", "2s")
    assert fields == [b"2", a_proof("new"), b"pending", b"pending"]
