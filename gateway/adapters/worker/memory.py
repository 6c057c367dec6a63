"""How much memory this worker uses, and which processors it has run meanwhile.

Nobody can tell whose memory leaks inside one process: what has been run since the start is the list of
suspects, and starting anew is what helps at once.
"""

import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from gateway.logs import logger
from gateway.units import size_text

STATM: Final = Path("/proc/self/statm")
MOST_NAMED: Final = 10


def resident_bytes() -> int:
    """Of this process, now. Where the system only tells the most so far (macOS), that."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


class MemoryLimit:
    """`limit` in bytes; None: there is none."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._runs: Counter[str] = Counter()
        self._told = False

    def note_run(self, processor: str) -> None:
        self._runs[processor] += 1

    def exceeded(self) -> bool:
        """Whether to start anew. Says why, once; a worker that has run nothing would win nothing."""
        if self._limit is None or self._told or (used := resident_bytes()) <= self._limit:
            return False
        self._told = True
        facts = {"memory": size_text(used), "limit": size_text(self._limit)}
        if not self._runs:
            logger().warning("worker.memory_limit_too_low", **facts)
            return False
        runs = " ".join(f"{name}={count}" for name, count in self._runs.most_common(MOST_NAMED))
        logger().error("worker.memory_exceeded", **facts, runs=runs)
        return True
