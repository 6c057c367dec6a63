"""What the model knows at one moment: an event's two deliveries, RQ's queue, two workers, a sender.

Times are yes or no: whether a lease has ended, whether a delivery is to be looked at. `pass time` makes
all of them yes. Tuples, not dataclasses: they are compared and hashed millions of times.
"""

from typing import Any, Final, NamedTuple

Bell = tuple[int, int]
"""A job in RQ's queue: delivery (1 or 2) and look; look 0: a dead letter whose Requeue was pressed."""

OPEN: Final = ("pending", "blocked", "leased", "waiting")
MOST_CRASHES: Final = 3
ABANDON_AFTER: Final = 3
LONGEST_QUEUE: Final = 4  # of what a misfortune adds to
FORGOTTEN: Final = 9  # so many rings ago, or never: no longer in any queue


class Delivery(NamedTuple):
    """`since`: how many bells were rung after its last one. `born`: its fence when this life began.
    `waits`, `runs`, `ended` are not the ledger's: attempts that waited, runs of this life, the last
    fence under which an end was recorded."""

    state: str = "pending"
    attempts: int = 0
    crashes: int = 0
    own: int = 0
    fence: int = 0
    reason: str = ""
    ripe: bool = False  # the lease has ended, or the next attempt is due
    given_up: bool = False
    lonely: bool = False  # leased to the stock worker
    look: bool = False
    since: int = FORGOTTEN
    shown: bool = False  # among RQ's failed jobs
    job: str = ""  # the status of that job
    born: int = 0
    waits: int = 0
    runs: int = 0
    ended: int = 0

    @property
    def open(self) -> bool:
        return self.state in OPEN


class Hand(NamedTuple):
    """What a worker has. `phase`: idle; bell (taken from the queue); held (a lease); ran; tried (how it
    ended was sent, nothing was heard); doubt (a claim was sent, nothing was heard).

    `number`: the bell's look, or the fence. `look`: the bell's, still. `unheard`: the fence that the
    claim's token has leased.
    """

    phase: str = "idle"
    delivery: int = 0
    number: int = 0
    decision: str = ""
    look: int = 0
    unheard: int = 0


class State(NamedTuple):
    """`books`: what RQ has as started by worker 1, and whether that process lives. `failed`: looks that
    RQ has among its failed jobs. `turn`: who holds that of the line; 0: nobody."""

    deliveries: tuple[Delivery, ...] = ()
    queue: tuple[Bell, ...] = ()
    turn: int = 0
    line: tuple[int, ...] = ()
    books: frozenset[tuple[int, int, bool]] = frozenset()
    failed: frozenset[tuple[int, int]] = frozenset()
    one: Hand = Hand()
    stock: Hand = Hand()
    sent: int = 0
    acknowledged: bool = False

    def of(self, number: int) -> Delivery:
        return self.deliveries[number - 1]

    def numbers(self) -> range:
        return range(1, len(self.deliveries) + 1)


def put(state: State, number: int, /, **changes: Any) -> State:
    """With these fields of that delivery changed."""
    changed = state.of(number)._replace(**changes)
    rows = (*state.deliveries[: number - 1], changed, *state.deliveries[number:])
    return state._replace(deliveries=rows)


class World(NamedTuple):
    """What kind of ledger is explored: both deliveries in one line or not, a dead one blocks it or not,
    a repeat brings a dead event back or not; and how worn out deliveries begin."""

    name: str
    line: bool = False
    blocks: bool = False
    revives: bool = False
    crashes: int = 0
    own: int = 0


WORLDS: Final = (
    World("free"),
    World("revived by repeats", revives=True),
    World("in a line", line=True),
    World("in a line that dead ones block", line=True, blocks=True),
    World("worn out", crashes=2, own=1),
    World("worn out by workers that vanished", crashes=1),
)
