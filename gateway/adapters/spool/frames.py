"""The bytes of SQLite's write-ahead log, for what SQLite itself does not read of a damaged one.

A frame is one page with a head: its number, the size of the database where it ends a commit (else 0),
and two salts that are those of the log's head for as long as the frame is not spent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WAL_HEAD: Final = 32
FRAME_HEAD: Final = 24
MOST_PAGES: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Frames:
    """The bytes of a write-ahead log: frames of one page each, of which some end a commit."""

    raw: bytes

    @property
    def page(self) -> int:
        return int.from_bytes(self.raw[8:12], "big")

    def commits_behind(self, valid: int) -> int:
        """How many commits stand behind the first so many frames, damaged or not."""
        return sum(1 for at in self._current(valid) if self._ends_commit(at))

    def apply(self, path: Path, valid: int) -> None:
        """Writes the pages behind the first `valid` frames into a copy of the database."""
        found = list(self._current(max(0, valid)))
        with path.open("r+b") as file:
            for at in found:
                number = int.from_bytes(self.raw[at : at + 4], "big")
                if 0 < number <= MOST_PAGES:
                    file.seek((number - 1) * self.page)
                    file.write(self.raw[at + FRAME_HEAD : at + FRAME_HEAD + self.page])

    def _current(self, valid: int) -> Iterator[int]:
        """Where the frames of this log's generation begin: older ones, behind them, are spent."""
        if len(self.raw) < WAL_HEAD or not 512 <= self.page <= 65536:
            return
        salts = self.raw[16:24]
        step = FRAME_HEAD + self.page
        for at in range(WAL_HEAD + max(0, valid) * step, len(self.raw) - step + 1, step):
            if self.raw[at + 8 : at + 16] == salts:
                yield at

    def _ends_commit(self, at: int) -> bool:
        return self.raw[at + 4 : at + 8] != b"\0\0\0\0"
