"""What `hookline tail` sees of a ledger, on a real server, and what a look at it costs."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger import follow
from gateway.adapters.ledger.event_records import DeliveryRecord, EventRecord
from gateway.adapters.ledger.follow import Follower
from gateway.adapters.ledger.happenings import Happening, happenings
from gateway.adapters.ledger.reader import Reader
from gateway.adapters.ledger.vigil import Vigil
from gateway.core.delivery import Claimed
from gateway.core.outcomes import AttemptOutcome, DeliveryState
from gateway.core.retry import Wait
from gateway.process import describe
from tests.adapters.ledger_rig import EXHAUSTED, LOOK, Rig, a_delivery, a_source, an_event
from tests.e2e.rig import until

Follow = Callable[..., Follower]


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


@pytest.fixture
def follower(rig: Rig) -> Follow:
    reader = Reader(rig.redis, rig.keys)
    return lambda *names: Follower(reader, (lambda: names) if names else reader.known_sources, LOOK)


def fails(rig: Rig, held: Claimed, decision: Any = EXHAUSTED) -> None:
    """The attempt ends as if its processor had raised."""
    try:
        raise KeyError("secret of the sender")
    except KeyError as error:
        note = describe(held, error, AttemptOutcome.FAILED, 0.25, datetime.now(UTC))
    assert rig.finish(held, decision, note)


def accept_later(rig: Rig, value: str) -> None:
    """In a millisecond of its own: within one, events have no order."""
    rig.accept(value)
    moment = rig.now()
    until(lambda: rig.now() > moment)


def words(found: Iterable[Happening]) -> list[str]:
    return [each.word for each in found]


def replay(rig: Rig, *deliveries: str) -> None:
    replied = rig.run(ledger.replay(deliveries, also_done=True, look_ms=LOOK))
    assert set(replied) == {"replayed"}


# What is seen


def test_an_arrival_and_its_end_are_told_once_each(rig: Rig, follower: Follow) -> None:
    following = follower()
    assert following.look() == []
    rig.accept("1")
    assert words(following.look()) == ["accepted"]
    assert following.look() == []
    rig.finish(rig.run_one())
    (done,) = following.look()
    assert done.word == "done"
    assert done.delivery
    assert done.delivery.processor == "archive"
    assert following.look() == []


def test_what_has_ended_between_two_looks_is_told_in_its_order(rig: Rig, follower: Follow) -> None:
    following = follower()
    rig.accept("1")
    fails(rig, rig.run_one(), Wait(0.0))
    rig.sweep()
    rig.finish(rig.run_one())
    assert words(following.look()) == ["accepted", "failed", "done"]


def test_a_failed_attempt_has_its_error_and_its_number(rig: Rig, follower: Follow) -> None:
    following = follower()
    rig.accept("1")
    following.look()
    fails(rig, rig.run_one(), Wait(0.0))
    (failed,) = following.look()
    assert failed.attempt == 1
    assert failed.failure
    assert (failed.failure.error, failed.failure.seconds) == ("KeyError", 0.25)


def test_the_attempt_that_a_delivery_dies_of_is_told_as_its_death(rig: Rig, follower: Follow) -> None:
    following = follower()
    rig.accept("1")
    fails(rig, rig.run_one(), Wait(0.0))
    following.look()
    rig.sweep()
    fails(rig, rig.run_one())
    (dead,) = following.look()
    assert (dead.word, dead.attempt) == ("dead", 2)
    assert dead.failure
    assert dead.failure.attempt == 2


def test_a_replay_is_told_before_what_comes_of_it(rig: Rig, follower: Follow) -> None:
    following = follower()
    rig.accept("1")
    rig.finish(rig.run_one())
    following.look()
    replay(rig, a_delivery())
    fails(rig, rig.run_one(), Wait(100.0))
    seen = [word for _ in range(follow.ENDED_EVERY) for word in words(following.look())]
    assert seen == ["replayed", "failed"]


def test_a_death_of_an_event_that_nobody_watches_is_told_without_its_past(
    rig: Rig, follower: Follow
) -> None:
    rig.accept("1")
    fails(rig, rig.run_one(), Wait(0.0))
    rig.sweep()
    rig.pass_time(3_600_000)
    following = follower()
    following._open.clear()
    following._ended.clear()
    fails(rig, rig.run_one())
    assert words(following.look())[-1] == "dead"


def test_a_retry_that_was_due_before_it_began_is_told(rig: Rig, follower: Follow) -> None:
    rig.accept("1")
    fails(rig, rig.run_one(), Wait(0.0))
    following = follower()
    rig.sweep()
    rig.finish(rig.run_one())
    assert words(following.look()) == ["done"]


def test_a_crash_is_told_as_a_failed_attempt(rig: Rig, follower: Follow) -> None:
    following = follower()
    rig.accept("1")
    rig.run_one(lease_ms=1)
    rig.pass_time(10)
    rig.sweep()
    rig.run_one()
    assert "crashed" in words(following.look())


def test_only_the_sources_asked_for_are_followed(rig: Rig, follower: Follow) -> None:
    following = follower("github")
    rig.accept("1")
    rig.accept("2", source=a_source("slack"))
    assert [each.event.source for each in following.look()] == ["github"]


def test_a_source_that_is_new_is_followed_too(rig: Rig, follower: Follow) -> None:
    following = follower()
    following.look()
    rig.accept("1", source=a_source("brandnew"))
    assert words(following.look()) == ["accepted"]


def test_the_history_is_that_of_the_newest_and_is_not_told_again(rig: Rig, follower: Follow) -> None:
    for number in range(5):
        accept_later(rig, str(number))
        rig.finish(rig.run_one())
    following = follower()
    found = following.history(0.0, 2, lambda _: True)
    assert {each.event.provider_id for each in found} == {"3", "4"}
    assert sorted(words(found)) == ["accepted", "accepted", "done", "done"]
    assert following.look() == []


def test_a_vigil_tells_only_what_comes_after_it_began(rig: Rig) -> None:
    rig.accept("1")
    fails(rig, rig.run_one())
    vigil = Vigil(Reader(rig.redis, rig.keys), [an_event().id])
    assert vigil.look() == []
    replay(rig, a_delivery())
    fails(rig, rig.run_one())
    assert words(vigil.look()) == ["replayed", "dead"]


# What it costs


def read_by(rig: Rig, following: Follower) -> dict[str, int]:
    """Calls of each command that a look takes."""
    rig.raw("CONFIG", "RESETSTAT")
    following.look()
    rows: Any = rig.redis.info("commandstats")
    ours = {name.removeprefix("cmdstat_"): row["calls"] for name, row in rows.items()}
    return {name: calls for name, calls in ours.items() if not name.startswith("config")}


def fill(rig: Rig, many: int) -> None:
    """Old events in the index, and open deliveries of as many others that come much later."""
    names = [an_event(str(number)).id for number in range(many)]
    came: Any = rig.redis.xrange(rig.keys.arrived("github"))
    rig.redis.delete(rig.keys.arrived("github"))
    pipeline = rig.redis.pipeline(transaction=False)
    for first in range(0, many, 1000):
        page = names[first : first + 1000]
        pipeline.xadd(
            rig.keys.arrived("github"), {"e": " ".join(name[4:] for name in page)}, f"{first}-1"
        )
        later = {f"{name.replace('evt_', 'dlv_')}-1": rig.now() + 9_000_000 for name in page}
        pipeline.zadd(rig.keys.pending("github"), later)
    for entry, fields in came:
        pipeline.xadd(rig.keys.arrived("github"), fields, entry)
    pipeline.execute()


def test_a_look_costs_the_same_however_many_events_there_are(rig: Rig, follower: Follow) -> None:
    rig.accept("a", "b", "c")
    before = read_by(rig, follower())
    fill(rig, 20_000)
    rig.raw("CONFIG", "SET", "slowlog-log-slower-than", "5000")
    until(lambda: _is_quick(rig, follower()), what="a look whose commands are all quick")
    assert read_by(rig, follower()) == before
    assert "keys" not in before
    assert sum(before.values()) < 20


def _is_quick(rig: Rig, following: Follower) -> bool:
    """A server that stood still was slow once; who reads all events is slow each time."""
    rig.raw("SLOWLOG", "RESET")
    following.look()
    return not rig.raw("SLOWLOG", "LEN")


def test_a_flood_is_not_read_but_counted(
    rig: Rig, follower: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MOST_ARRIVALS", 10)
    following = follower("github")
    for number in range(24):
        rig.accept(str(number))
    accept_later(rig, "24")
    assert len(following.look()) == 10
    assert following.passed_over == 15
    rig.accept("one more")
    assert words(following.look()) == ["accepted"]


def test_nothing_is_written(rig: Rig, follower: Follow) -> None:
    rig.accept("1", "2")
    fails(rig, rig.run_one(), Wait(100.0))
    before = rig.snapshot()
    following = follower()
    following.history(0.0, 10, lambda _: True)
    for _ in range(follow.ENDED_EVERY):
        following.look()
    assert rig.snapshot() == before


# Two looks at one record


def delivery(state: DeliveryState, fence: int, crashes: int = 0, reason: str = "") -> DeliveryRecord:
    return DeliveryRecord("dlv_a-1", "archive", state, fence, crashes, fence, 1.0, reason)


RECORD = EventRecord("evt_a", "github", "github", "push", "1", 0.0, 2, ())
STATES = st.builds(delivery, st.sampled_from(DeliveryState), st.integers(0, 3), st.integers(0, 3))


@given(st.none() | STATES, STATES)
def test_any_two_looks_give_an_answer_and_the_same_look_twice_none(
    before: DeliveryRecord | None, now: DeliveryRecord
) -> None:
    known = replace(RECORD, deliveries=(before,)) if before else None
    found = list(happenings(known, replace(RECORD, deliveries=(now,)), lambda _: ()))
    assert words(found).count("done") <= 1
    assert not found or before != now
    if now.state is DeliveryState.DEAD and (before is None or before.state is not DeliveryState.DEAD):
        assert words(found)[-1] == "dead"
