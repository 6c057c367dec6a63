"""The flood guard: counts every request of one client address, in this process's memory, bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from limits import parse

MOST_ADDRESSES: Final = 65_536


class FloodGuard:
    """A fixed window for each address, of at most `most`; when full, the longest unseen is forgotten.

    The library's own counters in memory have no bound, and look through all keys at every hit: a flood
    from many addresses would make them the attack's best tool. `limit` is written as it reads one.
    `clock` gives seconds.
    """

    def __init__(
        self, limit: str, most: int = MOST_ADDRESSES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        item = parse(limit)
        self._amount = item.amount
        self._seconds = item.get_expiry()
        self._most = most
        self._clock = clock
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def hit(self, address: str) -> float | None:
        """None when within the limit, else seconds until it may be tried again."""
        now = self._clock()
        count, ends = self._windows.get(address, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + self._seconds
        self._windows[address] = (count + 1, ends)
        self._windows.move_to_end(address)
        if len(self._windows) > self._most:
            self._windows.popitem(last=False)
        return None if count < self._amount else max(1.0, ends - now)

    def __len__(self) -> int:
        """Addresses that are counted now."""
        return len(self._windows)
