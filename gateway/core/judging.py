"""What a parsed condition is made of: tests of one value each, and all, any and not of them.

Total: any event gets a verdict, if only that there can be none (`Unjudged`). A verdict names fields and
operators, never a value of the event.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from gateway.core.fields import MISSING
from gateway.core.json_path import Path, Subject
from gateway.core.operators import OPERATORS, Operator, a_kind, kind_of, written

MAX_REASON: Final = 300


class Unjudged(str):
    """Why a condition cannot tell: the event is let through, for a filtered one is gone for good."""

    __slots__ = ()


def keeps_out(reason: str) -> bool:
    """Whether this verdict is that the condition does not hold."""
    return bool(reason) and not isinstance(reason, Unjudged)


@dataclass(frozen=True, slots=True)
class Finding:
    """One test of a condition, tried on one event.

    `held` is None where it cannot be judged.
    `found` are the event's own values at `place` (`json.a.b`, `header.x-name`, `type`): for the eyes of
    its operator, who masks them. `note` says in words why such a value cannot hold, and tells none.
    """

    test: str
    held: bool | None
    found: tuple[Any, ...] = ()
    note: str = ""
    place: str = ""


class Condition(Protocol):
    """`str` of one is its tests on one line, as they were configured."""

    def judge(self, subject: Subject) -> str:
        """Empty when it holds, else why not (fields and operators, never a value), or Unjudged."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Every test in it, tried: to explain a verdict."""

    @property
    def name(self) -> str:
        """Its fields and operators, without any value."""

    @property
    def size(self) -> int:
        """How many tests it is made of."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operator on the value of one path. Null counts as absent.

    Where the path has a `*`, one value that holds is enough, and for a negated operator none may.
    `prepared` is what the operator makes of `expected`, once.
    """

    path: Path
    operator: str
    expected: Any
    prepared: Any = field(compare=False, repr=False)

    def judge(self, subject: Subject) -> str:
        rule = OPERATORS[self.operator]
        if self.path.many:
            held = any(self._holds(rule, each) for each in self.path.all_of(subject))
        else:
            held = self._holds(rule, self.path.of(subject))
        return "" if held is not self._negated(rule) else self.name

    def _holds(self, rule: Operator, value: Any) -> bool:
        return value is not MISSING and value is not None and rule.holds(self.prepared, value)

    def _negated(self, rule: Operator) -> bool:
        return rule.negated or (self.operator == "exists" and not self.expected)

    def findings(self, subject: Subject) -> Iterator[Finding]:
        found = tuple(each for each in self.path.all_of(subject) if each is not None)
        held = not self.judge(subject)
        note = "" if held else self._note(found)
        yield Finding(str(self), held, found, note, self.path.place)

    def _note(self, found: tuple[Any, ...]) -> str:
        if not found:
            return "nothing is there"
        expected = self.expected if isinstance(self.expected, tuple) else (self.expected,)
        if self.operator in ("contains", "exists") or {*map(kind_of, found)} & {
            *map(kind_of, expected)
        }:
            return ""
        return f"{a_kind(found[0])} is never the same as {a_kind(expected[0])}"

    @property
    def name(self) -> str:
        return f"{self.path.text} {self.operator}"

    @property
    def size(self) -> int:
        return 1

    def __str__(self) -> str:
        return f"{self.name} {written(self.expected)}"


@dataclass(frozen=True, slots=True)
class All:
    """Every one must hold; the reason is the first that does not, else the first that cannot tell."""

    conditions: tuple[Condition, ...]

    def judge(self, subject: Subject) -> str:
        unjudged = ""
        for each in self.conditions:
            if keeps_out(reason := each.judge(subject)):
                return reason
            unjudged = unjudged or reason
        return unjudged

    def findings(self, subject: Subject) -> Iterator[Finding]:
        for each in self.conditions:
            yield from each.findings(subject)

    @property
    def name(self) -> str:
        return _joined([each.name for each in self.conditions], " and ")

    @property
    def size(self) -> int:
        return sum(each.size for each in self.conditions)

    def __str__(self) -> str:
        return " and ".join(_bracketed(each) for each in self.conditions)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One must hold; the reason names them all, or the first that cannot tell."""

    conditions: tuple[Condition, ...]

    def judge(self, subject: Subject) -> str:
        reasons: list[str] = []
        for each in self.conditions:
            if not (reason := each.judge(subject)):
                return ""
            reasons.append(reason)
        unjudged = (each for each in reasons if isinstance(each, Unjudged))
        return next(unjudged, None) or _joined(reasons, " or ")

    def findings(self, subject: Subject) -> Iterator[Finding]:
        for each in self.conditions:
            yield from each.findings(subject)

    @property
    def name(self) -> str:
        return _joined([each.name for each in self.conditions], " or ")

    @property
    def size(self) -> int:
        return sum(each.size for each in self.conditions)

    def __str__(self) -> str:
        return " or ".join(_bracketed(each) for each in self.conditions)


@dataclass(frozen=True, slots=True)
class Not:
    """It must not hold."""

    condition: Condition

    def judge(self, subject: Subject) -> str:
        reason = self.condition.judge(subject)
        if isinstance(reason, Unjudged):
            return reason
        return "" if reason else self.name

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """A single test the other way round; of several, each as it is."""
        for each in self.condition.findings(subject):
            if self.condition.size > 1 or each.held is None:
                yield each
            else:
                yield replace(each, test=f"not ({each.test})", held=not each.held, note="")

    @property
    def name(self) -> str:
        return f"not ({self.condition.name})"

    @property
    def size(self) -> int:
        return self.condition.size

    def __str__(self) -> str:
        return f"not ({self.condition})"


def _joined(texts: list[str], word: str) -> str:
    joined = word.join(texts)
    return joined if len(joined) <= MAX_REASON else f"{joined[:MAX_REASON]}…"


def _bracketed(condition: Condition) -> str:
    return f"({condition})" if isinstance(condition, All | AnyOf) else str(condition)
