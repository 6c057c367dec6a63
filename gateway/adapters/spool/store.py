"""One file of kept requests: SQLite, which has been through more power cuts than a format of ours.

Its write-ahead log is fsynced at each commit; one commit is for as many requests as came together. Not
safe for several threads: whoever opens a store sees to it that one at a time uses it.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from gateway.adapters.spool import damage
from gateway.adapters.spool.looking import Kept, Totals, totals_of
from gateway.adapters.spool.records import BAD_RECORD, Packed, unpack

MOST_READ: Final = 1024 * 1024  # bytes at once; a longer record comes alone
BUSY_SECONDS: Final = 1.0
WORTH_SHRINKING: Final = 1024 * 1024
TABLE: Final = """(
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL, received_at REAL NOT NULL, size INTEGER NOT NULL,
    digest BLOB NOT NULL, head BLOB NOT NULL, bodies BLOB NOT NULL
)"""
TABLES: Final = ("kept", "set_aside")  # what waits, and what turned out to be corrupt
ADD: Final = (
    "INSERT INTO kept (source, received_at, size, digest, head, bodies) VALUES (?, ?, ?, ?, ?, ?)"
)
OLDEST: Final = (
    "SELECT number, size, source, head, bodies, digest FROM kept"
    " WHERE source IN (SELECT value FROM json_each(?)) ORDER BY number"
)
SET_ASIDE: Final = (
    "INSERT INTO set_aside (source, received_at, size, digest, head, bodies)"
    " SELECT source, received_at, size, digest, head, bodies FROM kept WHERE number = ?"
)


class Store:
    """An open file. Every method raises sqlite3.Error, and OSError; then nothing has happened."""

    def __init__(self, path: Path) -> None:
        """Opens it, or makes it, and has what a crash left in its log. What is damaged is set aside
        in a file beside it, and all that can be read of it taken over."""
        self.path = path
        self.damage = damage.mend(path, _create, _whole())
        _create(path)
        self._db = _connect(path)
        found = self._db.execute("SELECT count(*), total(size) FROM kept").fetchone()
        self.many, self.size = int(found[0]), int(found[1])
        self.corrupt = 0  # set aside by this process

    def add(self, records: Sequence[Packed]) -> None:
        """All are durable when this returns, in one fsync."""
        rows = [(e.source, e.received_at, e.size, e.digest, e.head, e.bodies) for e in records]
        with _transaction(self._db):
            self._db.executemany(ADD, rows)
        self.many += len(records)
        self.size += sum(each.size for each in records)

    def oldest(self, sources: Collection[str], most: int, skip: Collection[int] = ()) -> list[Kept]:
        """At most so many of these sources, the oldest first. What is corrupt is set aside."""
        rows = self._db.execute(OLDEST, (json.dumps(list(sources)),))
        found: list[Kept] = []
        corrupt: list[int] = []
        size = 0
        for number, weight, *columns in rows:
            if number in skip:
                continue
            size += weight if isinstance(weight, int) else 0
            if len(found) == most or (found and size > MOST_READ):
                break
            try:
                found.append(Kept(number, columns[0], unpack(*columns)))
            except BAD_RECORD:
                corrupt.append(number)
        rows.close()
        if corrupt:
            self._set_aside(corrupt)
        return found

    def remove(self, numbers: Collection[int]) -> None:
        """Of those that the ledger has."""
        with _transaction(self._db):
            gone = self._delete(numbers)
        self._forget(gone)
        if self.many == 0 and self.path.stat().st_size > WORTH_SHRINKING:
            self._db.execute("VACUUM")

    def totals(self) -> Totals:
        return totals_of(self._db)

    def close(self) -> None:
        """An empty file is removed: whoever finds one, finds something in it."""
        empty = self.many == 0 and not self._db.execute("SELECT 1 FROM set_aside LIMIT 1").fetchone()
        self._db.close()
        if empty:
            for path in damage.files_of(self.path):
                path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """After an error: what is on the disk is what counts."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_aside(self, numbers: Collection[int]) -> None:
        marks = [(number,) for number in numbers]
        with _transaction(self._db):
            self._db.executemany(SET_ASIDE, marks)
            gone = self._delete(numbers)
        self._forget(gone)
        self.corrupt += len(gone)

    def _delete(self, numbers: Collection[int]) -> list[int]:
        """The sizes of those that were there."""
        marks = [(number,) for number in numbers]
        query = "SELECT CAST(size AS INTEGER) FROM kept WHERE number = ?"
        found = [row[0] for mark in marks if (row := self._db.execute(query, mark).fetchone())]
        self._db.executemany("DELETE FROM kept WHERE number = ?", marks)
        return found

    def _forget(self, sizes: Collection[int]) -> None:
        self.many -= len(sizes)
        self.size = self.size - sum(sizes) if self.many else 0


class _transaction:  # noqa: N801 - reads as a word
    """Commit at the end of the block, or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _create(path: Path) -> None:
    """A whole file, or none: bodies are for nobody else's eyes."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(_connect(path)) as db, _transaction(db):
        _make_tables(db)
    damage.sync_directory(path.parent)


def _make_tables(db: sqlite3.Connection) -> None:
    for name in TABLES:
        db.execute(f"CREATE TABLE IF NOT EXISTS {name} {TABLE}")


@cache
def _whole() -> frozenset[Any]:
    """The schema as it is to be: one damaged byte of it would make a table another one."""
    with closing(sqlite3.connect(":memory:")) as db:
        _make_tables(db)
        return damage.schema_of(db)


def _connect(path: Path) -> sqlite3.Connection:
    # Used by one thread at a time, which need not be the one that opened it.
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.text_factory = lambda text: text.decode("utf-8", "replace")  # a damaged one must not stop us
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
            db.execute(f"PRAGMA {pragma}")
    except BaseException:
        db.close()
        raise
    return db
