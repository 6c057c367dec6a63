"""The spool's directory: one file for each gateway process, taken by whoever holds its lock.

`N.lock` is a flock: it ends with its process, however that dies, and the next one that starts, or any
that runs, takes over what is in `N.db`. Lock files are never removed: two processes could then hold
two files of one name.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from gateway.adapters.spool import damage
from gateway.adapters.spool.looking import Totals, look
from gateway.adapters.spool.salvage import ERRORS

MOST_SLOTS: Final = 1024


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one process's file, whose lock we hold."""

    path: Path
    lock: int

    def release(self) -> None:
        os.close(self.lock)


@dataclass(frozen=True, slots=True)
class FileState:
    """What is known of one file; `totals` None: it could not be read. `used`: a process has it open."""

    path: Path
    used: bool
    totals: Totals | None


@dataclass(frozen=True, slots=True)
class State:
    """The whole directory. `damaged`: files that were set aside."""

    files: tuple[FileState, ...] = ()
    damaged: tuple[Path, ...] = ()

    @property
    def requests(self) -> dict[str, int]:
        """By source."""
        found: Counter[str] = Counter()
        for totals in self._totals:
            found.update(totals.requests)
        return dict(found)

    @property
    def size(self) -> int:
        return sum(totals.size for totals in self._totals)

    @property
    def oldest(self) -> float | None:
        return min((each.oldest for each in self._totals if each.oldest is not None), default=None)

    @property
    def set_aside(self) -> int:
        """Corrupt requests, and files that were damaged or cannot be read."""
        unreadable = sum(1 for each in self.files if each.totals is None)
        return sum(each.set_aside for each in self._totals) + len(self.damaged) + unreadable

    @property
    def _totals(self) -> list[Totals]:
        return [each.totals for each in self.files if each.totals]


def survey(directory: Path) -> State:
    """What is there now, without changing any of it."""
    files = []
    for path in _files(directory):
        try:
            totals = look(path)
        except ERRORS:
            if not path.exists():  # drained meanwhile
                continue
            totals = None
        files.append(FileState(path, _is_used(path), totals))
    return State(tuple(files), tuple(sorted(directory.glob("*.db*.damaged-*"))))


def claim(directory: Path) -> Slot:
    """The first free slot. Makes the directory. Raises OSError."""
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        damage.sync_directory(directory.parent)
    for number in count():
        if number == MOST_SLOTS:
            raise OSError(f"{directory} has {MOST_SLOTS} files in use")
        if slot := _take(directory / f"{number}.db"):
            return slot
    raise AssertionError


def orphans(directory: Path) -> list[Slot]:
    """Files with something in them that no process has. The caller has them now, and releases them."""
    slots = [slot for path in _files(directory) if (slot := _take(path))]
    for slot in slots:
        if not slot.path.exists():  # removed before we had it
            slot.release()
    return [slot for slot in slots if slot.path.exists()]


@contextmanager
def held(path: Path) -> Iterator[Slot | None]:
    """The slot of this file; None while another process has it."""
    slot = _take(path)
    try:
        yield slot
    finally:
        if slot:
            slot.release()


def problem_of(directory: Path) -> str:
    """Why it could not be used; empty when it could. Only looks: a check must make no directories."""
    place = directory.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is no directory"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} cannot be written to"
    return ""


def free_bytes(directory: Path) -> int:
    """What an ordinary user may still write there. Raises OSError."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def _files(directory: Path) -> list[Path]:
    """Also one whose mended form has not been put into its place yet."""
    found = {path.with_suffix(".db") for path in directory.glob("*.mended")} | {*directory.glob("*.db")}
    ours = [path for path in found if path.stem.isdigit()]
    return sorted(ours, key=lambda path: int(path.stem))


def _take(path: Path) -> Slot | None:
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return Slot(path, lock)


def _is_used(path: Path) -> bool:
    slot = _take(path)
    if slot:
        slot.release()
    return slot is None
