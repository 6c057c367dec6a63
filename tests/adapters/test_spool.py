"""The port: many requests share a commit, nothing beyond the bounds, and the event loop goes on."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.adapters.spool import slots
from gateway.adapters.spool.slots import claim, orphans, problem_of, survey
from gateway.adapters.spool.spool import AWAY_SECONDS, DiskSpool
from gateway.adapters.spool.store import Store
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.source import Source
from gateway.ports import Unavailable
from gateway.settings import SpoolSettings
from tests.adapters.spool_rig import arrival, names, quick_directory, record

SHOP = Source("shop", "/hooks/shop", "shop", UnverifiedScheme(), ())


@pytest.fixture
def place() -> Iterator[Path]:
    with quick_directory() as found:
        yield found / "spool"


class Counted:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def __call__(self, source: str, result: str, many: int) -> None:
        name = f"{source} {result}"
        self.counts[name] = self.counts.get(name, 0) + many


def with_spool(
    place: Path, test: Callable[[DiskSpool], Awaitable[None]], count: Any = None, **changes: Any
) -> None:
    async def main() -> None:
        spool = DiskSpool(SpoolSettings(directory=str(place), **changes), count or Counted())
        await spool.open()
        async with asyncio.timeout(60):
            await test(spool)
        await spool.aclose()

    asyncio.run(main())


async def keep(spool: DiskSpool, *given: str, body: bytes = b"{}") -> list[bool]:
    """Whether each was kept; all of them come at once."""
    calls = [spool.keep([arrival(name, body=body)], SHOP) for name in given]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(answer is None or isinstance(answer, Unavailable) for answer in answers), answers
    return [answer is None for answer in answers]


def waiting(place: Path) -> dict[str, int]:
    return survey(place).requests


def test_what_comes_together_shares_a_commit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    add = Store.add

    def counting(self: Store, records: Sequence[Any]) -> None:
        commits.append(len(records))
        add(self, records)

    async def test(spool: DiskSpool) -> None:
        assert all(await keep(spool, *map(str, range(200))))

    monkeypatch.setattr(Store, "add", counting)
    with_spool(place, test)
    assert (sum(commits), len(commits)) == (200, 1)
    assert waiting(place) == {"shop": 200}


def test_beyond_its_bounds_nothing_is_kept_and_it_says_so(place: Path) -> None:
    counted = Counted()

    async def test(spool: DiskSpool) -> None:
        assert await keep(spool, "a", "b", "c") == [True, True, False]
        assert not spool.takes_writes
        assert spool.store
        spool.store.remove([1])
        await spool.open()
        assert spool.takes_writes
        assert await keep(spool, "d", "e") == [True, False]

    with_spool(place, test, counted, max_events=2)
    assert counted.counts == {"shop kept": 3, "shop full": 2}


@pytest.mark.parametrize("bound", ["max_bytes", "keep_free"])
def test_bytes_are_bounded_by_what_is_kept_and_by_what_is_free(
    place: Path, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(spool: DiskSpool) -> None:
        assert await keep(spool, "a", "b", "c", body=b"x" * 4000) == [True, True, False]
        assert await keep(spool, "small") == [True]

    if bound == "max_bytes":
        with_spool(place, test, max_bytes=10_000)
    else:
        monkeypatch.setattr("gateway.adapters.spool.spool.free_bytes", lambda _: 20_000)
        with_spool(place, test, keep_free=10_000)


def test_the_event_loop_goes_on_and_who_gives_up_waits_no_longer_while_the_disk_hangs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    async def test(spool: DiskSpool) -> None:
        assert spool.store
        add = spool.store.add
        monkeypatch.setattr(Store, "add", lambda _, records: (go_on.wait(5), add(records)))
        first = asyncio.create_task(spool.keep([arrival("1")], SHOP))
        while spool._writing_since is None:
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await spool.keep([arrival("2")], SHOP)
        monkeypatch.setattr("gateway.adapters.spool.spool.SLOW_SECONDS", 0.0)
        assert not spool.takes_writes
        monkeypatch.undo()
        go_on.set()
        await first
        assert spool.takes_writes

    with_spool(place, test)
    assert waiting(place) == {"shop": 1}


def test_a_failing_disk_is_an_outcome_and_the_next_try_starts_from_what_it_has(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()

    async def test(spool: DiskSpool) -> None:
        assert await keep(spool, "1") == [True]
        with monkeypatch.context() as patched:
            patched.setattr(Store, "add", failing)
            assert await keep(spool, "2", "3") == [False, False]
            assert not spool.takes_writes
        await spool.open()
        assert await keep(spool, "4") == [True]
        assert spool.store
        assert names(spool.store) == ["1", "4"]

    with capture_logs() as lines:
        with_spool(place, test, counted)
    assert counted.counts == {"shop kept": 2, "shop failed": 2}
    assert [line["error"] for line in lines if line["event"] == "spool.failed"] == ["OperationalError"]


def failing(_: Store, records: Sequence[Any]) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def test_a_place_that_cannot_be_used_is_told_once_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()

    async def test(spool: DiskSpool) -> None:
        await spool.open()
        assert not spool.takes_writes
        assert await keep(spool, "1") == [False]
        (tmp_path / "spool").unlink()
        await spool.open()
        assert await keep(spool, "1") == [True]

    with capture_logs() as lines:
        with_spool(tmp_path / "spool", test)
    assert [line["event"] for line in lines].count("spool.unusable") == 1


def test_after_a_failure_requests_do_not_wait_for_redis_for_a_moment(place: Path) -> None:
    now = 100.0
    spool = DiskSpool(SpoolSettings(directory=str(place)), Counted(), lambda: now)

    async def test() -> None:
        nonlocal now
        spool.note(answered=False)
        assert not spool.away, "it is not open: nothing else would take them"
        await spool.open()
        assert spool.away
        spool.note(answered=True)
        assert not spool.away
        spool.note(answered=False)
        now += AWAY_SECONDS
        assert not spool.away
        await spool.aclose()

    asyncio.run(test())


def test_it_touches_no_disk_before_it_is_opened(place: Path) -> None:
    spool = DiskSpool(SpoolSettings(directory=str(place)))
    assert not spool.away
    asyncio.run(spool.aclose())
    assert not place.exists()


# Slots


def test_each_process_has_a_file_of_its_own_and_the_next_one_takes_over_the_first_free(
    place: Path,
) -> None:
    first, second = claim(place), claim(place)
    assert [slot.path.name for slot in (first, second)] == ["0.db", "1.db"]
    first.release()
    assert claim(place).path == first.path


def test_files_that_are_left_behind_belong_to_whoever_asks_first(place: Path) -> None:
    slot = claim(place)
    store = Store(slot.path)
    store.add([record("1")])
    assert orphans(place) == []
    store.abandon()
    slot.release()
    (found,) = orphans(place)
    assert found.path == slot.path
    assert orphans(place) == []
    found.release()


def test_a_lock_that_nobody_holds_and_nothing_beside_it_is_no_orphan(place: Path) -> None:
    claim(place).release()
    assert orphans(place) == []
    assert [path.name for path in place.iterdir()] == ["0.lock"]


def test_no_more_slots_than_there_may_be(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST_SLOTS", 1)
    claim(place)
    with pytest.raises(OSError, match="1 files in use"):
        claim(place)


def test_a_place_that_could_be_made_has_no_problem_and_is_not_made(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "a" / "b") == ""
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert "is no directory" in problem_of(tmp_path / "file" / "b")
