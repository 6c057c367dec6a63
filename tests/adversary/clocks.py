"""What a clock tells: two ways of asking, timed one after the other, again and again.

In turns, so that whatever slows the machine down slows both; the slowest fifth of each is left out.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

KEPT: Final = 0.8
SURE: Final = 4.5  # of Welch's t, as those ask who look for leaks in cryptography


@dataclass(frozen=True, slots=True)
class Comparison:
    """Times in microseconds, of those that were kept. `t`: the difference against its own noise."""

    first: float
    second: float
    t: float
    samples: int

    @property
    def difference(self) -> float:
        return self.second - self.first

    @property
    def tells(self) -> bool:
        """Whether more samples would only make it surer."""
        return abs(self.t) > SURE


def compared(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Of times in seconds, by Yuen's test: Welch's for means that leave out the ends."""
    means = statistics.fmean(_kept(first)), statistics.fmean(_kept(second))
    noise = math.sqrt(_noise(first) + _noise(second))
    t = (means[1] - means[0]) / noise if noise else 0.0
    return Comparison(means[0] * 1e6, means[1] * 1e6, t, len(first))


def timed(first: Callable[[], object], second: Callable[[], object], many: int) -> Comparison:
    """`many` of each; which of the two goes first alternates."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * many):
        which = (number + number // 2) % 2
        began = time.perf_counter()
        (first, second)[which]()
        times[which].append(time.perf_counter() - began)
    return compared(*times)


def _kept(times: Sequence[float]) -> list[float]:
    return sorted(times)[: max(2, int(len(times) * KEPT))]


def _noise(times: Sequence[float]) -> float:
    """The squared error of that mean: what is left out counts as the slowest that is kept."""
    kept = _kept(times)
    winsorized = kept + [kept[-1]] * (len(times) - len(kept))
    return statistics.variance(winsorized) * (len(times) - 1) / (len(kept) * (len(kept) - 1))
