"""The keeper: leases kept, lost bells rung, expired events pruned, and nothing ends it but `stop`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger import scripts
from gateway.adapters.ledger.scripts import RENEW, SWEEP
from gateway.adapters.worker import keeper as module
from gateway.adapters.worker.keeper import Keeper
from gateway.core.delivery import Claimed
from tests.adapters.ledger_rig import EXHAUSTED, LOOK, Rig, a_delivery, a_source, an_event
from tests.adapters.worker_rig import an_app, lines, until

__all__ = ["lines"]


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


@contextmanager
def kept(url: str, leases: Callable[[], Any] = tuple, **worker: Any) -> Iterator[Keeper]:
    with running(Keeper(an_app(**worker), url, leases)) as found:
        yield found


@contextmanager
def running(found: Keeper) -> Iterator[Keeper]:
    found.start()
    try:
        yield found
    finally:
        found.stop()
        found._thread.join(60)
        assert not found._thread.is_alive()


def test_leases_are_renewed_long_before_they_end(rig: Rig, redis_url: str) -> None:
    rig.accept("1")
    held = rig.run_one(lease_ms=600_000)
    found = Keeper(an_app(lease=600.0), redis_url, lambda: [(held.delivery, held.fence)])
    assert found._renew_every <= 600.0 / 3
    found._renew_every = 0.05
    with running(found):
        for _ in range(3):
            ends = rig.row(a_delivery()).time
            until(lambda: rig.row(a_delivery()).time > ends)  # noqa: B023 - called at once
        rig.sweep()
        assert rig.queued() == []
        assert rig.finish(held)


def test_a_lease_that_somebody_else_has_is_told_once(rig: Rig, redis_url: str, lines: Any) -> None:
    rig.accept("1")
    held = rig.run_one()
    asked = 0

    def leases() -> list[tuple[str, int]]:
        nonlocal asked
        asked += 1
        return [(held.delivery, 77)]

    with kept(redis_url, leases, lease=0.1):
        until(lambda: asked > 6)
    assert [line["fence"] for line in lines if line["event"] == "lease.lost"] == [77]


def test_a_lease_whose_end_was_just_recorded_is_not_called_lost(
    rig: Rig, redis_url: str, lines: Any
) -> None:
    rig.accept("1")
    held = rig.run_one()
    rig.finish(held)
    shown = iter([[(held.delivery, held.fence)]])
    asked = 0

    def leases() -> list[tuple[str, int]]:
        nonlocal asked
        asked += 1
        return next(shown, [])

    with kept(redis_url, leases, lease=0.1):
        until(lambda: asked > 3)
    assert not [line for line in lines if line["event"] == "lease.lost"]


def test_a_lost_bell_is_rung_again(rig: Rig, redis_url: str) -> None:
    rig.accept("1")
    rig.redis.delete(rig.keys.queue("github"))
    rig.pass_time(LOOK)
    with kept(redis_url):
        until(lambda: rig.queued() == [f"{a_delivery()}-1"])


def test_a_dead_workers_delivery_is_rung_again(rig: Rig, redis_url: str) -> None:
    rig.accept("1")
    rig.run_one(lease_ms=100)
    with kept(redis_url):
        until(lambda: rig.queued() == [f"{a_delivery()}-2"])


def test_many_lost_bells_are_rung_in_one_go(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_AT_ONCE", 20)
    rig.accept(*(str(number) for number in range(150)))
    rig.redis.delete(rig.keys.queue("github"))
    rig.pass_time(LOOK)
    found = Keeper(an_app(), redis_url, tuple)
    found._sweep()
    assert len(rig.queued()) == 150
    found._client.close()


def test_sources_that_left_the_configuration_are_swept_too(rig: Rig, redis_url: str) -> None:
    """Also by a worker for one source: lost bells are everybody's business."""
    left = a_source("gone")
    rig.accept("1", source=left)
    rig.redis.delete(rig.keys.queue("gone"))
    rig.pass_time(LOOK)
    with kept(redis_url):
        until(lambda: len(rig.queued("gone")) == 1)


def test_concurrent_keepers_ring_once(rig: Rig, redis_url: str) -> None:
    values = [str(number) for number in range(100)]
    rig.accept(*values)
    rig.redis.delete(rig.keys.queue("github"))
    rig.pass_time(LOOK)
    with kept(redis_url, look_interval=3600), kept(redis_url, look_interval=3600):
        until(lambda: len(rig.queued()) == 100)
    assert len(set(rig.queued())) == len(rig.queued()) == 100


def test_expired_events_leave_the_index_behind_long_kept_ones(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead letters stay: a full piece of them must not hide what is behind."""
    monkeypatch.setattr(module, "PRUNE_AT_ONCE", 3)
    monkeypatch.setattr(module, "PRUNE_SECONDS", 0.0)
    dead = ["d1", "d2", "d3", "d4"]
    for value in dead:
        rig.bury(value)
    rig.accept("gone")
    rig.accept("open")
    rig.redis.delete(rig.keys.event(an_event("gone").id))
    kept_events = {an_event(value).id for value in (*dead, "open")}
    with kept(redis_url):
        until(lambda: set(rig.arrived()) == kept_events)


@pytest.mark.parametrize("error", [ConnectionError, RuntimeError, KeyError], ids=lambda e: e.__name__)
def test_no_error_ends_it_and_leases_come_first_afterwards(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch, lines: Any, error: type[Exception]
) -> None:
    rig.accept("1")
    held = rig.run_one(lease_ms=900)
    calls: list[object] = []
    run = scripts.run

    def fail_for_a_while(client: Any, keys: Any, call: Any) -> Any:
        calls.append(call.script)
        if len(calls) < 4:
            raise error("for a while")
        return run(client, keys, call)

    monkeypatch.setattr(module, "run", fail_for_a_while)
    first = rig.row(a_delivery()).time
    with kept(redis_url, lambda: [(held.delivery, held.fence)], lease=0.9):
        until(lambda: rig.row(a_delivery()).time > first)
    assert calls[:5] == [RENEW, RENEW, RENEW, RENEW, SWEEP]
    assert [line["error"] for line in lines if line["event"] == "keeper.interrupted"] == [
        error.__name__
    ] * 3


def test_a_keeper_leaves_what_is_done_or_dead_alone(rig: Rig, redis_url: str) -> None:
    rig.accept("done", "dead")
    done, dead = rig.claim(("github", 2))
    assert isinstance(done, Claimed)
    assert isinstance(dead, Claimed)
    rig.finish(done)
    rig.finish(dead, EXHAUSTED)
    rig.pass_time(LOOK * 2)
    with kept(redis_url) as found:
        until(lambda: found._pruned)  # it has swept and pruned once
    assert rig.queued() == []
    assert rig.run(ledger.replay([dead.delivery])) == ["replayed"]


def test_a_dead_letter_that_rqs_tools_have_dropped_is_shown_again(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    """Behind others, too: of many a piece is looked at each time."""
    monkeypatch.setattr(module, "REFILE_AT_ONCE", 2)
    for value in "12345":
        rig.bury(value)
    rig.redis.delete("rq:failed:github")
    with kept(redis_url, look_interval=0.05):
        until(lambda: len(rig.members("rq:failed:github")) == 5)
        told = until(lambda: [line for line in lines if line["event"] == "dead_letters.restored"])
    assert (told[0]["source"], told[0]["filed"], told[0]["replayed"]) == ("github", 2, 0)


def test_too_many_dead_letters_are_told_once_until_they_are_fewer(
    rig: Rig, redis_url: str, lines: Any
) -> None:
    """None is dropped: the alarm is all that happens to them."""
    for value in "123":
        rig.bury(value)
    found = Keeper(an_app(), redis_url, tuple)
    found._alarm = 3
    found._refile()
    found._refile()
    told = [line for line in lines if line["event"] == "dead_letters.too_many"]
    assert [(line["source"], line["dead_letters"], line["alarm"]) for line in told] == [
        ("github", 3, 3)
    ]
    rig.run(ledger.discard([a_delivery("1")]))
    found._refile()
    rig.bury("4")
    found._refile()
    assert len([line for line in lines if line["event"] == "dead_letters.too_many"]) == 2
    assert len(rig.members(rig.keys.dead("github"))) == 3
    found._client.close()
