"""`accept`: an event is stored once, whole, for good, whoever repeats it and when."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run_async
from gateway.adapters.worker.strays import stray_queues
from gateway.core.delivery import Claimed
from gateway.core.outcomes import Acceptance
from gateway.core.retry import Wait
from tests.adapters.ledger_rig import EXHAUSTED, GITHUB, LOOK, Rig, a_delivery, a_source, an_event

EVENT = an_event().id
PENDING, DONE, REVIVED = Acceptance.PENDING, Acceptance.DONE, Acceptance.REVIVED
BODIES = [b"", b"\x00", b"\xff\xfe\x00{", bytes(range(256)), b"a\r\nb", bytes(1 << 20)]


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def test_stores_the_event_its_delivery_the_next_look_and_the_bell(rig: Rig) -> None:
    before = rig.now()
    assert rig.accept("1") == [Acceptance.ACCEPTED]
    assert rig.scan("hookline:*") == sorted(
        f"hookline:{key}"
        for key in (
            *("arrived:github", f"body:{EVENT}", f"event:{EVENT}", "pending:github"),
            *("rings:github", "sources"),
        )
    )
    row = rig.row(a_delivery())
    assert (row.state, row.attempts, row.crashes, row.fence) == ("pending", 0, 0, 0)
    assert before <= row.time <= rig.now()
    assert rig.raw("ZSCORE", rig.keys.pending("github"), a_delivery()) == row.time + LOOK
    assert rig.arrived() == [EVENT]
    assert rig.raw("SMEMBERS", rig.keys.sources) == {b"github"}
    assert rig.queued() == [a_delivery() + "-1"]
    assert rig.scan("rq:job:*") == [f"rq:job:{a_delivery()}-1"]


def test_a_source_whose_queue_has_another_name_is_rung_there_to_the_end(rig: Rig) -> None:
    shop = replace(a_source("shop", dedup_window=9.0, retention=3.0), queue="slow")
    rig.accept("1", source=shop)
    delivery, event = a_delivery(source="shop"), an_event(source="shop").id
    assert rig.queued("slow") == [delivery + "-1"]
    found = Reader(rig.redis, rig.keys).event(event)
    assert found is not None
    assert (found.source, found.queue) == ("shop", "slow")
    assert stray_queues(rig.redis, rig.keys, ["shop"]) == ["slow"]
    rig.finish(rig.run_one("slow"), EXHAUSTED)
    assert rig.members("rq:failed:slow") == {delivery}
    assert rig.run(ledger.replay([delivery])) == ["replayed"]
    rig.redis.delete(rig.keys.queue("slow"))
    rig.pass_time(LOOK)
    assert rig.sweep("shop") == (1, 1)
    rig.finish(rig.run_one("slow"))
    lives = [rig.lives(key) for key in (rig.keys.event(event), rig.keys.body(event))]
    assert [(each + 999) // 1000 for each in lives] == [9, 3]


@pytest.mark.parametrize("ends", [0, 1])
def test_the_server_keeps_record_and_job_in_its_small_form(rig: Rig, ends: int) -> None:
    """It has one for hashes without a value of more than 64 bytes; the other takes twice as much."""
    name = "a-source-with-quite-a-long-name"
    source = a_source(name, dedup_window=365 * 86_400.0, retention=365 * 86_400.0)
    event = replace(an_event(source=name, content="signed"), type="t" * 64, provider_id="i" * 64)
    rig.run(ledger.accept([(event, source, ["p" * 64, "record"])], LOOK))
    for _ in range(ends):
        rig.finish(rig.run_one(name), EXHAUSTED)
    for key in (rig.keys.event(event.id), *rig.scan("rq:job:*")):
        assert rig.raw("OBJECT", "ENCODING", key) in (b"listpack", b"ziplist"), key


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_keeps_the_body_byte_for_byte(rig: Rig, body: bytes) -> None:
    rig.run(ledger.accept([(an_event(body=body), GITHUB, ["archive"])]))
    assert rig.run_one().body == body


def test_keeps_the_headers_in_order_with_every_byte(rig: Rig) -> None:
    rig.accept("1")
    assert rig.run_one().headers == (("X-GitHub-Event", "push"), ("X-Odd", "\xff\xfe"))


def test_keeps_what_a_provider_calls_its_event_whatever_the_letters(rig: Rig) -> None:
    rig.accept("Zahlung|€:\u4e2d\ufffd -1")
    assert rig.run_one().provider_id == "Zahlung|€:\u4e2d\ufffd -1"


@pytest.mark.parametrize("many", [1, 2, 900])
def test_opens_a_delivery_for_each_processor_in_order(rig: Rig, many: int) -> None:
    names = [f"processor_{number}" for number in range(1, many + 1)]
    rig.accept("1", processors=names)
    claimed = rig.claim(("github", many + 1))
    assert [(row.delivery, row.processor) for row in claimed] == [
        (a_delivery("1", number), name) for number, name in enumerate(names, 1)
    ]


def test_the_jobs_of_one_call_are_what_they_are_alone(rig: Rig) -> None:
    """Those of one processor are copies."""
    names = ("archive", "mail")
    rig.accept("alone", processors=names)
    rig.accept("1", "2", "3", processors=names)
    for number in (1, 2):
        alone, *others = (
            rig.raw("HGETALL", f"rq:job:{a_delivery(value, number)}-1")
            for value in ("alone", "1", "2", "3")
        )
        assert alone[b"description"] == names[number - 1].encode()
        for each in others:
            assert each | {b"created_at": b""} == alone | {b"created_at": b""}


@pytest.mark.parametrize("value", ["1", "2"])
def test_what_is_left_of_a_job_of_that_name_is_overwritten_and_goes_into_no_other(
    rig: Rig, value: str
) -> None:
    rig.redis.hset(f"rq:job:{a_delivery(value)}-1", mapping={"status": "finished", "worker_name": "w0"})
    rig.accept("1", "2", "3")
    jobs = {each: rig.raw("HGETALL", f"rq:job:{a_delivery(each)}-1") for each in "123"}
    assert {job[b"status"] for job in jobs.values()} == {b"queued"}
    assert [each for each, job in jobs.items() if b"worker_name" in job] == [value]


def test_in_a_batch_with_a_repeat_what_is_new_is_stored_and_what_is_known_is_not(rig: Rig) -> None:
    rig.accept("known")
    rig.finish(rig.run_one())
    words = [Acceptance.ACCEPTED, Acceptance.DONE, Acceptance.ACCEPTED, Acceptance.PENDING]
    assert rig.accept("1", "known", "2", "1") == words
    assert {row.provider_id for row in rig.claim(("github", 9)) if isinstance(row, Claimed)} == {*"12"}


def test_a_repeat_in_the_same_batch_is_no_second_event(rig: Rig) -> None:
    assert rig.accept("1", "2", "1") == [Acceptance.ACCEPTED, Acceptance.ACCEPTED, PENDING]
    assert rig.queued() == [a_delivery("1") + "-1", a_delivery("2") + "-1"]


def test_a_repeat_changes_nothing_at_all(rig: Rig) -> None:
    rig.accept("1", "2")
    rig.finish(rig.run_one())
    before = rig.snapshot()
    other_body = an_event("2", body=b"another")
    assert rig.accept("1") == [DONE]
    assert rig.run(ledger.accept([(other_body, GITHUB, ["archive", "more"])])) == [PENDING]
    assert rig.snapshot() == before


def test_a_repeat_says_what_became_of_the_first(rig: Rig) -> None:
    rig.accept("1", "2", "3", "4")
    waits, dies, ends, _ = (rig.run_one() for _ in range(4))
    rig.finish(waits, Wait(9.0))
    rig.finish(dies, EXHAUSTED)
    rig.finish(ends)
    assert rig.accept("1", "2", "3", "4") == [PENDING, Acceptance.DEAD, DONE, PENDING]


def test_an_event_is_dead_when_one_of_its_deliveries_is_and_done_when_all_are(rig: Rig) -> None:
    rig.accept("1", processors=["a", "b"])
    first, second = rig.run_one(), rig.run_one()
    rig.finish(first)
    assert rig.accept("1") == [PENDING]
    rig.finish(second, EXHAUSTED)
    assert rig.accept("1") == [Acceptance.DEAD]
    rig.run(ledger.discard([second.delivery]))
    assert rig.accept("1") == [DONE]


def test_a_repeat_revives_a_dead_event_only_where_the_source_says_so(rig: Rig) -> None:
    delivery = rig.bury("1")
    assert rig.accept("1") == [Acceptance.DEAD]
    assert rig.row(delivery).state == "dead"
    willing = a_source(revive_dead=True)
    assert rig.accept("1", source=willing) == [REVIVED]
    assert rig.accept("1", source=willing) == [PENDING]
    assert rig.row(delivery).state == "pending"
    assert rig.run_one().delivery == delivery


def test_reviving_leaves_the_done_deliveries_of_the_event_alone(rig: Rig) -> None:
    rig.accept("1", processors=["a", "b", "c"])
    done, dead, held = (rig.run_one() for _ in range(3))
    rig.finish(done)
    rig.finish(dead, EXHAUSTED)
    assert rig.accept("1", source=a_source(revive_dead=True)) == [REVIVED]
    states = [rig.row(each.delivery).state for each in (done, dead, held)]
    assert states == ["done", "pending", "leased"]


def test_the_same_id_under_another_source_is_another_event(rig: Rig) -> None:
    assert rig.accept("1") == rig.accept("1", source=a_source("stripe")) == [Acceptance.ACCEPTED]
    assert rig.run_one("stripe").source == "stripe"
    assert rig.run_one("github").source == "github"


def test_nothing_of_an_open_event_expires(rig: Rig) -> None:
    rig.accept("1", processors=["a", "b"])
    rig.finish(rig.run_one(), Wait(9.0), "{}")
    rig.finish(rig.run_one())
    assert {rig.lives(key) for key in rig.scan("*")} == {-1}


def test_a_new_life_does_not_inherit_the_end_of_the_old_body(rig: Rig) -> None:
    source = a_source(dedup_window=1.0, retention=60.0)
    rig.accept("1", source=source)
    rig.finish(rig.run_one())
    rig.pass_time(2000)
    assert 0 < rig.lives(rig.keys.body(EVENT)) < 60_000
    assert rig.accept("1", source=source) == [Acceptance.ACCEPTED]
    assert rig.lives(rig.keys.body(EVENT)) == -1
    assert rig.run_one().attempt == 1


def test_the_end_counts_the_window_that_the_source_had_when_the_event_came(rig: Rig) -> None:
    rig.accept("1", source=a_source(dedup_window=100.0, retention=50.0))
    rig.finish(rig.run_one())
    assert 99_000 < rig.lives(rig.keys.event(EVENT)) <= 100_000
    assert 49_000 < rig.lives(rig.keys.body(EVENT)) <= 50_000


def test_64_threads_with_the_same_event_make_one(rig: Rig) -> None:
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: rig.accept("1")[0], range(64)))
    assert Counter(answers) == {Acceptance.ACCEPTED: 1, PENDING: 63}
    assert len(rig.queued()) == 1


def test_64_connections_of_one_loop_with_the_same_event_make_one(rig: Rig, redis_url: str) -> None:
    batch = [(an_event(), GITHUB, ["archive"])]

    async def send() -> list[Acceptance]:
        async with async_client(redis_url, 5.0) as client:
            calls = (run_async(client, Keys(), ledger.accept(batch)) for _ in range(64))
            return [answers[0] for answers in await asyncio.gather(*calls)]

    assert Counter(asyncio.run(send())) == {Acceptance.ACCEPTED: 1, PENDING: 63}
    assert len(rig.queued()) == 1


def test_nothing_that_a_sender_wrote_reaches_a_key_of_rq(rig: Rig) -> None:
    rig.accept("<canary>")
    rig.finish(rig.run_one(), EXHAUSTED, '{"error": "<canary>"}')
    for key in rig.scan("rq:*"):
        assert b"canary" not in (rig.redis.dump(key) or b"")


def test_every_key_carries_its_prefix(redis: "Redis") -> None:
    rig = Rig(redis, Keys("{lane1}:hookline", "{lane1}:rq"))
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(1.0), "{}")
    rig.pass_time(1000)
    rig.sweep()
    rig.finish(rig.run_one(), EXHAUSTED)
    assert {key.partition(":")[0] for key in rig.scan("*")} == {"{lane1}"}
