"""A worker's turn: what ended is recorded and what there is room for is leased, in one round trip."""

from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run_together
from gateway.adapters.worker.leases import Leases
from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Done
from tests.adapters.ledger_rig import LOOK, Rig, a_delivery, an_event

LEASE = 60_000


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def leases(redis: "Redis") -> Leases:
    return Leases(redis, Keys(), "w", LEASE, LOOK)


def claimed(rows: list[Any]) -> list[Claimed]:
    return [row for row in rows if isinstance(row, Claimed)]


def end(held: Leases, row: Claimed) -> None:
    held.ended(Finish(row.delivery, row.fence, Done(), AttemptOutcome.DONE), 0.1)


def states(rig: Rig, *values: str) -> list[Any]:
    return [rig.redis.hget(rig.keys.event(an_event(each).id), "1s") for each in values]


def test_a_turn_records_what_ended_and_leases_what_there_is_room_for(rig: Rig) -> None:
    rig.accept("a")
    rig.accept("b")
    held = leases(rig.redis)
    _, rows = held.turn({"github": 1}, [])
    (first,) = claimed(rows)
    end(held, first)
    assert held.running() == []
    assert len(held.held()) == 1  # kept until it is recorded
    endings, rows = held.turn({"github": 5}, [])
    assert [ending.recorded for ending in endings] == [True]
    assert [row.delivery for row in claimed(rows)] == [a_delivery("b")]
    assert states(rig, "a", "b") == [b"done", b"leased"]


def test_a_turn_with_nothing_to_do_asks_nobody(rig: Rig) -> None:
    held = leases(rig.redis)
    rig.redis.config_resetstat()
    assert held.turn({}, []) == ([], [])
    assert "cmdstat_evalsha" not in rig.redis.info("commandstats")


def test_scripts_that_the_server_forgot_are_sent_again_each_once(rig: Rig) -> None:
    rig.accept("a")
    rig.accept("b")
    held = leases(rig.redis)
    _, rows = held.turn({"github": 1}, [])
    end(held, claimed(rows)[0])
    rig.redis.script_flush()
    endings, rows = held.turn({"github": 1}, [])
    assert [ending.recorded for ending in endings] == [True]
    assert len(claimed(rows)) == 1
    assert states(rig, "a", "b") == [b"done", b"leased"]


def test_what_a_lost_reply_recorded_is_no_stale_attempt(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.accept("a")
    held = leases(rig.redis)
    _, rows = held.turn({"github": 1}, [])
    end(held, claimed(rows)[0])
    real = run_together

    def lost(*args: Any) -> Any:
        real(*args)
        raise RedisConnectionError

    with monkeypatch.context() as patched:
        patched.setattr("gateway.adapters.worker.leases.run_together", lost)
        with pytest.raises(RedisConnectionError):
            held.turn({"github": 1}, [])
    endings, _ = held.turn({}, [])
    assert [ending.recorded for ending in endings] == [True]
    assert states(rig, "a") == [b"done"]
