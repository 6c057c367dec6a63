"""The reader tells what the ledger holds, in order of time, and never reads a whole index."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from redis import Redis

from gateway.adapters.ledger import arrivals, reader
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.event_records import DeliveryRecord, Failure
from gateway.adapters.ledger.reader import Reader, ReplayArchive
from gateway.core.delivery import Claimed
from gateway.core.outcomes import AttemptOutcome, DeliveryState
from gateway.core.retry import Wait
from gateway.process import describe
from tests.adapters.ledger_rig import DONE, EXHAUSTED, Rig, a_delivery, a_source, an_event

SLACK = a_source("slack")


@pytest.fixture
def rig(redis: "Redis") -> Rig:
    return Rig(redis)


@pytest.fixture
def shelf(rig: Rig) -> Reader:
    return Reader(rig.redis, rig.keys)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PAGE", 2)
    monkeypatch.setattr(arrivals, "PAGE", 2)


def received_at(rig: Rig, value: str, ms: int, source: str = "github") -> str:
    """Moves an accepted event to another time, as if it had come then."""
    event = an_event(value, source).id
    rig.came_at(event, ms, source)
    return event


def a_note(held: Claimed, text: str) -> str:
    """What is kept of a failed attempt."""
    error = ValueError(text)
    return describe(held, error, AttemptOutcome.FAILED, 0.5, datetime.fromtimestamp(7, UTC))


def newest(shelf: Reader, *sources: str, **bounds: float) -> list[str]:
    return [each.provider_id for each in shelf.received(sources, **bounds, newest_first=True)]


def test_an_event_is_told_with_its_deliveries(rig: Rig, shelf: Reader) -> None:
    rig.accept("1", processors=("archive", "mail"))
    held = rig.run_one()
    event = shelf.event(an_event().id)
    assert event
    assert (event.source, event.queue, event.type, event.provider_id) == ("github",) * 2 + ("push", "1")
    assert (event.size, event.attempts, event.summary) == (2, 1, "1 leased, 1 pending")
    assert abs(event.received - shelf.now()) < 60
    row = rig.row(held.delivery)
    assert event.deliveries[0] == DeliveryRecord(
        held.delivery, "archive", DeliveryState.LEASED, 1, 0, 1, row.time / 1000, ""
    )
    assert event.delivery(a_delivery(number=2)) == event.deliveries[1]
    assert event.delivery(a_delivery(number=3)) is None


def test_a_summary_names_one_state_once_and_the_urgent_first(rig: Rig, shelf: Reader) -> None:
    rig.accept("1", processors=("a", "b", "c"))
    for decision in (DONE, EXHAUSTED, Wait(9.0)):
        rig.finish(rig.run_one(), decision)
    rig.accept("2", processors=("a", "b"))
    first, second = shelf.events([an_event("1").id, an_event("2").id])
    assert first
    assert second
    assert first.summary == "1 dead, 1 waiting, 1 done"
    assert second.summary == "pending"


def test_what_was_never_there_is_none(shelf: Reader) -> None:
    assert shelf.event(an_event().id) is None
    assert shelf.headers(an_event().id) is None
    assert shelf.body(an_event().id) is None
    assert shelf.failures(a_delivery()) == []
    assert shelf.last_failures([a_delivery()]) == [None]
    assert shelf.known_sources() == set()
    assert newest(shelf, "github") == []


def test_headers_and_body_come_back_byte_for_byte(rig: Rig, shelf: Reader) -> None:
    event = an_event(body=b"\x00\xff\r\n")
    rig.run(ledger.accept([(event, a_source(), ("archive",))]))
    assert shelf.body(event.id) == b"\x00\xff\r\n"
    assert shelf.headers(event.id) == (("X-GitHub-Event", "push"), ("X-Odd", "\xff\xfe"))


def test_events_of_many_sources_come_in_one_order_of_time(rig: Rig, shelf: Reader) -> None:
    rig.accept("1", "3", "5")
    rig.accept("2", "4", source=SLACK)
    for value in "135":
        received_at(rig, value, 1000 * int(value))
    for value in "24":
        received_at(rig, value, 1000 * int(value), "slack")
    assert shelf.known_sources() == {"github", "slack"}
    assert newest(shelf, "github", "slack") == ["5", "4", "3", "2", "1"]
    assert newest(shelf, "slack") == ["4", "2"]
    oldest = shelf.received(["github", "slack"], newest_first=False)
    assert [each.provider_id for each in oldest] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        ({"since": 2.0}, ["3", "2"]),
        ({"until": 2.0}, ["2", "1"]),
        ({"since": 2.0, "until": 2.0}, ["2"]),
        ({"since": 2.0001, "until": 2.9999}, []),
    ],
)
def test_both_bounds_are_part_of_the_time_asked_for(
    rig: Rig, shelf: Reader, bounds: dict[str, float], values: list[str]
) -> None:
    rig.accept("1", "2", "3")
    for value in "123":
        received_at(rig, value, 1000 * int(value))
    assert newest(shelf, "github", **bounds) == values


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("newest_first", [True, False])
def test_a_batch_that_came_in_one_millisecond_is_read_whole(
    rig: Rig, shelf: Reader, newest_first: bool
) -> None:
    values = [str(number) for number in range(9)]
    rig.accept(*values)
    for value in values:
        received_at(rig, value, 5000 if value in "234567" else 1000 * int(value))
    found = [each.provider_id for each in shelf.received(["github"], newest_first=newest_first)]
    assert len(found) == 9
    assert set(found) == set(values)
    assert found[:1] + found[-1:] == (["8", "0"] if newest_first else ["0", "8"])


@pytest.mark.parametrize("newest_first", [True, False])
def test_events_that_one_call_has_stored_are_few_entries_and_each_is_listed(
    rig: Rig, shelf: Reader, newest_first: bool
) -> None:
    values = [str(number) for number in range(300)]
    rig.accept(*values)
    assert rig.raw("XLEN", rig.keys.arrived("github")) == 3
    found = [each.provider_id for each in shelf.received(["github"], newest_first=newest_first)]
    assert found == (values[::-1] if newest_first else values)


@pytest.mark.usefixtures("small_pages")
def test_dead_letters_that_go_back_while_they_are_read_hide_no_other(rig: Rig, shelf: Reader) -> None:
    values = [str(number) for number in range(7)]
    for value in values:
        rig.bury(value)
    found = []
    for event, delivery in shelf.dead_letters(["github"], newest_first=False):
        found.append(event.provider_id)
        rig.run(ledger.replay([delivery.id]))
    assert sorted(found) == values
    assert list(shelf.dead_letters(["github"], newest_first=False)) == []


def test_only_as_much_is_read_as_is_asked_for(
    rig: Rig, shelf: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PAGE", 5)
    monkeypatch.setattr(arrivals, "PAGE", 5)
    for number in range(60):
        rig.accept(str(number))
    before = _commands(rig)
    assert len(list(islice(shelf.received(["github"], newest_first=True), 7))) == 7
    after = _commands(rig)
    read = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert read["cmdstat_xrevrange"] == 2
    assert read["cmdstat_hgetall"] == 10
    assert not {"cmdstat_keys", "cmdstat_scan"} & {name for name in read if read[name]}


def _commands(rig: Rig) -> dict[str, Any]:
    stats: dict[str, Any] = rig.redis.info("commandstats")
    return stats


def test_expired_events_are_skipped(rig: Rig, shelf: Reader) -> None:
    rig.accept("1", "2", "3")
    rig.redis.delete(rig.keys.event(an_event("2").id))
    assert sorted(newest(shelf, "github")) == ["1", "3"]


def test_an_index_entry_that_is_no_dead_letter_any_more_is_skipped(rig: Rig, shelf: Reader) -> None:
    rig.bury("1")
    rig.accept("2")
    rig.redis.zadd(rig.keys.dead("github"), {a_delivery("2"): 1, a_delivery("9"): 2, "odd": 3})
    found = shelf.dead_letters(["github"], newest_first=True)
    assert [delivery.id for _, delivery in found] == [a_delivery("1")]


def test_dead_letters_of_many_sources_come_in_order_of_their_deaths(rig: Rig, shelf: Reader) -> None:
    for number, value in enumerate("1234", start=1):
        rig.bury(value)
        rig.redis.zadd(rig.keys.dead("github"), {a_delivery(value): 1000 * number})
    rig.accept("5", source=SLACK)
    rig.finish(rig.run_one("slack"), EXHAUSTED)
    rig.redis.zadd(rig.keys.dead("slack"), {a_delivery("5", source="slack"): 2500})
    found = shelf.dead_letters(["github", "slack"], newest_first=True)
    assert [event.provider_id for event, _ in found] == ["4", "3", "5", "2", "1"]
    since = shelf.dead_letters(["github", "slack"], 2.5, newest_first=False)
    assert [event.provider_id for event, _ in since] == ["5", "3", "4"]


def test_failed_attempts_are_told_with_all_that_was_noted(rig: Rig, shelf: Reader) -> None:
    rig.accept("1")
    for text in ("first", "second"):
        held = rig.run_one()
        rig.finish(held, Wait(0.0), a_note(held, text))
        rig.sweep()
    expected = Failure(1, "failed", 7.0, 0.5, "ValueError", "first", "", "ValueError: first\n")
    second = replace(expected, attempt=2, message="second", trace="ValueError: second\n")
    assert shelf.failures(a_delivery()) == [expected, second]
    assert shelf.last_failures([a_delivery("2"), a_delivery()]) == [None, second]


def test_the_archive_of_the_replay_flow_tells_each_delivery_by_itself(rig: Rig, shelf: Reader) -> None:
    rig.accept("1", processors=("archive", "mail"))
    rig.finish(rig.run_one(), EXHAUSTED)
    archive = ReplayArchive(shelf)
    dead, pending = archive.of_event(an_event().id)
    assert (dead.state, dead.reason, dead.processor) == (DeliveryState.DEAD, "exhausted", "archive")
    assert (pending.state, pending.reason, pending.processor) == (DeliveryState.PENDING, "", "mail")
    assert list(archive.died(["github"], 0.0)) == [dead]
    assert list(archive.received(["github"], dead.received, dead.received)) == [dead, pending]
    assert archive.of_event(an_event("2").id) == []
