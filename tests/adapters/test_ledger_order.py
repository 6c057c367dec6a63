"""Order: deliveries of a line run one after the other, and a newer one overtakes what is outdated."""

from collections.abc import Iterable
from typing import Any, Final

import pytest
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed
from gateway.core.delivery import Claimed
from gateway.core.event import Turn
from gateway.core.ordering import BY_ARRIVAL, version_text
from gateway.core.outcomes import Acceptance, DeadReason
from gateway.core.retry import Dead, Wait
from gateway.core.source import Source
from tests.adapters.ledger_rig import (
    DONE,
    EXHAUSTED,
    GITHUB,
    LEASE,
    LOOK,
    Rig,
    a_delivery,
    a_source,
    an_event,
)

ANNA: Final = "a" * 26
BERT: Final = "b" * 26
WINDOW: Final = a_source(dedup_window=100.0, retention=50.0)


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


def line_up(
    rig: Rig,
    *values: str,
    key: str = ANNA,
    blocks: bool = False,
    versions: Iterable[str] = (),
    source: Source = GITHUB,
) -> list[Acceptance]:
    """One delivery each, in one line."""
    texts = list(versions) or [""] * len(values)
    batch = [
        (an_event(value), source, ["record"], [Turn(1, key, blocks, text)])
        for value, text in zip(values, texts, strict=True)
    ]
    return rig.run(ledger.accept(batch, LOOK))


def states(rig: Rig, *values: str) -> list[str]:
    return [rig.row(a_delivery(value)).state for value in values]


def rung(rig: Rig) -> list[str]:
    """The events whose bells lie in the queue, by their short names."""
    names = {a_delivery(str(number)): str(number) for number in range(10)}
    return [names[bell.rpartition("-")[0]] for bell in rig.queued()]


def order_keys(rig: Rig) -> list[str]:
    return [*rig.scan("hookline:turn:*"), *rig.scan("hookline:line:*")]


def claim_by_id(rig: Rig, value: str) -> str:
    (row,) = rig.claim(taken=[(a_delivery(value), "")])
    return row.word if isinstance(row, NotClaimed) else "run"


# One after the other


def test_the_second_of_a_line_is_blocked_and_not_rung(rig: Rig) -> None:
    assert line_up(rig, "1", "2") == [Acceptance.ACCEPTED] * 2
    assert states(rig, "1", "2") == ["pending", "blocked"]
    assert rung(rig) == ["1"]
    assert claim_by_id(rig, "2") == "blocked"
    assert line_up(rig, "2") == [Acceptance.PENDING]


def test_lines_do_not_wait_for_each_other_nor_for_what_has_no_order(rig: Rig) -> None:
    line_up(rig, "1", "2")
    line_up(rig, "3", key=BERT)
    rig.accept("4")
    assert rung(rig) == ["1", "3", "4"]


def test_the_turn_passes_with_the_end_to_the_first_that_came(rig: Rig) -> None:
    line_up(rig, "1", "2", "3")
    for value, after in (("1", ["done", "pending", "blocked"]), ("2", ["done", "done", "pending"])):
        held = rig.run_one()
        assert held.delivery == a_delivery(value)
        rig.finish(held)
        assert states(rig, "1", "2", "3") == after
    rig.finish(rig.run_one())
    assert order_keys(rig) == []


def test_arrivals_are_counted_and_not_timed(rig: Rig) -> None:
    """All of one call come in the same millisecond, and ids sort in another way."""
    values = [str(number) for number in range(9)]
    line_up(rig, *values)
    ran = []
    for _ in values:
        held = rig.run_one()
        ran.append(held.provider_id)
        rig.finish(held)
    assert ran == values


@pytest.mark.parametrize("decision", [Wait(0.0), Wait(60.0), None], ids=["retry", "later", "release"])
def test_who_comes_back_keeps_the_turn(rig: Rig, decision: Wait | None) -> None:
    line_up(rig, "1", "2")
    rig.finish(rig.run_one(), decision)
    assert states(rig, "2") == ["blocked"]
    rig.pass_time(LEASE)
    rig.sweep()
    held = rig.run_one()
    assert held.delivery == a_delivery("1")
    rig.finish(held)
    assert rig.run_one().delivery == a_delivery("2")


def test_a_worker_that_dies_keeps_the_turn_for_its_delivery(rig: Rig) -> None:
    line_up(rig, "1", "2")
    rig.run_one()
    rig.pass_time(LEASE + LOOK)
    rig.sweep()
    assert rig.run_one().delivery == a_delivery("1")
    assert states(rig, "2") == ["blocked"]


def test_one_that_is_dead_is_passed_over(rig: Rig) -> None:
    line_up(rig, "1", "2")
    rig.finish(rig.run_one(), EXHAUSTED)
    assert states(rig, "1", "2") == ["dead", "pending"]
    assert rung(rig) == ["2"]


@pytest.mark.parametrize("how", ["poison", "abandoned", "body_missing"])
def test_one_that_dies_at_its_claim_is_passed_over_too(rig: Rig, how: str) -> None:
    line_up(rig, "1", "2")
    if how == "body_missing":
        rig.redis.delete(rig.keys.body(an_event("1").id))
    else:
        crashes: Any = {"1c": 2, "1m": 1} if how == "poison" else {"1c": 9}
        rig.redis.hset(rig.keys.event(an_event("1").id), mapping=crashes)
        held = rig.run_one()
        rig.give_up(held) if how == "poison" else rig.pass_time(LEASE)
    assert claim_by_id(rig, "1") == how
    assert states(rig, "1", "2") == ["dead", "pending"]


def test_where_a_dead_one_blocks_it_keeps_the_turn_until_an_operator_acts(rig: Rig) -> None:
    line_up(rig, "1", "2", blocks=True)
    rig.finish(rig.run_one(), Dead(DeadReason.DISCARDED))
    rig.pass_time(2 * LOOK)
    rig.sweep()
    assert states(rig, "1", "2") == ["dead", "blocked"]
    assert rig.run(ledger.replay([a_delivery("1")], look_ms=LOOK)) == ["replayed"]
    held = rig.run_one()
    assert held.delivery == a_delivery("1")
    assert states(rig, "2") == ["blocked"]
    rig.finish(held)
    assert states(rig, "1", "2") == ["done", "pending"]


def test_discarding_a_dead_one_that_blocks_lets_the_others_go_on(rig: Rig) -> None:
    line_up(rig, "1", "2", blocks=True)
    rig.finish(rig.run_one(), EXHAUSTED)
    assert rig.run(ledger.discard([a_delivery("1")], look_ms=LOOK)) == ["discarded"]
    assert states(rig, "1", "2") == ["done", "pending"]
    assert rung(rig) == ["2"]


def test_discarding_one_that_was_passed_over_takes_nobody_the_turn(rig: Rig) -> None:
    line_up(rig, "1", "2", "3")
    rig.finish(rig.run_one(), EXHAUSTED)
    rig.run_one()
    rig.run(ledger.discard([a_delivery("1")], look_ms=LOOK))
    assert states(rig, "1", "2", "3") == ["done", "leased", "blocked"]


@pytest.mark.parametrize("decision", [DONE, EXHAUSTED])
def test_a_replayed_one_goes_back_into_line_by_its_arrival(rig: Rig, decision: Dead) -> None:
    line_up(rig, "1", "2", "3")
    rig.finish(rig.run_one(), decision)
    call = ledger.replay([a_delivery("1")], also_done=True, look_ms=LOOK)
    assert rig.run(call) == ["replayed"]
    assert states(rig, "1", "2", "3") == ["blocked", "pending", "blocked"]
    assert rig.run(call) == ["blocked"]
    rig.finish(rig.run_one())
    assert states(rig, "1", "2", "3") == ["pending", "done", "blocked"]


def test_a_replayed_one_whose_line_is_empty_runs_at_once(rig: Rig) -> None:
    line_up(rig, "1")
    rig.finish(rig.run_one())
    rig.run(ledger.replay([a_delivery("1")], also_done=True, look_ms=LOOK))
    assert rung(rig) == ["1"]


def test_a_blocked_one_is_counted_and_not_seen_by_the_sweeper(rig: Rig) -> None:
    line_up(rig, "1", "2")
    rig.run_one()
    assert rig.members(rig.keys.pending("github")) == {a_delivery("1"), a_delivery("2")}
    rig.pass_time(LEASE // 2)
    assert rig.sweep() == (0, 0)


def test_the_body_of_a_blocked_one_does_not_expire(rig: Rig) -> None:
    line_up(rig, "1", "2", source=WINDOW)
    rig.finish(rig.run_one())
    rig.pass_time(1_000_000)
    assert rig.run_one().delivery == a_delivery("2")


def test_two_processors_of_an_event_stand_in_lines_of_their_own(rig: Rig) -> None:
    turns = [Turn(1, ANNA), Turn(3, BERT)]
    rows = [(an_event(value), GITHUB, ["a", "b", "c"], turns) for value in ("1", "2")]
    rig.run(ledger.accept(rows, LOOK))
    found = [rig.row(a_delivery("2", number)).state for number in (1, 2, 3)]
    assert found == ["blocked", "pending", "blocked"]
    (held,) = (row for row in rig.claim(("github", 9)) if row.delivery == a_delivery("1", 3))
    assert isinstance(held, Claimed)
    rig.finish(held)
    found = [rig.row(a_delivery("2", number)).state for number in (1, 3)]
    assert found == ["blocked", "pending"]


# What got lost is found


def look_after_lines(rig: Rig) -> tuple[int, int]:
    rig.pass_time(LOOK)
    return rig.sweep()


def test_a_turn_that_got_lost_goes_to_the_first_in_line(rig: Rig) -> None:
    line_up(rig, "1", "2", "3")
    rig.redis.delete(rig.keys.event(an_event("1").id))
    look_after_lines(rig)
    assert states(rig, "2", "3") == ["pending", "blocked"]
    rig.redis.delete(rig.keys.turn(ANNA))
    look_after_lines(rig)
    assert states(rig, "3") == ["pending"]


def test_a_turn_whose_holder_was_ended_by_a_release_without_order_is_passed_on(rig: Rig) -> None:
    line_up(rig, "1", "2")
    rig.redis.hset(rig.keys.event(an_event("1").id), "1s", "done")
    look_after_lines(rig)
    assert states(rig, "2") == ["pending"]


def test_a_line_that_got_lost_is_written_again(rig: Rig) -> None:
    line_up(rig, "1", "2", "3")
    rig.redis.delete(rig.keys.line(ANNA))
    look_after_lines(rig)
    for _ in range(3):
        rig.finish(rig.run_one())
    assert states(rig, "1", "2", "3") == ["done"] * 3


def test_who_lost_the_turn_takes_it_again_or_stands_in_line(rig: Rig) -> None:
    line_up(rig, "1")
    rig.redis.delete(rig.keys.turn(ANNA))
    line_up(rig, "2")
    assert claim_by_id(rig, "1") == "blocked"
    assert claim_by_id(rig, "2") == "run"


def test_lines_are_looked_after_a_few_at_a_time(rig: Rig) -> None:
    line_up(rig, *(f"x{number}" for number in range(100)))
    rig.pass_time(LOOK)
    rig.redis.config_resetstat()
    rig.sweep()
    stats = rig.redis.info("commandstats")
    assert stats["cmdstat_zadd"]["calls"] <= 2 * 20 + 1


# The newer one overtakes


def test_one_that_arrives_late_never_runs(rig: Rig) -> None:
    line_up(rig, "1", versions=[version_text(2)])
    rig.finish(rig.run_one())
    assert line_up(rig, "2", versions=[version_text(1)], source=WINDOW) == [Acceptance.ACCEPTED]
    row = rig.row(a_delivery("2"))
    assert (row.state, row.reason, row.attempts) == ("done", "overtaken", 0)
    assert rig.queued() == []
    assert rig.redis.hget(rig.keys.counters, "overtaken|github|record") == b"1"
    assert rig.lives(rig.keys.event(an_event("2").id)) > 0
    assert rig.lives(rig.keys.body(an_event("2").id)) > 0
    assert line_up(rig, "2", versions=[version_text(1)]) == [Acceptance.DONE]


def test_one_that_was_overtaken_in_line_ends_at_its_claim(rig: Rig) -> None:
    line_up(rig, "1", versions=[version_text(1)])
    held = rig.run_one()
    line_up(rig, "2", "3", versions=map(version_text, (2, 3)))
    rig.finish(held, EXHAUSTED)  # overtaken while it ran: that is no reason to stop it
    assert claim_by_id(rig, "2") == "overtaken"
    assert states(rig, "1", "2", "3") == ["dead", "done", "pending"]
    assert rig.row(a_delivery("2")).reason == "overtaken"
    assert rig.lives(rig.keys.event(an_event("2").id)) > 0
    rig.claim(("github", 9))
    assert [key for key in rig.scan("rq:job:*") if a_delivery("2") in key] == []
    assert states(rig, "3") == ["leased"]


def test_one_that_waits_for_its_next_attempt_can_be_overtaken(rig: Rig) -> None:
    line_up(rig, "1", versions=[version_text(1)])
    rig.finish(rig.run_one(), Wait(0.0))
    line_up(rig, "2", versions=[version_text(2)])
    assert claim_by_id(rig, "1") == "overtaken"
    assert rig.members("rq:scheduled:github") == set()
    assert rig.run_one().delivery == a_delivery("2")


def test_equal_versions_both_run(rig: Rig) -> None:
    line_up(rig, "1", "2", versions=[version_text(1)] * 2)
    for _ in range(2):
        rig.finish(rig.run_one())
    assert [rig.row(a_delivery(value)).reason for value in ("1", "2")] == ["", ""]


def test_what_has_no_version_overtakes_nothing_and_is_not_overtaken(rig: Rig) -> None:
    line_up(rig, "1", "2", "3", versions=[version_text(5), "", version_text(5)])
    for value in ("1", "2", "3"):
        held = rig.run_one()
        assert held.delivery == a_delivery(value)
        rig.finish(held)


def test_versions_of_two_kinds_are_not_compared(rig: Rig) -> None:
    line_up(rig, "1", "2", versions=[version_text("2026-01-01"), version_text(1)])
    rig.finish(rig.run_one())
    assert claim_by_id(rig, "2") == "run"


def test_without_a_version_the_last_that_came_is_the_newest(rig: Rig) -> None:
    line_up(rig, *"12345", versions=[BY_ARRIVAL] * 5)
    words = [claim_by_id(rig, value) for value in "12345"]
    assert words == ["overtaken"] * 4 + ["run"]


def test_a_replay_of_what_is_out_of_date_does_not_run_either(rig: Rig) -> None:
    line_up(rig, "1", versions=[version_text(1)])
    rig.finish(rig.run_one(), EXHAUSTED)
    line_up(rig, "2", versions=[version_text(2)])
    rig.finish(rig.run_one())
    assert rig.run(ledger.replay([a_delivery("1")], look_ms=LOOK)) == ["replayed"]
    assert claim_by_id(rig, "1") == "overtaken"


def test_the_newest_version_is_known_for_the_dedup_window(rig: Rig) -> None:
    line_up(rig, "1", versions=[version_text(2)], source=WINDOW)
    rig.finish(rig.run_one())
    assert 99_000 < rig.lives(rig.keys.latest(ANNA)) <= 100_000
    rig.pass_time(60_000)
    line_up(rig, "2", versions=[version_text(1)], source=WINDOW)
    assert 99_000 < rig.lives(rig.keys.latest(ANNA)) <= 100_000
    rig.pass_time(100_000)
    assert order_keys(rig) == []
    line_up(rig, "3", versions=[version_text(1)], source=WINDOW)
    assert rig.run_one().delivery == a_delivery("3")


# What has no order pays nothing


def test_an_event_without_order_costs_no_further_command_and_leaves_no_further_field(rig: Rig) -> None:
    rig.redis.config_resetstat()
    rig.accept("1", "2")
    rig.finish(rig.run_one())
    rig.finish(rig.run_one(), EXHAUSTED)
    used = rig.redis.info("commandstats")
    assert not used.keys() & {"cmdstat_zpopmin", "cmdstat_zrangebyscore"}
    # The two bodies were written together and read one by one; and how often the queue was rung, once.
    assert [used[f"cmdstat_{name}"]["calls"] for name in ("mset", "mget", "get")] == [1, 2, 1]
    assert "cmdstat_set" not in used
    assert order_keys(rig) == []
    fields = {name.decode() for name in rig.raw("HKEYS", rig.keys.event(an_event("1").id))}
    assert fields == {*"etprzn", *(f"1{name}" for name in "psaftq")}
