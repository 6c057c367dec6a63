"""Proofs: where a provider's id is not signed, known content under a new id is no new event."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from gateway.adapters.ledger import calls as ledger
from gateway.core.delivery import Claimed
from gateway.core.event import Event
from gateway.core.outcomes import Acceptance
from gateway.core.retry import Done, Wait
from gateway.core.source import Source
from tests.adapters.ledger_rig import (
    EXHAUSTED,
    GITHUB,
    LOOK,
    Rig,
    a_delivery,
    a_source,
    an_event,
)

ACCEPTED, PENDING, DONE, DEAD = (
    *(Acceptance.ACCEPTED, Acceptance.PENDING),
    *(Acceptance.DONE, Acceptance.DEAD),
)
FIRST: Final = an_event("1", content="push")
AGAIN: Final = an_event("forged", content="push")  # the same signed content, a new id
WINDOW: Final = a_source(dedup_window=100.0, retention=50.0)


@pytest.fixture
def rig(redis: "Redis") -> Iterator[Rig]:
    yield Rig(redis)
    redis.config_set("maxmemory", 0)


def accept(
    rig: Rig, *events: Event, source: Source = GITHUB, processors: tuple[str, ...] = ("archive",)
) -> list[Acceptance]:
    return rig.run(ledger.accept([(each, source, processors) for each in events], LOOK))


def proof_ends(rig: Rig) -> tuple[Any, Any]:
    """When the proof expires and when its event's record does; -1 never, -2 no such key."""
    keys = rig.keys.proof(FIRST.proof), rig.keys.event(FIRST.id)
    return rig.raw("PEXPIRETIME", keys[0]), rig.raw("PEXPIRETIME", keys[1])


def replayed(rig: Rig) -> int:
    return int(rig.redis.hget(rig.keys.counters, "replayed|github") or 0)


def test_known_content_under_a_new_id_says_what_became_of_the_first(rig: Rig) -> None:
    accept(rig, FIRST)
    assert accept(rig, AGAIN) == [PENDING]
    held = rig.run_one()
    assert accept(rig, AGAIN) == [PENDING]
    rig.finish(held, Wait(0.0))
    assert accept(rig, AGAIN) == [PENDING]
    (again,) = rig.claim(taken=[(a_delivery(), "")])
    assert isinstance(again, Claimed)
    rig.finish(again, EXHAUSTED)
    assert accept(rig, AGAIN) == [DEAD]
    rig.run(ledger.discard([a_delivery()]))
    assert accept(rig, AGAIN) == [DONE]
    assert replayed(rig) == 5


def test_the_first_is_asked_for_all_its_deliveries(rig: Rig) -> None:
    accept(rig, FIRST, processors=("a", "b"))
    rig.finish(rig.run_one())
    assert accept(rig, AGAIN, processors=("a",)) == [PENDING]
    rig.finish(rig.run_one())
    assert accept(rig, AGAIN, processors=("a", "b", "c")) == [DONE]


@pytest.mark.parametrize("state", ["pending", "done", "dead"])
def test_known_content_under_a_new_id_changes_nothing_but_a_count(rig: Rig, state: str) -> None:
    accept(rig, FIRST)
    if state != "pending":
        rig.finish(rig.run_one(), EXHAUSTED if state == "dead" else Done())
    before = rig.snapshot()
    assert accept(rig, AGAIN, AGAIN, source=a_source(revive_dead=True)) == [state, state]
    after = rig.snapshot()
    assert replayed(rig) == 2
    for snapshot in (before, after):
        snapshot.pop(rig.keys.counters.encode(), None)
    assert after == before


def test_a_retry_of_the_provider_is_a_plain_duplicate_and_may_revive(rig: Rig) -> None:
    willing = a_source(revive_dead=True)
    accept(rig, FIRST)
    rig.finish(rig.run_one(), EXHAUSTED)
    assert accept(rig, AGAIN, source=willing) == [DEAD]
    assert replayed(rig) == 1
    assert accept(rig, FIRST, source=willing) == [Acceptance.REVIVED]
    assert accept(rig, FIRST, AGAIN, source=willing) == [PENDING, PENDING]
    assert replayed(rig) == 2


def test_a_known_id_with_other_content_is_a_duplicate_by_its_id(rig: Rig) -> None:
    accept(rig, FIRST)
    assert accept(rig, an_event("1", content="other")) == [PENDING]
    assert replayed(rig) == 0
    assert rig.proofs() == {rig.keys.proof(FIRST.proof)}
    assert accept(rig, an_event("2", content="other")) == [ACCEPTED]


def test_a_known_id_whose_content_came_first_under_another_is_a_duplicate_of_itself(rig: Rig) -> None:
    accept(rig, FIRST, an_event("2", content="other"))
    rig.finish(rig.run_one())
    assert accept(rig, an_event("2", content="push")) == [PENDING]
    assert replayed(rig) == 0


def test_in_one_batch_the_second_of_an_id_and_of_a_content_are_duplicates(rig: Rig) -> None:
    same_id = an_event("1", content="other")
    assert accept(rig, FIRST, AGAIN, same_id, FIRST) == [ACCEPTED, PENDING, PENDING, PENDING]
    assert rig.queued() == [f"{a_delivery()}-1"]
    assert rig.scan("hookline:event:*") == [rig.keys.event(FIRST.id)]


def test_64_threads_with_the_same_content_under_64_ids_make_one_event(rig: Rig) -> None:
    with ThreadPoolExecutor(64) as pool:
        events = (an_event(str(each), content="push") for each in range(64))
        answers = list(pool.map(lambda event: accept(rig, event)[0], events))
    assert Counter(answers) == {ACCEPTED: 1, PENDING: 63}
    assert len(rig.queued()) == 1


def test_a_proof_lives_as_the_record_of_its_event(rig: Rig) -> None:
    accept(rig, FIRST, source=WINDOW)
    assert proof_ends(rig) == (-1, -1)
    held = rig.run_one()
    rig.pass_time(1_000_000_000)
    assert proof_ends(rig) == (-1, -1)
    rig.finish(held, EXHAUSTED)
    assert proof_ends(rig) == (-1, -1)
    rig.run(ledger.discard([a_delivery()]))
    proof, record = proof_ends(rig)
    assert proof == record > rig.now() + 99_000
    rig.pass_time(60_000)
    assert accept(rig, AGAIN) == [DONE]  # without its body too
    rig.pass_time(60_000)
    assert proof_ends(rig) == (-2, -2)


def test_a_proof_stays_with_an_event_that_is_put_back(rig: Rig) -> None:
    accept(rig, FIRST, source=WINDOW)
    rig.finish(rig.run_one())
    assert rig.run(ledger.replay([a_delivery()], also_done=True)) == ["replayed"]
    assert proof_ends(rig) == (-1, -1)
    rig.pass_time(1_000_000)
    assert accept(rig, AGAIN) == [PENDING]
    rig.finish(rig.run_one())
    proof, record = proof_ends(rig)
    assert proof == record > rig.now() + 99_000


def test_a_proof_of_an_event_without_a_window_ends_with_it(rig: Rig) -> None:
    accept(rig, FIRST, source=a_source(dedup_window=0.0))
    rig.finish(rig.run_one())
    assert proof_ends(rig) == (-2, -2)


def test_after_the_window_the_same_content_is_a_new_event_with_its_own_proof(rig: Rig) -> None:
    accept(rig, FIRST, source=WINDOW)
    rig.finish(rig.run_one())
    rig.pass_time(100_000)
    assert accept(rig, AGAIN, FIRST) == [ACCEPTED, PENDING]
    assert rig.run_one().event == AGAIN.id
    assert rig.lives(rig.keys.proof(FIRST.proof)) == -1


def test_a_proof_whose_event_is_gone_swallows_nothing(rig: Rig) -> None:
    accept(rig, FIRST, source=WINDOW)
    rig.finish(rig.run_one())
    rig.redis.delete(rig.keys.event(FIRST.id))
    assert rig.lives(rig.keys.proof(FIRST.proof)) > 0
    assert accept(rig, AGAIN) == [ACCEPTED]
    assert rig.lives(rig.keys.proof(FIRST.proof)) == -1
    assert accept(rig, FIRST) == [PENDING]
    assert replayed(rig) == 1


def test_a_proof_whose_event_has_other_content_now_swallows_nothing(rig: Rig) -> None:
    accept(rig, FIRST)
    rig.redis.delete(rig.keys.event(FIRST.id))
    accept(rig, an_event("1", content="other"))
    assert accept(rig, AGAIN) == [ACCEPTED]


def test_with_no_memory_left_a_repeat_is_told_so_and_lets_nothing_new_in(rig: Rig) -> None:
    accept(rig, FIRST)
    before = rig.snapshot()
    rig.redis.config_set("maxmemory", 1)
    for new in (an_event("2"), an_event("2", content="other")):
        with pytest.raises(OutOfMemoryError):
            accept(rig, AGAIN, new)
    assert rig.snapshot() == before
    assert accept(rig, AGAIN, FIRST) == [PENDING, PENDING]
    assert replayed(rig) == 1


def test_a_forgotten_script_counts_a_repeat_once(rig: Rig) -> None:
    accept(rig, FIRST)
    rig.redis.script_flush()
    assert accept(rig, AGAIN) == [PENDING]
    assert replayed(rig) == 1


def test_an_event_without_a_proof_costs_no_command_for_one(rig: Rig) -> None:
    accept(rig, FIRST, an_event("known"))
    rig.redis.config_resetstat()
    accept(rig, an_event("2"), an_event("known"))
    used = rig.redis.info("commandstats")
    assert "cmdstat_hmget" not in used
    # One get for how often the queue was rung, one mset for the body.
    assert [used[f"cmdstat_{name}"]["calls"] for name in ("get", "mset")] == [1, 1]
    assert "cmdstat_set" not in used
    assert rig.proofs() == {rig.keys.proof(FIRST.proof)}


def test_a_proof_costs_little(rig: Rig) -> None:
    accept(rig, FIRST, an_event("2"))
    rig.redis.expire(rig.keys.proof(FIRST.proof), 9999)
    key = int(rig.redis.memory_usage(rig.keys.proof(FIRST.proof)) or 0)
    records = [
        int(rig.redis.memory_usage(rig.keys.event(each.id)) or 0) for each in (FIRST, an_event("2"))
    ]
    print(f"{key} bytes for the proof, {records[0] - records[1]} in the record")
    assert key <= 88
    assert records[0] - records[1] <= 32
