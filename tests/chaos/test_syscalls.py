"""A slice of the faults at system calls; the whole of it: `scripts/chaos syscalls`."""

import asyncio
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos.sweep.campaign import a_workshop
from tests.chaos.syscalls import promise, server
from tests.chaos.syscalls.bench import Traced
from tests.chaos.syscalls.campaign import run_cases, spread
from tests.chaos.syscalls.case import FAULTS, Case, Subject, cases_at
from tests.chaos.syscalls.tracer import seen_in

# Of spool and server, whose disks the promise stands on, a kill and a disk that fails.
SLICE = (
    "spool/fdatasync#8/kill",
    "spool/pwrite64#20/ENOSPC",
    "server/fdatasync#9/kill",
    "server/fdatasync#12/EIO",
)


def _can_trace() -> bool:
    return bool(shutil.which("strace")) and not subprocess.call(["strace", "-o", "/dev/null", "true"])


needs_strace = pytest.mark.skipif(not _can_trace(), reason="strace is not here, or may not trace")


@needs_strace
def test_no_fault_at_a_system_call_loses_anything_and_every_answer_follows_its_sync() -> None:
    async def run() -> None:
        async with a_workshop() as workshop:
            for tally in await run_cases(workshop, [Case.parse(name) for name in SLICE]):
                assert tally.sums["came"] == tally.sums["cases"], str(tally)
                assert not tally.faults, str(tally)
            async with Traced(workshop, None, away=True) as bench:
                spooled = await promise.one_after_the_other(bench)
        assert promise.synced_in(promise.SPOOL, spooled) >= promise.REQUESTS
        assert not list(promise.too_early(promise.SPOOL, spooled))

    asyncio.run(run())


@needs_strace
def test_the_server_answers_when_its_file_is_synced() -> None:
    with TemporaryDirectory(prefix="hookline-") as place:
        outcome, tracer = server.attempt(Path(place), None)
        trace = tracer.text()
    assert not outcome.faults
    assert promise.synced_in(promise.SERVER, trace) >= 3 * server.ROUNDS
    assert not list(promise.too_early(promise.SERVER, trace))


TRACE = """\
7 pwrite64(18</spool/0.db-wal>, "x", 1, 0) = 1
8 write(4<socket:[1]>, "HTTP/1.1 503 "..., 9) = 9
7 fdatasync(18</spool/0.db-wal> <unfinished ...>
8 read(4<socket:[1]>, "", 1) = 0
7 <... fdatasync resumed>)  = 0
8 write(4<socket:[1]>, "HTTP/1.1 200 "..., 9) = 9
"""


def test_an_answer_before_its_sync_is_noticed() -> None:
    assert not list(promise.too_early(promise.SPOOL, TRACE))
    unsynced = "".join(line for line in TRACE.splitlines(True) if "resumed" not in line)
    assert len(list(promise.too_early(promise.SPOOL, unsynced))) == 1
    failed = TRACE.replace("resumed>)  = 0", "resumed>)  = -1 EIO")
    assert len(list(promise.too_early(promise.SPOOL, failed))) == 1


def test_calls_are_counted_by_the_busiest_thread() -> None:
    assert seen_in(TRACE) == Counter(write=2, pwrite64=1, fdatasync=1, read=1)


def test_a_case_has_a_name_that_says_it() -> None:
    case = Case(Subject.SPOOL, "fdatasync", 3, "EIO")
    assert (str(case), Case.parse(str(case))) == ("spool/fdatasync#3/EIO", case)
    for nonsense in (
        "nonsense",
        "spool/fdatasync#3/EPERM",
        "nobody/write#1/kill",
        "spool/write#x/kill",
    ):
        with pytest.raises(ValueError, match=r".+"):
            Case.parse(nonsense)


def test_a_sample_has_each_call_and_fault_before_a_second_of_any() -> None:
    cases = list(cases_at(Subject.WORKER, Counter(write=9, fsync=5)))
    assert len(cases) == len(set(cases)) == 9 * len(FAULTS["write"]) + 5 * len(FAULTS["fsync"])
    chosen = spread(cases, 6, random.Random(1))
    assert chosen == spread(cases, 6, random.Random(1))
    assert len({(case.call, case.fault) for case in chosen}) == 6


def test_a_manifest_whose_base_is_missing_is_mended_from_what_is_there(tmp_path: Path) -> None:
    lines = ["3.base.rdb seq 3 type b", "2.incr.aof seq 2 type h", "2.base.rdb seq 2 type h"]
    lines.append("3.incr.aof seq 3 type i")
    manifest = tmp_path / "appendonly.aof.manifest"
    manifest.write_text("".join(f"file {line}\n" for line in lines))
    for name in ("2.incr.aof", "2.base.rdb", "3.incr.aof"):
        (tmp_path / name).touch()
    assert server.mended(tmp_path)
    assert manifest.read_text().splitlines() == [
        "file 2.base.rdb seq 2 type b",
        "file 2.incr.aof seq 2 type i",
        "file 3.incr.aof seq 3 type i",
    ]
    assert not server.mended(tmp_path)
