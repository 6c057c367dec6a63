"""`sweep`: what nobody looked at when its time came is rung again, once a look, by all together."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.core.delivery import Claimed
from gateway.core.retry import Wait
from tests.adapters.ledger_rig import DONE, EXHAUSTED, LEASE, LOOK, Rig, a_delivery, a_source, an_event

DELIVERY = a_delivery()


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def pop_and_forget(rig: Rig) -> None:
    rig.raw("LPOP", rig.keys.queue("github"))


def delete_the_list(rig: Rig) -> None:
    rig.raw("DEL", rig.keys.queue("github"))


def delete_everything_of_rq(rig: Rig) -> None:
    rig.raw("DEL", *rig.scan("rq:*"))


def delete_the_count_too(rig: Rig) -> None:
    rig.raw("DEL", rig.keys.queue("github"), "hookline:rings:github")


LOSSES = [pop_and_forget, delete_the_list, delete_everything_of_rq, delete_the_count_too]


def looks_of(rig: Rig) -> list[str]:
    return [job.removeprefix(DELIVERY + "-") for job in rig.queued()]


def test_before_its_time_nothing_is_looked_at(rig: Rig) -> None:
    rig.accept("1", "2", "3")
    rig.run_one()
    rig.finish(rig.run_one(), Wait(1000.0))
    before = rig.snapshot()
    assert rig.sweep() == (0, 0)
    assert rig.sweep("stripe", "none") == (0, 0)
    assert rig.snapshot() == before


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_bell_is_rung_again_once_a_look(rig: Rig, lose: Callable[[Rig], None]) -> None:
    rig.accept("1")
    lose(rig)
    assert rig.sweep() == (0, 0)
    for _ in range(3):
        rig.pass_time(LOOK)
        assert [rig.sweep() for _ in range(3)] == [(1, 1), (0, 0), (0, 0)]
        assert looks_of(rig) == ["1"]
        lose(rig)
    rig.pass_time(LOOK)
    rig.sweep()
    assert rig.run_one().attempt == 1


def test_a_queue_that_was_emptied_among_others_is_rung_whole_again(rig: Rig) -> None:
    rig.accept(*"12345")
    rig.accept(*"12345", source=a_source("stripe"))
    before = rig.queued()
    delete_the_list(rig)
    rig.pass_time(LOOK)
    assert rig.sweep("stripe", "github") == (10, 5)
    assert sorted(rig.queued()) == sorted(before)
    assert len(rig.queued("stripe")) == 5


def test_a_bell_that_still_lies_in_a_long_queue_is_not_rung_again(rig: Rig) -> None:
    for start in range(0, 3000, 500):
        rig.accept(*map(str, range(start, start + 500)))
    before = rig.queued()
    for _ in range(4):
        rig.pass_time(LOOK)
        assert rig.sweep(most=3000) == (3000, 0)
    assert rig.queued() == before


def test_of_a_long_queue_only_the_lost_bells_are_rung_again(rig: Rig) -> None:
    rig.accept(*map(str, range(300)))
    for _ in range(7):
        pop_and_forget(rig)
    rig.claim(("github", 10))
    for _ in range(3):
        rig.accept(f"later {_}")
        rig.pass_time(LOOK)
        rig.sweep(most=1000)
    assert Counter(rig.queued()).most_common(1)[0][1] == 1
    deliveries = {job.rpartition("-")[0] for job in rig.queued()}
    assert {a_delivery(str(number)) for number in range(300)} < deliveries


def test_a_waiting_delivery_is_rung_when_its_time_has_come(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), Wait(10.0))
    rig.pass_time(9000)
    assert rig.sweep() == (0, 0)
    rig.pass_time(1000)
    assert rig.sweep() == (1, 1)
    assert rig.row(DELIVERY).state == "pending"
    assert rig.members("rq:scheduled:github") == set()
    assert looks_of(rig) == ["2"]
    assert rig.run_one().attempt == 2


def test_an_ended_lease_is_rung_and_taken_out_of_the_books_of_rq(rig: Rig) -> None:
    rig.accept("1")
    rig.run_one()
    rig.pass_time(LEASE)
    assert rig.sweep() == (1, 1)
    assert rig.members("rq:wip:github") == set()
    assert rig.scan("rq:job:*") == [f"rq:job:{DELIVERY}-2"]
    assert looks_of(rig) == ["2"]
    assert rig.run_one().crashes == 1


def test_what_a_stock_worker_declared_failed_is_rung_afresh(rig: Rig) -> None:
    rig.accept("1")
    pop_and_forget(rig)
    rig.redis.zadd("rq:failed:github", {f"{DELIVERY}-1": rig.now() / 1000 + 86400})
    rig.redis.expire(f"rq:job:{DELIVERY}-1", 86400)
    rig.pass_time(LOOK)
    assert rig.sweep() == (1, 1)
    assert rig.members("rq:failed:github") == set()
    assert rig.lives(f"rq:job:{DELIVERY}-1") == -1


def test_four_sweepers_at_once_ring_each_of_a_thousand_once(rig: Rig) -> None:
    for start in range(0, 1000, 250):
        rig.accept(*map(str, range(start, start + 250)))
    delete_the_list(rig)
    rig.pass_time(LOOK)

    def sweeper(_: int) -> int:
        rung = 0
        while (counts := rig.sweep(most=50)) != (0, 0):
            rung += counts[1]
        return rung

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sweeper, range(4))) == 1000
    assert len(rig.queued()) == len(set(rig.queued())) == 1000


def test_a_sweep_looks_at_no_more_than_asked_and_at_the_oldest_first(rig: Rig) -> None:
    for value in "1234":
        rig.accept(value)
        rig.pass_time(1)
    delete_the_list(rig)
    rig.pass_time(LOOK)
    assert rig.sweep(most=3) == (3, 3)
    assert rig.queued() == [a_delivery(value) + "-1" for value in "123"]
    assert rig.sweep(most=3) == (1, 1)


def test_what_should_not_be_in_the_index_is_taken_out(rig: Rig) -> None:
    rig.accept("1", "2", "3")
    rig.finish(rig.run_one())
    rig.finish(rig.run_one(), EXHAUSTED)
    strays = [a_delivery("1"), a_delivery("2"), a_delivery("unknown"), "no delivery", ""]
    rig.redis.zadd(rig.keys.pending("github"), dict.fromkeys(strays, 0))
    assert rig.sweep() == (len(strays), 0)
    assert rig.members(rig.keys.pending("github")) == {a_delivery("3")}


def test_what_others_push_delays_a_lost_bell_but_never_loses_it(rig: Rig) -> None:
    rig.accept("1", "2")
    pop_and_forget(rig)
    rig.redis.rpush(rig.keys.queue("github"), *(f"report-{number}" for number in range(5)))
    rig.redis.lpush(rig.keys.queue("github"), "report-urgent")
    rig.pass_time(LOOK)
    assert rig.sweep() == (2, 0)
    rig.claim(("github", 10))
    rig.pass_time(LOOK)
    assert rig.sweep() == (2, 1 + 1)  # the lost one, and the one whose lease has ended since
    assert {job.rpartition("-")[0] for job in rig.queued()} == {DELIVERY, a_delivery("2")}


def test_a_bell_taken_out_of_the_middle_is_rung_again_when_the_queue_has_moved_on(rig: Rig) -> None:
    rig.accept(*"12345")
    rig.redis.lrem(rig.keys.queue("github"), 1, a_delivery("3") + "-1")
    held = []
    for _ in range(3):
        rig.pass_time(LOOK)
        rig.sweep()
        assert len(rig.queued()) <= 6
        for row in rig.claim(("github", 10)):
            if isinstance(row, Claimed):
                assert rig.finish(row)
                held.append(row.delivery)
    assert sorted(held) == sorted(a_delivery(value) for value in "12345")


def test_nothing_done_is_ever_rung(rig: Rig) -> None:
    rig.accept("1")
    rig.finish(rig.run_one(), DONE)
    rig.pass_time(10 * LOOK)
    assert rig.sweep() == (0, 0)
    assert rig.queued() == []


def test_the_index_loses_only_events_whose_record_has_expired(rig: Rig) -> None:
    rig.accept("1", source=a_source(dedup_window=0.0))
    rig.accept("2", "3")
    rig.finish(rig.run_one())
    assert len(rig.arrived()) == 3
    assert rig.run(ledger.prune("github", "", 10)) == ("", 1)
    assert rig.run(ledger.prune("github", "", 10)) == ("", 0)
    together = {an_event(value).id for value in "23"}
    assert set(rig.arrived()) == together
    rig.redis.delete(rig.keys.event(an_event("2").id))
    assert rig.run(ledger.prune("github", "", 10)) == ("", 0), (
        "they came in one call, and are one entry"
    )
    rig.redis.delete(rig.keys.event(an_event("3").id))
    assert rig.run(ledger.prune("github", "", 10)) == ("", 1)


def test_the_index_is_pruned_piece_by_piece(rig: Rig) -> None:
    for value in "123":
        rig.accept(value)
    rig.redis.delete(rig.keys.event(an_event("3").id))
    cursor, gone = rig.run(ledger.prune("github", "", 2))
    assert (bool(cursor), gone) == (True, 0)
    assert rig.run(ledger.prune("github", cursor, 2)) == ("", 1)
    assert rig.arrived() == [an_event(value).id for value in "12"]
