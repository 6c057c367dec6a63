"""What a fault of the server is, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.chaos.sick.ward import Ward

IN_TIME: Final = 1.5
"""Seconds within which every request is answered."""

Heal = Callable[[], None]


class Place(StrEnum):
    """Where the server stands."""

    ALONE = "alone"
    RELAY = "behind a relay"
    SMALL_DISK = "small disk"
    EVERYSEC = "everysec, small disk"
    REPLICATED = "replicated"
    SENTINEL = "sentinel, replicated"
    ASYNC = "sentinel, not replicated"


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` begins it and gives the way back; it lasts for so many `seconds`, or until `over`.

    `reasons` are those that a 503 may have. `problem` is the word that metrics and /readyz must have
    for it. `repeats`: what had been run may run again. `loses`: what had been acknowledged may be lost.
    """

    name: str
    strike: "Callable[[Ward], Heal]"
    expected: str
    place: Place = Place.ALONE
    seconds: float = 3.0
    reasons: frozenset[str] = frozenset()
    problem: str = ""
    over: "Callable[[Ward], bool] | None" = None
    repeats: bool = False
    loses: bool = False


@dataclass(slots=True)
class Row:
    """What was seen. `recovery`: seconds from the end of the fault to the first 200 of a source
    without a spool; `worked`: to the end of the first delivery that a worker ran."""

    fault: Fault
    sent: int = 0
    acknowledged: int = 0
    spooled: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    lost: int = 0
    doubled: int = 0
    recovery: float = 0.0
    worked: float = 0.0
    noticed: float | None = None
    breaches: list[str] = field(default_factory=list)

    @property
    def observed(self) -> str:
        refused = ", ".join(f"{many} x {word}" for word, many in sorted(self.refused.items()))
        parts = [f"503: {refused}" if refused else "no 503"]
        parts += [f"{self.spooled} spooled"] if self.spooled else []
        if self.noticed is not None:
            parts.append(f"noticed after {self.noticed:.1f} s")
        return "; ".join(parts)
