"""`run = "append"`: one line of JSON an event, on the disk before the delivery is done.

Any number of threads and processes may append to one file. An event that runs twice stands there
twice, with the same `key`.
"""

import base64
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.core.builtin import Append
from gateway.plugins import Event

MODE: Final = 0o640  # bodies are nobody's business


class AppendFailed(Exception):  # noqa: N818 - an outcome
    """The line is not in the file. The message tells the file and what the system said."""


def append_to(work: Append) -> Callable[[Event], None]:
    """A processor that writes a line to one file."""
    path = Path(work.file)

    def append(event: Event) -> None:
        try:
            write_line(path, line_of(event, work.headers))
        except OSError as error:
            raise AppendFailed(f"{path}: {error.strerror or type(error).__name__}") from None

    return append


def line_of(event: Event, headers: tuple[str, ...] = ()) -> bytes:
    """One JSON object: `payload` where the body is JSON, as it was sent, else `body` in base64."""
    facts = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "key": event.idempotency_key,
        "received_at": event.received_at.isoformat(timespec="milliseconds"),
        "headers": {name: event.headers[name] for name in headers if name in event.headers},
    }
    text = json_in_a_line(event.body)
    if text is not None:
        return f'{json.dumps(facts)[:-1]}, "payload": {text}}}\n'.encode()
    return json.dumps(facts | {"body": base64.b64encode(event.body).decode()}).encode() + b"\n"


def json_in_a_line(body: bytes) -> str | None:
    """The JSON text without its line breaks, nothing else changed: not a digit of a number.

    None when it is no JSON. Between values a line break is but a blank, and inside texts is none.
    """
    try:
        text = body.decode()
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return text.replace("\n", " ").replace("\r", " ").strip()


def _refuse(word: str) -> Any:
    """Python reads NaN and Infinity; nobody else does."""
    raise ValueError(f"{word} is no JSON")


def write_line(path: Path, line: bytes) -> None:
    """The whole line, fsynced, or nothing of it. Raises OSError."""
    with _locked(path) as file:
        size = os.fstat(file).st_size
        try:
            _write_all(file, line if _is_whole(file, size) else b"\n" + line)
            os.fsync(file)
            if size == 0:
                _sync_directory(path.parent)
        except (
            BaseException
        ):  # the time limit's, too: what is not told done must not stand there by half
            os.ftruncate(file, size)
            raise


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, ours alone. It may have been moved away while we waited: then it is the new one."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):
                continue
            yield file
            return
        finally:
            os.close(file)  # and the lock is gone


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _is_whole(file: int, size: int) -> bool:
    """Whether the last line has its end: who wrote it may have died over it."""
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"


def _write_all(file: int, data: bytes) -> None:
    """One write, unless the disk takes less: then the next one says why."""
    while data:
        data = data[os.write(file, data) :]


def _sync_directory(directory: Path) -> None:
    """A new file's name must last as well."""
    place = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)
