"""What is tried: whose command, which one, what goes wrong there, and what the process does then."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Final, Self

from tests.chaos.proxy import Fault, Spot

LEASE_SECONDS: Final = 2.0
STOP_SECONDS: Final = 3.0  # longer than a lease
DELAY_SECONDS: Final = 0.8  # longer than anybody waits for a reply here


class Fate(StrEnum):
    """Of the process that sent the command, at the moment of the fault."""

    ON = "on"
    KILL = "kill"  # SIGKILL
    STOP = "stop"  # SIGSTOP for longer than a lease, then SIGCONT


class Subject(StrEnum):
    """Whose commands go through the proxy."""

    GATEWAY = "gateway"
    WORKER = "worker"  # hookline worker
    STOCK = "stock"  # rq worker, running our jobs
    REPLAY = "replay"  # hookline replay
    RQ = "rq"  # rq worker on one queue, running plain jobs
    RQ_RETRY = "rq-retry"  # that, with Retry(max=3)
    RQ_TWO = "rq-two"  # on two queues
    RQ_TWO_RETRY = "rq-two-retry"
    ENQUEUE = "enqueue"  # Queue.enqueue


OURS: Final = (Subject.GATEWAY, Subject.WORKER, Subject.STOCK, Subject.REPLAY)
PLAIN: Final = tuple(each for each in Subject if each not in OURS)


@dataclass(frozen=True, slots=True)
class Case:
    """`str` gives its name, `parse` reads it: worker/finish#1/after/kill."""

    subject: Subject
    spot: Spot
    fault: Fault
    fate: Fate

    def __str__(self) -> str:
        return f"{self.subject}/{self.spot}/{self.fault}/{self.fate}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        match text.split("/"):
            case [subject, spot, fault, fate]:
                return cls(Subject(subject), Spot.parse(spot), Fault(fault), Fate(fate))
        raise ValueError(f"{text!r} is no SUBJECT/COMMAND#N/FAULT/FATE: worker/finish#1/after/kill")


@dataclass(slots=True)
class Outcome:
    """`faults` is empty when every rule held; `figures` are added up over all cases.

    `untimely`: what a machine that stood still for a while brings about as well. No loss is among it.
    """

    struck: bool = False
    figures: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    untimely: list[str] = field(default_factory=list)


def cases_at(subject: Subject, seen: Counter[str], most: int) -> Iterator[Case]:
    """Every case at each command that was seen undisturbed; of what is polled at the first `most`."""
    for name, many in sorted(seen.items()):
        for nth, fault, fate in product(range(1, min(many, most) + 1), Fault, Fate):
            yield Case(subject, Spot(name, nth), fault, fate)
