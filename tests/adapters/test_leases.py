"""A worker's turn: what ended is recorded and what there is room for is leased, in one round trip."""

from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Asked
from gateway.adapters.worker.bell import Bell
from gateway.adapters.worker.leases import Ending, Leases
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Done
from tests.adapters.ledger_rig import LOOK, Rig, a_delivery, an_event
from tests.adapters.worker_rig import until

LEASE = 60_000


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def leases(redis: "Redis") -> Leases:
    return Leases(redis, Keys(), "w", LEASE, LOOK)


def claimed(rows: list[Any]) -> list[Claimed]:
    return [row for row in rows if isinstance(row, Claimed)]


def turn(held: Leases, shares: dict[str, int], bells: list[Bell]) -> tuple[list[Ending], list[Any]]:
    held.ask(shares, bells)
    return held.hear()


def end(held: Leases, row: Claimed) -> None:
    held.ended(Finish(row.delivery, row.fence, Done(), AttemptOutcome.DONE), 0.1)


def states(rig: Rig, *values: str) -> list[Any]:
    return [rig.redis.hget(rig.keys.event(an_event(each).id), "1s") for each in values]


def test_a_turn_records_what_ended_and_leases_what_there_is_room_for(rig: Rig) -> None:
    rig.accept("a")
    rig.accept("b")
    held = leases(rig.redis)
    _, rows = turn(held, {"github": 1}, [])
    (first,) = claimed(rows)
    end(held, first)
    assert held.running() == []
    assert len(held.held()) == 1  # kept until it is recorded
    endings, rows = turn(held, {"github": 5}, [])
    assert [ending.recorded for ending in endings] == [True]
    assert [row.delivery for row in claimed(rows)] == [a_delivery("b")]
    assert states(rig, "a", "b") == [b"done", b"leased"]


def test_a_turn_with_nothing_to_do_asks_nobody(rig: Rig) -> None:
    held = leases(rig.redis)
    rig.redis.config_resetstat()
    assert turn(held, {}, []) == ([], [])
    assert "cmdstat_evalsha" not in rig.redis.info("commandstats")


def test_scripts_that_the_server_forgot_are_sent_again_each_once(rig: Rig) -> None:
    rig.accept("a")
    rig.accept("b")
    held = leases(rig.redis)
    _, rows = turn(held, {"github": 1}, [])
    end(held, claimed(rows)[0])
    rig.redis.script_flush()
    endings, rows = turn(held, {"github": 1}, [])
    assert [ending.recorded for ending in endings] == [True]
    assert len(claimed(rows)) == 1
    assert states(rig, "a", "b") == [b"done", b"leased"]


def test_what_a_lost_reply_recorded_is_no_stale_attempt(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.accept("a")
    held = leases(rig.redis)
    _, rows = turn(held, {"github": 1}, [])
    end(held, claimed(rows)[0])
    real = Asked.replies

    def lost(asked: Asked) -> Any:
        real(asked)
        raise RedisConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(Asked, "replies", lost)
        with pytest.raises(RedisConnectionError):
            turn(held, {"github": 1}, [])
    endings, _ = turn(held, {}, [])
    assert [ending.recorded for ending in endings] == [True]
    assert states(rig, "a") == [b"done"]


def test_what_is_asked_for_is_done_while_nobody_waits(rig: Rig) -> None:
    rig.accept("a")
    held = leases(rig.redis)
    held.ask({"github": 1}, [])
    assert held.under_way
    until(lambda: states(rig, "a") == [b"leased"])
    assert held.held() == []  # nothing is known of it before it is heard
    (row,) = claimed(held.hear()[1])
    assert not held.under_way
    assert held.running() == [row]


def test_what_ends_while_a_call_is_under_way_is_recorded_by_the_next_one(rig: Rig) -> None:
    rig.accept("a")
    rig.accept("b")
    held = leases(rig.redis)
    first, second = claimed(turn(held, {"github": 2}, [])[1])
    end(held, first)
    held.ask({}, [])
    end(held, second)
    assert [ending.lease[0] for ending in held.hear()[0]] == [a_delivery("a")]
    assert held.unrecorded
    assert [ending.recorded for ending in turn(held, {}, [])[0]] == [True]
    assert not held.unrecorded


def test_a_reply_that_was_not_read_is_never_taken_for_anothers(rig: Rig) -> None:
    rig.accept("a")
    held = leases(rig.redis)
    held.ask({"github": 1}, [])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Asked, "_reply", _breaks_off)
        with pytest.raises(RedisConnectionError):
            held.hear()
    assert rig.redis.ping() is True
    assert held.hear() == ([], [])


def _breaks_off(_: Asked) -> Any:
    raise RedisConnectionError
