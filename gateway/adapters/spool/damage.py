"""A store's file that is not as it was written: set aside whole, what can be read of it taken over.

SQLite notices a damaged page. In its log it takes the first damaged byte for the end, as after a power
cut, and would forget what was committed behind it; but a power cut leaves at most one commit that was
not finished.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.adapters.spool.frames import Frames
from gateway.adapters.spool.salvage import (
    ERRORS,
    TABLES,
    connect,
    insert,
    is_damage,
    is_whole,
    readable,
)


@dataclass(frozen=True, slots=True)
class Damage:
    """`file` is what was set aside; `requests`: how many readable ones were taken over from it."""

    file: Path
    requests: int


def files_of(path: Path) -> tuple[Path, Path, Path]:
    return path, Path(f"{path}-wal"), Path(f"{path}-shm")


def mend(path: Path, create: Callable[[Path], None], whole: frozenset[Any]) -> Damage | None:
    """None when nothing is wrong. `create` makes an empty store, whose schema is `whole`. Raises
    sqlite3.Error and OSError."""
    _finish(path)
    if not path.exists():
        return None
    log = files_of(path)[1]
    frames = Frames(log.read_bytes() if log.exists() else b"")
    try:
        with closing(connect(path)) as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if found == "ok" and (schema := schema_of(db)) and schema != whole:
                found = "another schema"
            valid = _valid(db)
            if found == "ok" and (valid is None or frames.commits_behind(valid) <= 1):
                return None
            if found == "ok":  # before it is closed: then its log goes
                aside = _aside(log)
                _write(aside, frames.raw)
    except ERRORS as error:
        if not is_damage(error):
            raise
        found = "damaged"
    if found == "ok" and valid is not None:
        return Damage(aside, _take_over_log(path, frames, valid))
    return _take_over_file(path, create)


def _valid(db: sqlite3.Connection) -> int | None:
    """How many frames of its log SQLite takes for sound; None: on a full disk that cannot be asked."""
    try:
        found = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        return None
    return int(found[1])


def _take_over_log(path: Path, frames: Frames, valid: int) -> int:
    """Adds to `path` the requests that only the damaged part of its log has."""
    draft = path.with_suffix(".draft")
    _remove(draft)
    draft.touch(mode=0o600)
    shutil.copyfile(path, draft)
    frames.apply(draft, valid)
    with closing(connect(path)) as db:
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
        rows = [row for row in readable(draft, "kept") if row[0] > last and is_whole(row)]
        db.execute("BEGIN IMMEDIATE")
        insert(db, "kept", rows)
        db.execute("COMMIT")
    _remove(draft)
    return len(rows)


def _take_over_file(path: Path, create: Callable[[Path], None]) -> Damage:
    """Makes a new file of what can be read of `path`; a crash half-way changes nothing, or is made
    good for at the next start."""
    draft = path.with_suffix(".draft")
    _remove(draft)
    create(draft)
    many = 0
    with closing(connect(draft)) as db:
        db.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            rows = readable(path, table)
            many += len(rows)
            insert(db, table, rows)
        db.execute("COMMIT")
    draft.rename(path.with_suffix(".mended"))
    return Damage(_finish(path) or path, many)


def _finish(path: Path) -> Path | None:
    """Where a mended file is ready, puts it in the place of the damaged one, and that one aside."""
    mended = path.with_suffix(".mended")
    if not mended.exists():
        return None
    aside = _aside(path)
    if path.exists():
        path.rename(aside)
    for each in files_of(path)[1:]:  # its log was read with it, and must never meet another file
        each.unlink(missing_ok=True)
    mended.rename(path)
    sync_directory(path.parent)
    return aside


def _aside(path: Path) -> Path:
    return Path(f"{path}.damaged-{time.time_ns()}")


def schema_of(db: sqlite3.Connection) -> frozenset[Any]:
    return frozenset(db.execute("SELECT name, sql FROM sqlite_master"))


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    for each in files_of(path):
        each.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """So that a new name outlives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
