"""Which faults come when: decided by a seed before an epoch begins, so that it can be repeated."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from tests.chaos.soak.wire import Harm


class Act(StrEnum):
    """A fault that is no harm to a command."""

    GATEWAY_KILLED = "kill -9 of a gateway"
    GATEWAY_STOPPED = "SIGSTOP of a gateway, 2.5 to 4 s"
    GATEWAY_RESTARTED = "SIGTERM of a gateway, restart"
    WORKER_KILLED = "kill -9 of a worker"
    WORKER_STOPPED = "SIGSTOP of a worker, 2.1 to 4 s"
    WORKER_RESTARTED = "SIGTERM of a worker, restart"
    CHILD_KILLED = "kill -9 of a worker, then of a child"
    SERVER_KILLED = "kill -9 of the server"
    SERVER_TORN = "kill -9 of the server, torn tail of its file"
    SERVER_REWRITING = "kill -9 of the server in BGREWRITEAOF"
    SERVER_STOPPED = "SIGSTOP of the server, 2 to 4 s"
    MEMORY_FULL = "server out of memory, 0.3 to 1 s"
    SCRIPTS_FLUSHED = "SCRIPT FLUSH"
    CLIENTS_KILLED = "CLIENT KILL TYPE normal"
    QUEUE_EMPTIED = "an RQ queue emptied"
    JOBS_DELETED = "RQ jobs deleted"
    SUSPENDED = "rq suspend, 0.5 to 1.5 s"
    COUNTED = "RQ's registries counted"
    REQUEUED = "Requeue of all that failed"


WEIGHTS: Final[Mapping[Act, int]] = {
    Act.GATEWAY_KILLED: 8,
    Act.GATEWAY_STOPPED: 3,
    Act.GATEWAY_RESTARTED: 4,
    Act.WORKER_KILLED: 5,
    Act.WORKER_STOPPED: 4,
    Act.WORKER_RESTARTED: 5,
    Act.CHILD_KILLED: 1,
    Act.SERVER_KILLED: 4,
    Act.SERVER_TORN: 4,
    Act.SERVER_REWRITING: 2,
    Act.SERVER_STOPPED: 2,
    Act.MEMORY_FULL: 3,
    Act.SCRIPTS_FLUSHED: 5,
    Act.CLIENTS_KILLED: 6,
    Act.QUEUE_EMPTIED: 4,
    Act.JOBS_DELETED: 5,
    Act.SUSPENDED: 2,
    Act.COUNTED: 5,
    Act.REQUEUED: 8,
}
# How long a fault lasts, in seconds; others are over at once.
LENGTHS: Final[Mapping[Act, tuple[float, float]]] = {
    Act.GATEWAY_STOPPED: (2.5, 4.0),
    Act.WORKER_STOPPED: (2.1, 4.0),
    Act.SERVER_STOPPED: (2.0, 4.0),
    Act.MEMORY_FULL: (0.3, 1.0),
    Act.SUSPENDED: (0.5, 1.5),
}
HARMS: Final[Mapping[Harm, int]] = {
    Harm.BEFORE: 10,
    Harm.TORN: 8,
    Harm.AFTER: 10,
    Harm.DELAY: 3,
    Harm.HALF_OPEN: 2,
}
# Of harmed commands, and of other faults, a second.
LEVELS: Final = {"light": (3.0, 0.2), "usual": (9.0, 0.4), "heavy": (20.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Step:
    """`at`: seconds from the epoch's begin. `who` chooses among those whom it may hit."""

    at: float
    what: Act | Harm
    who: int
    seconds: float = 0.0


def plan(seed: int, seconds: float, level: str) -> list[Step]:
    """By time."""
    chance = random.Random(seed)
    harms, acts = LEVELS[level]
    found = chain(_steps(chance, seconds, harms, HARMS), _steps(chance, seconds, acts, WEIGHTS))
    return sorted(found, key=lambda step: step.at)


def _steps(
    chance: random.Random, seconds: float, rate: float, weights: Mapping[Act, int] | Mapping[Harm, int]
) -> list[Step]:
    found, at = [], chance.expovariate(rate)
    names: list[Act | Harm] = list(weights)
    while at < seconds:
        (what,) = chance.choices(names, list(weights.values()))
        length = LENGTHS.get(what, (0.0, 0.0)) if isinstance(what, Act) else (0.0, 0.0)
        found.append(Step(at, what, chance.randrange(1000), chance.uniform(*length)))
        at += chance.expovariate(rate)
    return found
