"""Which files have changed, by looking at their times: no library, and no file system's help."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".py", ".toml")
Snapshot = Mapping[Path, tuple[int, int]]  # a file's time in nanoseconds, and its size


def snapshot(folders: Sequence[Path]) -> Snapshot:
    """Every module and configuration file below, none that is hidden. A folder may be missing."""
    found: dict[Path, tuple[int, int]] = {}
    for path in (each for folder in folders for each in _files(folder)):
        try:
            facts = path.stat()
        except OSError:  # gone meanwhile, or an editor's broken link
            continue
        found[path] = (facts.st_mtime_ns, facts.st_size)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith((".", "__pycache__"))]
        yield from (
            Path(place, name) for name in names if name.endswith(SUFFIXES) and not name.startswith(".")
        )


def differing(before: Snapshot, after: Snapshot) -> tuple[Path, ...]:
    """What is new, gone or changed."""
    paths = before.keys() | after.keys()
    return tuple(sorted(path for path in paths if before.get(path) != after.get(path)))


class Watch:
    """Ask a few times a second. A change is told once the files have kept still for one look:
    an editor may write a file in several steps, and a checkout writes many."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._told = self._last = snapshot(folders)

    def changed(self) -> tuple[Path, ...]:
        now = snapshot(self._folders)
        still, self._last = now == self._last, now
        if not still:
            return ()
        found, self._told = differing(self._told, now), now
        return found
