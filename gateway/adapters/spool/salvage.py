"""What can still be read of a damaged file, row by row."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from gateway.adapters.spool.records import BAD_RECORD, unpack

# SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_NOTADB. The first is of our constant queries: the file is wrong.
CORRUPT: Final = {1, 11, 26}
ERRORS: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
TABLES: Final = ("kept", "set_aside")
ROW: Final = "SELECT number, source, received_at, size, digest, head, bodies FROM "
AT: Final = {table: f"{ROW}{table} WHERE number = ?" for table in TABLES}
AFTER: Final = {table: f"{ROW}{table} WHERE number > ? ORDER BY number LIMIT 1" for table in TABLES}
BEFORE: Final = {
    table: f"{ROW}{table} WHERE number < ? ORDER BY number DESC LIMIT 1" for table in TABLES
}
INSERT: Final = {
    "kept": "INSERT OR IGNORE INTO kept VALUES (?, ?, ?, ?, ?, ?, ?)",
    "set_aside": "INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?)",
}
MOST_GUESSED: Final = 200_000  # numbers tried where it cannot be read which there are
LEAST_ROW: Final = 128  # bytes: no more rows than that are in a file
END: Final = 1 << 62


def is_damage(error: Exception) -> bool:
    """Rather than a full or failing disk."""
    if isinstance(error, UnicodeDecodeError):  # of SQLite's words about it
        return True
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPT


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.text_factory = lambda text: text.decode("utf-8", "replace")
    return db


def readable(path: Path, table: str) -> list[Any]:
    """Each row that can be read: from both ends to the first damaged page, and in between by number."""
    try:
        with closing(connect(path)) as db:
            db.execute("SELECT count(*) FROM sqlite_master")  # else not even one number need be tried
            first, low = _walk(db, AFTER[table], 0)
            last, high = _walk(db, BEFORE[table], END)
            most = path.stat().st_size // LEAST_ROW
            between = range(low + 1, high if high < END else low + 1 + most)
            rows = {row[0]: row for row in (*first, *last)}
            for number in between[: min(most, MOST_GUESSED)]:
                if number not in rows and (row := _ask(db, AT[table], number)):
                    rows[number] = row
            return list(rows.values())
    except ERRORS as error:  # not even its first page can be read
        if not is_damage(error):
            raise
    return []


def _walk(db: sqlite3.Connection, query: str, number: int) -> tuple[list[Any], int]:
    """The rows from there on until the end, or until one that cannot be read; and the last number."""
    rows: list[Any] = []
    seen = {number}
    while (row := _ask(db, query, number)) and row[0] not in seen:  # damage may lead in a circle
        rows.append(row)
        number = row[0]
        seen.add(number)
    return rows, number


def _ask(db: sqlite3.Connection, query: str, number: int) -> Any:
    try:
        return db.execute(query, (number,)).fetchone()
    except ERRORS:
        return None


def insert(db: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    db.executemany(INSERT[table], rows)


def is_whole(row: Any) -> bool:
    _, source, _, _, digest, head, bodies = row
    try:
        unpack(source, head, bodies, digest)
    except BAD_RECORD:
        return False
    return True
