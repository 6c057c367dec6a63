"""The table that a campaign ends with."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """What was counted. `faults` is empty when every rule held."""

    title: str
    figures: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [f"  {name:<44}{figure:>8}" for name, figure in self.figures.items()]
        faults = [f"  FAULT: {fault}" for fault in self.faults] or ["  every rule held"]
        return "\n".join([self.title, *rows, *faults])


def unequal(one: str, first: int, other: str, second: int) -> Iterator[str]:
    """A fault when the two figures differ."""
    if first != second:
        yield f"{one} are {first}, {other} are {second}"
