"""Where the examples leave their results: `journal.sqlite3`, and text files beside it.

It stands for the database and the services of a real deployment, and does what those must: what
has a key is done once, however often a processor runs. Safe in threads and processes.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

LOCK_SECONDS: Final = 30.0
TABLE: Final = """CREATE TABLE IF NOT EXISTS entries (
    kind TEXT, key TEXT, facts TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (kind, key))"""


def record(kind: str, key: str, **facts: Any) -> bool:
    """Keeps `facts` (as JSON) under `key`; False when an earlier run did, and then changes nothing."""
    with _database() as database:
        return _insert(database, kind, key, facts)


def knows(kind: str, key: str) -> bool:
    """Whether something of this kind was recorded under `key`."""
    with _database() as database:
        found = database.execute("SELECT 1 FROM entries WHERE kind = ? AND key = ?", (kind, key))
        return found.fetchone() is not None


def entries(kind: str) -> list[dict[str, Any]]:
    """The facts of all records of a kind, oldest first."""
    with _database() as database:
        rows = database.execute("SELECT facts FROM entries WHERE kind = ? ORDER BY rowid", (kind,))
        return [json.loads(facts) for (facts,) in rows]


def append(name: str, key: str, text: str) -> None:
    """Adds `text` to the file `name`, once per key.

    The key is committed after the write: a process that dies between the two leaves the text
    twice rather than never. An effect outside the database that keeps the keys has no better.
    """
    with _database() as database:
        if _insert(database, name, key, {}):
            _write(directory() / name, text)


def _insert(database: sqlite3.Connection, kind: str, key: str, facts: dict[str, Any]) -> bool:
    done = database.execute(
        "INSERT OR IGNORE INTO entries (kind, key, facts) VALUES (?, ?, ?)",
        (kind, key, json.dumps(facts)),
    )
    return done.rowcount == 1


def _write(path: Path, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, text.encode())  # one call: lines of several writers never mix
        os.fsync(file)  # once the processor has returned, nobody runs it again
    finally:
        os.close(file)


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    # One connection a call: processors run in many threads, a connection belongs to one.
    path = directory() / "journal.sqlite3"
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS)) as database:
        database.execute(TABLE)
        with database:  # commits, or rolls back when the effect failed
            yield database


def directory() -> Path:
    path = Path(os.environ.get("HOOKLINE_JOURNAL_DIR", ".hookline/journal"))
    path.mkdir(parents=True, exist_ok=True)
    return path
