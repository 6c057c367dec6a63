"""A worker's own memory: measured, told with what was run, and a reason to start anew."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from redis import Redis

from gateway.adapters.worker import memory
from gateway.adapters.worker.memory import MemoryLimit, resident_bytes
from gateway.plugins import Event
from tests.adapters.ledger_rig import Rig, a_delivery
from tests.adapters.worker_rig import Running, a_worker, an_app, in_threads, lines, until

__all__ = ["in_threads", "lines"]
MIB = 1 << 20
Lines = list[MutableMapping[str, Any]]


def using(monkeypatch: pytest.MonkeyPatch, used: int) -> None:
    monkeypatch.setattr(memory, "resident_bytes", lambda: used)


def test_what_is_taken_shows_in_what_is_used() -> None:
    before = resident_bytes()
    taken = bytearray(b"x" * (64 * MIB))
    assert 50 * MIB < resident_bytes() - before < 200 * MIB
    assert len(taken) == 64 * MIB


def test_where_the_system_does_not_tell_it_the_most_so_far_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(memory, "STATM", tmp_path / "statm")
    assert resident_bytes() > 10 * MIB


def test_without_a_limit_nothing_is_ever_too_much(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    using(monkeypatch, 1 << 60)
    limit = MemoryLimit(None)
    limit.note_run("archive")
    assert not limit.exceeded()
    assert not lines


def test_beyond_the_limit_the_processors_that_ran_are_told_the_busiest_first(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    limit = MemoryLimit(100 * MIB)
    for name in ("bill", "archive", "archive"):
        limit.note_run(name)
    using(monkeypatch, 100 * MIB)
    assert not limit.exceeded()
    using(monkeypatch, 150 * MIB)
    assert limit.exceeded()
    assert not limit.exceeded(), "once is enough"
    (line,) = lines
    assert (line["event"], line["runs"]) == ("worker.memory_exceeded", "archive=2 bill=1")
    assert (line["memory"], line["limit"]) == ("150MiB", "100MiB")


def test_a_worker_that_has_run_nothing_says_that_the_limit_is_too_low_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    using(monkeypatch, 150 * MIB)
    limit = MemoryLimit(100 * MIB)
    assert not limit.exceeded()
    assert [line["event"] for line in lines] == ["worker.memory_limit_too_low"]


def test_a_worker_ends_what_it_holds_and_is_to_be_started_anew(
    redis: "Redis", redis_url: str, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(redis)

    def grows(event: Event) -> None:
        using(monkeypatch, 150 * MIB)
        until(lambda: worker.farewell.begun)

    using(monkeypatch, MIB)
    worker = a_worker(an_app(grows), redis_url)
    worker._attempts.memory = MemoryLimit(100 * MIB)
    rig.accept("1", processors=("grows",))
    with Running(worker) as running:
        running.join()
    assert worker.farewell.restart
    assert rig.row(a_delivery()).state == "done"
