"""The ledger and its server: forgotten scripts, a full memory, and what an event costs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from gateway.adapters import ledger
from gateway.core.delivery import Claimed
from gateway.core.outcomes import Acceptance
from gateway.core.retry import Wait
from tests.adapters.ledger_rig import DONE, EXHAUSTED, LEASE, LOOK, Rig, a_delivery, a_source, an_event

DELIVERY = a_delivery()


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


@pytest.fixture
def full(rig: Rig) -> Iterator[Rig]:
    """Four held deliveries and a dead one on a server that then runs out of memory."""
    rig.bury("dead")
    rig.accept("1", "2", "3", "4", "lost")
    rig.redis.set("ballast", bytes(1 << 20))
    yield rig
    rig.redis.config_set("maxmemory", 0)


def fill_memory(rig: Rig) -> None:
    used = rig.redis.info("memory")["used_memory"]
    rig.redis.config_set("maxmemory", used - (1 << 19))


def test_forgotten_scripts_are_sent_again(rig: Rig) -> None:
    def forget() -> None:
        rig.redis.script_flush()

    forget()
    assert rig.accept("1") == [Acceptance.ACCEPTED]
    forget()
    held = rig.run_one()
    forget()
    assert rig.run(ledger.renew([(held.delivery, held.fence)], LEASE)) == [True]
    forget()
    assert rig.finish(held, Wait(0.0))
    forget()
    assert rig.sweep() == (1, 1)
    forget()
    assert rig.finish(rig.run_one(), EXHAUSTED)
    forget()
    assert rig.run(ledger.replay([DELIVERY])) == ["replayed"]
    forget()
    assert rig.run(ledger.discard([DELIVERY])) == ["pending"]
    forget()
    assert rig.run(ledger.prune("github", [an_event().id])) == 0


def test_with_no_memory_left_an_event_is_refused_and_nothing_of_it_is_stored(full: Rig) -> None:
    before = full.snapshot()
    fill_memory(full)
    for batch in (["new"], ["1", "new", "newer"]):
        with pytest.raises(OutOfMemoryError):
            full.accept(*batch)
    assert full.snapshot() == before
    assert full.accept("1", "dead") == [Acceptance.PENDING, Acceptance.DEAD]


def test_with_no_memory_left_what_was_accepted_is_still_worked_off(full: Rig) -> None:
    full.pass_time(LOOK)
    fill_memory(full)
    held = [row for row in full.claim(("github", 4)) if isinstance(row, Claimed)]
    assert full.run(ledger.renew([(each.delivery, each.fence) for each in held], 0)) == [True] * 4
    for each, decision in zip(held, (DONE, Wait(0.0), EXHAUSTED, None), strict=True):
        assert full.finish(each, decision)
    assert full.run(ledger.replay([a_delivery("dead")])) == ["replayed"]
    assert full.run(ledger.discard([a_delivery("3")])) == ["discarded"]
    full.redis.delete(full.keys.queue("github"))
    full.pass_time(LOOK)
    assert full.sweep()[1] == 4
    (by_id,) = full.claim(taken=[(a_delivery("lost"), "")], books=False)
    assert isinstance(by_id, Claimed)
    while rows := full.claim(("github", 10)):
        assert all(full.finish(row) for row in rows if isinstance(row, Claimed))
    assert full.members(full.keys.pending("github")) == {a_delivery("lost")}


def memory_by_key(rig: Rig) -> dict[str, int]:
    """Bytes of the keys that an event has for itself."""
    usage: Any = rig.redis.memory_usage
    return {key: usage(key, samples=0) for key in rig.scan("*") if an_event().id[4:] in key}


@pytest.mark.parametrize("state", ["pending", "done"])
def test_an_event_costs_little_more_than_its_body(
    rig: Rig, state: str, record_property: Callable[[str, object], None]
) -> None:
    body = bytes(range(256)) * 8
    event = an_event(body=body)
    rig.run(ledger.accept([(event, a_source(), ["record_invoice"])]))
    if state == "done":
        rig.finish(rig.run_one())
    costs = memory_by_key(rig)
    record_property("memory", costs)
    print(f"{state}: {sum(costs.values())} bytes for a body of {len(body)}", costs)
    assert sum(costs.values()) <= len(body) + (1600 if state == "pending" else 900)
