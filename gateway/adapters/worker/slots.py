"""How many deliveries to take from which queue, so that sources do not starve each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

RESERVED: Final = 4  # one slot in so many is not for queues that have their share already
LAST: Final = 8  # and of one in so many, each that runs nothing may have one


class Slots:
    """`caps`: how many deliveries of a queue may run at once, where that is limited.

    `chance` says who gets the few slots of a full worker.

    A queue that runs its share or more leaves a quarter of all slots to the others. Those that run
    less leave slots for those that run nothing: one each, at most an eighth of all. So however long a
    source's deliveries take, another's begin at once, also where it has several at a time.
    """

    def __init__(self, concurrency: int, caps: Mapping[str, int], chance: Random) -> None:
        self._concurrency = concurrency
        self._caps = caps
        self._chance = chance

    def open(self, queues: Sequence[str], running: Counter[str]) -> list[str]:
        """Queues of which one more may run."""
        return [queue for queue in queues if self._room(queue, queues, running) > 0]

    def shares(self, queues: Sequence[str], running: Counter[str]) -> dict[str, int]:
        """How many to take of each now.

        About half of all slots at a time: while those run, the server leases the next ones.
        """
        taken = running.copy()
        most = min(self._concurrency - running.total(), (self._concurrency + 1) // 2)
        fair = max(1, most // max(1, len(queues)))
        for queue in self._chance.sample(queues, k=len(queues)):
            taken[queue] += max(0, min(fair, self._room(queue, queues, taken)))
        return dict(taken - running)

    def _room(self, queue: str, queues: Sequence[str], running: Counter[str]) -> int:
        free = self._concurrency - running.total()
        share = self._concurrency // max(1, len(queues))
        last = self._left_to_idle(queue, queues, running)
        quarter = self._concurrency // RESERVED if len(queues) > 1 else 0
        # Up to its share a queue may fill the quarter, beyond it not.
        room = max(free - max(last, quarter), min(free - last, share - running[queue]))
        if not running[queue]:
            room = min(free, max(1, room))  # what the others leave free is meant for it
        return min(room, self._caps.get(queue, self._concurrency) - running[queue])

    def _left_to_idle(self, queue: str, queues: Sequence[str], running: Counter[str]) -> int:
        idle = sum(1 for other in queues if other != queue and not running[other])
        return min(idle, self._concurrency // LAST)
