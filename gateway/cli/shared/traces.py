"""A recorded traceback for somebody at a terminal: the author's frames, and how it ended."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.process import INSTALLED, LIBRARY

FRAME: Final = re.compile(r'\s*File "(?P<file>.*)", line (?P<line>\d+), in (?P<name>.*)')
HEAD: Final = "Traceback (most recent call last):"
MOST_LINES: Final = 24


def shortened_trace(trace: str, here: Path) -> list[str]:
    """At most 24 lines. Frames of libraries are counted, not shown; paths below `here` are relative."""
    lines = list(_lines(trace, f"{here}/"))
    if len(lines) <= MOST_LINES:
        return lines
    half = MOST_LINES // 2
    return [*lines[:half], f"... {len(lines) - 2 * half + 1} lines", *lines[-half + 1 :]]


def _lines(trace: str, here: str) -> Iterator[str]:
    skipped, inside = 0, False
    for line in trace.splitlines():
        frame = FRAME.match(line)
        if frame:
            inside = _is_library(frame["file"])
            skipped += inside
        if line == HEAD or not line.strip(" ~^") or (inside and line.startswith("  ")):
            continue
        inside = False
        if skipped:
            yield f"... {skipped} {'frame' if skipped == 1 else 'frames'} in libraries"
            skipped = 0
        yield _place(frame, here) if frame else line.removeprefix("  ")
    if skipped:
        yield f"... {skipped} in libraries"


def _place(frame: "re.Match[str]", here: str) -> str:
    return f"{frame['file'].removeprefix(here)}:{frame['line']} in {frame['name']}"


def _is_library(file: str) -> bool:
    return file.startswith((LIBRARY, "<frozen")) or any(part in file for part in INSTALLED)
