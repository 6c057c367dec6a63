"""Flow: a new version of a processor meets past events, and what it would do otherwise is told.

Here is what is compared, and how it is judged. A shadow run leaves the ledger as it is; who runs it,
in a process of its own, is `gateway.shadowed`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DONE: Final = "done"


class Verdict(StrEnum):
    """How a shadow run stands to the record."""

    SAME = "same"
    FIXED = "fixed"
    BROKEN = "broken"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"


MEANING: Final[Mapping[Verdict, str]] = {
    Verdict.SAME: "as recorded",
    Verdict.FIXED: "failed then, done now",
    Verdict.BROKEN: "done then, fails now",
    Verdict.CHANGED: "ends otherwise, or emits something else",
    Verdict.NEW: "nothing is recorded of it: not run yet, or not wanted then",
    Verdict.GONE: "ran then, is not wanted now",
}


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event of ours that an attempt emits."""

    type: str
    body: bytes | None
    """None: it is not kept any more."""


@dataclass(frozen=True, slots=True)
class Run:
    """How an attempt ended, then or now. `where` is file:line; `seconds` None: not recorded.

    `emitted` by number from 1: of a recorded one those that were stored, because somebody wanted them.
    """

    outcome: str
    error: str = ""
    where: str = ""
    seconds: float | None = None
    emitted: Mapping[int, Emitted] = field(default_factory=dict)
    message: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One event and one processor. `recorded` None: it has not run; `shadow` None: it would not."""

    event: str
    source: str
    type: str
    processor: str
    recorded: Run | None
    shadow: Run | None
    differences: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        if self.recorded is None:
            return Verdict.NEW
        if self.shadow is None:
            return Verdict.GONE
        if not self.differences:
            return Verdict.SAME
        if "outcome" not in self.differences or DONE not in (
            self.recorded.outcome,
            self.shadow.outcome,
        ):
            return Verdict.CHANGED
        return Verdict.FIXED if self.shadow.outcome == DONE else Verdict.BROKEN


def differences(recorded: Run | None, shadow: Run | None, wanted: Callable[[str], bool]) -> list[str]:
    """In which of outcome, error and emitted the two differ. A place and a time do not count: each edit
    moves lines. `wanted` says of an emitted event's type whether it would have been stored."""
    if recorded is None or shadow is None:
        return ["outcome"]
    named = {
        "outcome": recorded.outcome != shadow.outcome,
        "error": recorded.error != shadow.error,
        "emitted": DONE in (shadow.outcome, recorded.outcome)
        and _emits_otherwise(recorded.emitted, shadow.emitted, wanted),
    }
    return [name for name, differs in named.items() if differs]


def _emits_otherwise(
    recorded: Mapping[int, Emitted], shadow: Mapping[int, Emitted], wanted: Callable[[str], bool]
) -> bool:
    for number, now in shadow.items():
        then = recorded.get(number)
        if then is None and wanted(now.type):
            return True
        if then and (then.type != now.type or then.body not in (None, now.body)):
            return True
    return bool(recorded.keys() - shadow.keys())


@dataclass(frozen=True, slots=True)
class Tally:
    """A row of the summary. `seconds` is the mean of the shadow runs."""

    processor: str
    runs: int
    verdicts: Mapping[Verdict, int]
    seconds: float


def tallies(comparisons: Iterable[Comparison]) -> list[Tally]:
    """By processor, in the order in which they came."""
    of: dict[str, list[Comparison]] = {}
    for each in comparisons:
        of.setdefault(each.processor, []).append(each)
    return [_tally(name, found) for name, found in of.items()]


def _tally(processor: str, found: list[Comparison]) -> Tally:
    ran = [each.shadow.seconds or 0.0 for each in found if each.shadow]
    mean = sum(ran) / len(ran) if ran else 0.0
    return Tally(processor, len(ran), Counter(each.verdict for each in found), mean)
