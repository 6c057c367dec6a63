"""What a sweep has come to, subject by subject."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.sweep.case import OURS, Case, Outcome, Subject


@dataclass(slots=True)
class Tally:
    """Of one subject."""

    subject: Subject
    commands: int = 0
    cases: int = 0
    struck: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)  # how many cases of each fault and fate
    extra: Counter[str] = field(default_factory=Counter)  # and how many extra runs they led to

    def add(self, case: Case, outcome: Outcome) -> None:
        self.cases += 1
        kind = f"{case.fault}, {case.fate}"
        self.kinds[kind] += 1
        self.extra[kind] += outcome.figures["extra runs"]
        self.struck += outcome.struck
        self.figures += outcome.figures
        if outcome.faults:
            self.faults[str(case)] = outcome.faults

    def __str__(self) -> str:
        rows = {
            "boundaries": self.commands,
            "cases": self.cases,
            "  in which the fault came": self.struck,
            **self.figures,
        }
        lines = [f"  {name:<44}{figure:>8}" for name, figure in rows.items()]
        if self.subject in OURS:
            kinds = sorted(self.kinds)
            lines += [
                f"  {kind:<44}{self.kinds[kind]:>8}  extra runs {self.extra[kind]}" for kind in kinds
            ]
            lines += self._faults()
        return "\n".join([f"{self.subject}", *lines])

    def _faults(self) -> Iterable[str]:
        for case, faults in self.faults.items():
            yield from (f"  FAULT in {case}: {fault}" for fault in faults)
            yield f"    again: scripts/chaos sweep --case '{case}'"
        if not self.faults:
            yield "  every rule held"
