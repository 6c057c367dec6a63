"""A file of kept requests: whatever happens to it, what was acknowledged is there, or it says so."""

import json
import os
import random
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.spool import damage
from gateway.adapters.spool.looking import look
from gateway.adapters.spool.records import RecordError, pack, unpack
from gateway.adapters.spool.store import Store
from gateway.core.event import Arrival, Event
from tests.adapters.spool_rig import after_a_crash, arrival, names, quick_directory, record

PRAGMAS = ("synchronous", "journal_mode", "fullfsync")
BIG = 3000  # bytes; a page of these files has 512
SMALL_PAGES = 512


@pytest.fixture
def place() -> Iterator[Path]:
    with quick_directory() as found:
        yield found


def small_pages(path: Path) -> Path:
    """So that a small file has many."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {SMALL_PAGES}")
        db.execute("VACUUM")
    return path


# What is written is what is read

texts = st.text(max_size=20)
raw = st.binary(max_size=40)
headers = st.lists(st.tuples(raw, raw), max_size=4).map(tuple)
events = st.builds(
    Event,
    id=texts,
    source=st.just("shop"),
    type=texts,
    provider_id=texts,
    headers=headers,
    body=raw,
    received_at=st.floats(0, 4e9),
    proof=raw,
)
arrivals = st.builds(Arrival, events, st.lists(texts, max_size=3).map(tuple))


@given(st.lists(arrivals, min_size=1, max_size=4))
def test_a_record_is_read_as_it_was_written(given: list[Arrival]) -> None:
    found = pack(given, "shop")
    assert unpack("shop", found.head, found.bodies, found.digest) == tuple(given)


@given(st.lists(arrivals, min_size=1, max_size=2), st.data())
def test_any_change_of_a_record_is_noticed(given: list[Arrival], data: st.DataObject) -> None:
    found = pack(given, "shop")
    whole = bytearray(found.head + found.bodies + found.digest)
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = len(found.head), len(found.head) + len(found.bodies)
    changed = bytes(whole[: cut[0]]), bytes(whole[cut[0] : cut[1]]), bytes(whole[cut[1] :])
    for columns in (("shop", *changed), ("shoq", found.head, found.bodies, found.digest)):
        with pytest.raises(RecordError):
            unpack(*columns)


def test_a_record_of_a_later_version_is_not_guessed_at() -> None:
    found = pack([arrival("1")], "shop")
    head = json.dumps({**json.loads(found.head), "format": 2}).encode()
    odd = replace(found, head=head)
    with pytest.raises(RecordError):
        unpack("shop", head, odd.bodies, odd.digest)


def test_the_oldest_come_first_of_the_sources_that_are_asked_for(place: Path) -> None:
    with Store(place / "0.db") as store:
        store.add([record("1"), record("2", "other"), record("3")])
        store.add([record("4")])
        assert names(store) == ["1", "3", "4"]
        assert names(store, "shop", "other") == ["1", "2", "3", "4"]
        assert [each.number for each in store.oldest(("shop",), 2, skip={1})] == [3, 4]
        assert store.oldest((), 9) == []
        store.remove([1, 3])
        assert (names(store), store.many) == (["4"], 2)
        store.remove([2, 4])
        assert (names(store), store.many, store.size) == ([], 0, 0)


def test_at_most_a_megabyte_is_read_at_once_but_one_record_always(place: Path) -> None:
    with Store(place / "0.db") as store:
        store.add([record(str(number), body=b"x" * 700_000) for number in range(3)])
        store.add([record("3", body=b"x" * 2_000_000)])
        assert names(store) == ["0"]
        store.remove([1, 2, 3])
        assert names(store) == ["3"]


def test_nobody_else_may_read_it_and_an_empty_file_is_removed(place: Path) -> None:
    store = Store(place / "0.db")
    store.add([record("1")])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert modes == {0o600}
    store.remove([1])
    store.close()
    assert list(place.iterdir()) == []


def test_what_was_large_is_small_again_once_it_is_empty(place: Path) -> None:
    with Store(place / "0.db") as store:
        store.add([record(str(each), body=os.urandom(100_000)) for each in range(40)])
        store.remove(range(1, 41))
        store.add([record("one more")])
        store.abandon()
        assert sum(path.stat().st_size for path in place.iterdir()) < 5_000_000
    with Store(place / "0.db") as store:
        assert names(store) == ["one more"]
        assert store.path.stat().st_size < 100_000


def test_a_look_at_a_file_in_use_or_left_behind_changes_nothing(place: Path) -> None:
    store = Store(place / "0.db")
    store.add([record("1", body=b"x" * 100), record("2", "other")])
    assert look(store.path).requests == {"other": 1, "shop": 1}
    left = after_a_crash(store.path, place / "crashed")
    before = {path.name: path.read_bytes() for path in damage.files_of(left)[:2]}
    found = look(left)
    assert (found.many, found.oldest, found.set_aside) == (2, 1_700_000_000.25, 0)
    assert {path.name: path.read_bytes() for path in damage.files_of(left)[:2]} == before
    store.abandon()


# Crashes


def test_each_commit_is_fsynced_before_it_returns(place: Path) -> None:
    """FULL, in the words of SQLite: a kill alone would not show the difference, a power cut would."""
    with Store(place / "0.db") as store:
        asked = [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS]
        assert asked == [2, "wal", 1]


def test_a_log_cut_anywhere_has_exactly_what_was_committed_before_the_cut(place: Path) -> None:
    """At every byte: what a power cut leaves of the last write."""
    store = Store(small_pages(place / "0.db"))
    log = damage.files_of(store.path)[1]
    ends = [(log.stat().st_size, [""][:0])]
    for number in range(3):
        store.add([record(f"{number}a", body=b"x" * 200), record(f"{number}b")])
        ends.append((log.stat().st_size, names(store)))
    whole = log.read_bytes()
    step = 7  # and every byte where a commit ends
    cuts = {*range(ends[0][0], len(whole), step)}
    cuts |= {end + near for end, _ in ends for near in range(-9, 9) if ends[0][0] <= end + near}
    for cut in sorted(cuts):
        left = after_a_crash(store.path, place / "crashed")
        damage.files_of(left)[1].write_bytes(whole[:cut])
        found = Store(left)
        wanted = [found_names for end, found_names in ends if end <= cut][-1]
        assert (names(found), found.damage) == (wanted, None), cut
        found.abandon()
    store.abandon()


def test_a_crash_between_any_two_steps_leaves_a_request_whole_or_not_at_all(place: Path) -> None:
    """Copies of the files at every step of SQLite's: its progress handler is called between them."""
    store = Store(small_pages(place / "0.db"))
    store.add([record("0", body=b"x" * BIG)])
    found: list[tuple[list[str], list[str]]] = []
    acknowledged = ["0"]

    def crash() -> int:
        left = after_a_crash(store.path, place / "crashed")
        with Store(left) as after:
            found.append((list(acknowledged), names(after)))
        return 0

    store._db.set_progress_handler(crash, 5)
    store.add([record("1", body=b"x" * BIG), record("2")])
    acknowledged += ["1", "2"]
    crash()
    store.remove([1])
    store._db.set_progress_handler(None, 0)
    crash()
    assert len(found) > 10
    assert all(after in (["0"], ["0", "1", "2"], ["1", "2"]) for _, after in found)
    assert all(set(before) <= {"0", *after} for before, after in found)
    assert found[-1][1] == ["1", "2"]
    store.abandon()


WRITER = """
import sys
from pathlib import Path
from gateway.adapters.spool.store import Store
from tests.adapters.spool_rig import names, record

store = Store(Path(sys.argv[1]))
for number in range(1000000):
    store.add([record(f"{number}-{each}", body=b"x" * 1000) for each in range(4)])
    print(number, flush=True)
    if number % 3 == 2:
        store.remove([each.number for each in store.oldest(("shop",), 3)])
        print("removed", flush=True)
"""


@pytest.mark.parametrize("round_", range(12))
def test_a_killed_process_leaves_all_that_it_acknowledged(place: Path, round_: int) -> None:
    path = place / "0.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [
            process.stdout.readline().strip() for _ in range(5 + random.Random(round_).randrange(60))
        ]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().split()
    numbers = [int(line) for line in lines if line != "removed"]
    with Store(path) as store:
        left = names(store)
        gone = 3 * (lines.count("removed") + 1)  # the last one may have been told to nobody
        wanted = [f"{number}-{each}" for number in numbers for each in range(4)]
        assert set(wanted[gone:]) <= set(left)
        assert store.damage is None


# Disks


def test_a_full_disk_refuses_what_comes_and_keeps_what_it_has(place: Path) -> None:
    store = Store(place / "0.db")
    store.add([record("1")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(sqlite3.OperationalError):
            store.add([record("2", body=b"x" * 400_000)])
        assert (names(store), store.many) == (["1"], 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.add([record("3")])
    left = after_a_crash(store.path, place / "crashed")
    store.abandon()
    with Store(left) as after:
        assert names(after) == ["1", "3"]


def filled(path: Path, many: int = 30) -> dict[str, Any]:
    """A closed file; what is in it, by the provider's id."""
    store = Store(small_pages(path))
    given = {str(number): arrival(str(number), body=b"%d" % number * 300) for number in range(many)}
    for each in given.values():
        store.add([pack([each], "shop")])
    assert store.many == many
    store.close()
    return given


def read(store: Store) -> dict[str, Any]:
    found = store.oldest(("shop",), 1_000_000)
    return {each.event.provider_id: each for kept in found for each in kept.arrivals}


def told(store: Store) -> bool:
    """Whether it says that something is wrong: with the file, with a request, or with a source."""
    return bool(store.damage or store.totals().set_aside or set(store.totals().requests) - {"shop"})


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.integers(1, 255))
def test_a_changed_byte_loses_nothing_without_saying_so(seed: int, change: int) -> None:
    with quick_directory() as place:
        path = place / "0.db"
        given = filled(path)
        whole = bytearray(path.read_bytes())
        at = random.Random(seed).randrange(len(whole))
        whole[at] ^= change
        path.write_bytes(whole)
        store = Store(path)
        found = read(store)
        assert all(given[name] == each for name, each in found.items())
        assert len(found) == len(given) or told(store), at
        store.abandon()


def test_one_damaged_page_leaves_the_requests_on_the_others(place: Path) -> None:
    given = filled(place / "0.db", 100)
    whole = bytearray((place / "0.db").read_bytes())
    middle = len(whole) // 2 // SMALL_PAGES * SMALL_PAGES
    whole[middle : middle + SMALL_PAGES] = b"\xaa" * SMALL_PAGES
    (place / "0.db").write_bytes(whole)
    with Store(place / "0.db") as store:
        found = read(store)
        assert len(given) - 8 <= len(found) < len(given)
        assert told(store)


def test_a_corrupt_request_is_set_aside_and_holds_up_nobody(place: Path) -> None:
    with Store(place / "0.db") as store:
        store.add([record(each) for each in "123"])
        store._db.execute("UPDATE kept SET bodies = X'00' WHERE number = 2")
        assert names(store) == ["1", "3"]
        assert (store.many, store.totals().set_aside) == (2, 1)
        store.remove([1, 3])
    with Store(place / "0.db") as store:  # not removed: there is something in it
        assert (store.many, store.totals().set_aside) == (0, 1)


def test_a_file_that_is_no_database_is_put_aside_whole(place: Path) -> None:
    (place / "0.db").write_bytes(b"not a database" * 1000)
    with Store(place / "0.db") as store:
        assert store.damage
        assert store.damage.requests == 0
        assert store.damage.file.read_bytes() == b"not a database" * 1000
        store.add([record("1")])
        assert names(store) == ["1"]


def test_a_table_that_has_another_name_now_is_not_taken_for_a_missing_one(place: Path) -> None:
    filled(place / "0.db")
    whole = (place / "0.db").read_bytes()
    (place / "0.db").write_bytes(whole.replace(b"kept", b"kepu"))
    with Store(place / "0.db") as store:
        assert store.damage
        assert store.damage.file.read_bytes() == whole.replace(b"kept", b"kepu")


def test_what_lies_behind_a_damaged_byte_of_the_log_is_not_forgotten(place: Path) -> None:
    """SQLite itself ends at the first damaged frame, as if nothing had come after it."""
    store = Store(place / "0.db")
    for number in range(6):
        store.add([record(str(number), body=b"x" * 100)])
    left = after_a_crash(store.path, place / "crashed")
    log = damage.files_of(left)[1]
    whole = bytearray(log.read_bytes())
    end = len(whole)
    at = end - 4 * (4096 + 24) + 2000
    whole[at] ^= 0xFF
    log.write_bytes(whole)
    found = Store(left)
    assert found.damage
    assert found.damage.file.read_bytes() == bytes(whole)
    assert set(names(found)) >= {"0", "5"}
    assert {*names(found)} == {"0", "1", "2", "3", "4", "5"} or told(found)
    found.abandon()
    store.abandon()


def test_mending_that_a_crash_interrupts_is_finished_at_the_next_start(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(place / "0.db", 100)
    whole = bytearray((place / "0.db").read_bytes())
    whole[40 * SMALL_PAGES : 41 * SMALL_PAGES] = bytes(SMALL_PAGES)
    (place / "0.db").write_bytes(whole)
    with quick_directory() as other:
        for allowed in range(3):
            left = after_a_crash(place / "0.db", other)
            with monkeypatch.context() as patched:
                patched.setattr(Path, "rename", crashing(allowed))
                with pytest.raises(KeyboardInterrupt):
                    Store(left)
            with Store(left) as store:
                assert len(read(store)) > 90
            assert len(list(other.glob("*.damaged-*"))) == 1
            for path in other.iterdir():
                path.unlink()


def crashing(after: int) -> Callable[[Path, Path], Path]:
    """A rename that works so many times."""
    done: list[Path] = []

    def rename(self: Path, target: Path) -> Path:
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(self)
        os.rename(self, target)
        return target

    return rename
