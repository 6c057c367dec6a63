"""What a subject has come to: a row for each call and fault.

"by hand": the server did not start again until its manifest was mended.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.sweep.case import Outcome
from tests.chaos.syscalls.case import Case, Subject

COLUMNS = ("cases", "came", "acknowledged", "lost", "doubled", "extra runs", "by hand")


@dataclass(slots=True)
class Tally:
    """`boundaries`: how many calls an undisturbed pass has. `faults`: rules broken, by case."""

    subject: Subject
    boundaries: int = 0
    seconds: int = 0
    rows: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def add(self, case: Case, outcome: Outcome) -> None:
        row = self.rows.setdefault((case.call, case.fault), Counter())
        row.update(cases=1, came=int(outcome.struck))
        row.update(outcome.figures)
        if outcome.faults:
            self.faults[str(case)] = outcome.faults

    @property
    def sums(self) -> Counter[str]:
        return sum(self.rows.values(), Counter())

    def as_json(self) -> dict[str, Any]:
        rows = [
            {"call": call, "fault": fault, **{name: row[name] for name in COLUMNS}}
            for (call, fault), row in sorted(self.rows.items())
        ]
        named = {"subject": self.subject, "boundaries": self.boundaries, "seconds": self.seconds}
        return {**named, "rows": rows, "faults": self.faults}

    def __str__(self) -> str:
        head = f"{self.subject}: {self.boundaries} calls, {self.sums['cases']} cases, {self.seconds} s"
        title = f"  {'call':<13}{'fault':<14}" + "".join(f"{name:>13}" for name in COLUMNS)
        lines = [_line(*key, row) for key, row in sorted(self.rows.items())]
        return "\n".join([head, title, *lines, _line("all", "", self.sums), *self._broken()])

    def _broken(self) -> Iterator[str]:
        for case, faults in self.faults.items():
            yield from (f"  FAULT in {case}: {fault}" for fault in faults)
            yield f"    again: scripts/chaos syscalls --case '{case}'"
        if not self.faults:
            yield "  every rule held"


def _line(call: str, fault: str, row: Counter[str]) -> str:
    return f"  {call:<13}{fault:<14}" + "".join(f"{row[name]:>13}" for name in COLUMNS)
