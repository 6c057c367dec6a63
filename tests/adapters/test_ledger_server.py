"""The ledger and its server: forgotten scripts, a full memory, and what an event costs."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from gateway.adapters.ledger import calls as ledger
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
    assert rig.run(ledger.prune("github", "", 10)) == ("", 0)


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
    for again in (a_delivery("dead"), a_delivery("1")):
        assert full.run(ledger.replay([again], also_done=True)) == ["replayed"]
    assert full.run(ledger.discard([a_delivery("3")])) == ["discarded"]
    full.redis.delete(full.keys.queue("github"))
    full.pass_time(LOOK)
    assert full.sweep()[1] == 5
    (by_id,) = full.claim(taken=[(a_delivery("lost"), "")], books=False)
    assert isinstance(by_id, Claimed)
    while rows := full.claim(("github", 10)):
        assert all(full.finish(row) for row in rows if isinstance(row, Claimed))
    assert full.members(full.keys.pending("github")) == {a_delivery("lost")}


@pytest.mark.parametrize("state", ["pending", "done"])
def test_an_event_costs_little_more_than_its_body(
    rig: Rig, state: str, record_property: Callable[[str, object], None]
) -> None:
    body, many = bytes(range(256)) * 8, 500
    events = [an_event(f"5ad3c1f0-7d4e-11ef-8f4c-{number:012}", body=body) for number in range(many)]
    rig.run(ledger.accept([(event, a_source(), ["record_invoice"]) for event in events]))
    if state == "done":
        for row in rig.claim(("github", many)):
            assert isinstance(row, Claimed)
            rig.finish(row)
    costs: Counter[str] = Counter()
    for key in rig.scan("*"):
        of = key.partition("evt_")[0].partition("dlv_")[0]
        costs[of] += int(rig.redis.memory_usage(key, samples=0) or 0)
    each = {key: round(cost / many) for key, cost in costs.items()}
    record_property("bytes", each)
    print(f"{state}: {sum(each.values())} bytes for a body of {len(body)}: {each}")
    assert sum(each.values()) <= len(body) + 1600
