"""Conditions on an event, written as data: `when` in a source's file and in the decorator.

    {field = "action", equals = "opened"}
    {all = [{field = "amount", at_least = 100}, {not = {field = "type", ends_with = ".test"}}]}

They are checked whole when they are read, and every fault is told at once, each with its key.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from gateway.core.json_path import Path, PathError, parse_path
from gateway.core.judging import All, AnyOf, Comparison, Condition, Finding, Not
from gateway.core.operators import OPERATORS, a_kind, kind_of, written

__all__ = ("Condition", "ConditionError", "Finding", "Problem", "parse_condition")

MAX_DEPTH: Final = 8
MAX_TESTS: Final = 100
GROUPS: Final = ("all", "any", "not")
FIELD: Final = "field"
EXAMPLE: Final = 'write {field = "action", equals = "opened"}'
T = TypeVar("T")


class Problem(NamedTuple):
    """One thing wrong: `key` is its place, such as `when.all[1].field`."""

    key: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.key} {self.problem} → {self.mend}"


class ConditionError(ValueError):
    """The condition is refused. `problems` are all that is wrong; the attributes tell the first."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        self.key, self.problem, self.mend = problems[0]
        super().__init__("; ".join(map(str, problems)))


Expression = Callable[[str], Condition]
"""Compiles a text. Raises ValueError with ` → ` between what is wrong and how to mend it."""


def no_expressions(_text: str) -> Condition:
    raise ValueError(f"is text, and a table is needed → {EXAMPLE}")


def parse_condition(data: Any, at: str = "when", expression: Expression = no_expressions) -> Condition:
    """Raises ConditionError with everything that is wrong. `at` is the place of `data`."""
    condition = _read(data, at, 1, expression)
    if condition.size > MAX_TESTS:
        problem = f"has {condition.size} tests, and {MAX_TESTS} are the most"
        raise ConditionError(Problem(at, problem, "use in = [...] for many values of one field"))
    return condition


def _read(data: Any, at: str, depth: int, expression: Expression) -> Condition:
    if depth > MAX_DEPTH:
        raise ConditionError(Problem(at, f"is nested more than {MAX_DEPTH} deep", "make it flatter"))
    if isinstance(data, str):
        return _expression(data, at, expression)
    if not isinstance(data, Mapping) or not data:
        found = "is empty" if isinstance(data, Mapping) else f"is {a_kind(data)}, and a table is needed"
        raise ConditionError(Problem(at, found, f"{EXAMPLE}, or {{all = [...]}} around several"))
    groups = [key for key in GROUPS if key in data]
    if not groups:
        return _tests(data, at)
    if len(data) > 1:
        others = " and ".join(str(key) for key in data if key != groups[0])
        problem = f"has {groups[0]} beside {others}"
        raise ConditionError(Problem(at, problem, "make each a table of its own in {all = [...]}"))
    return _group(groups[0], data[groups[0]], f"{at}.{groups[0]}", depth, expression)


def _expression(text: str, at: str, expression: Expression) -> Condition:
    try:
        return expression(text)
    except ValueError as error:
        problem, _, mend = str(error).partition(" → ")
        raise ConditionError(Problem(at, problem, mend)) from None


def _group(word: str, data: Any, at: str, depth: int, expression: Expression) -> Condition:
    if word == "not":
        return Not(_read(data, at, depth + 1, expression))
    if not isinstance(data, list | tuple) or not 0 < len(data) <= MAX_TESTS:
        problem = f"is no list of 1 to {MAX_TESTS} conditions"
        raise ConditionError(Problem(at, problem, f"write {word} = [{{...}}, {{...}}]"))
    places = [(each, f"{at}[{index}]") for index, each in enumerate(data)]
    parts = _gathered(lambda place: _read(place[0], place[1], depth + 1, expression), places)
    return All(parts) if word == "all" else AnyOf(parts)


def _tests(data: Mapping[Any, Any], at: str) -> Condition:
    """One field, and one operator or several, which must all hold."""
    path, named = _gathered(lambda read: read(data, at), (_path, _operators))
    tests = _gathered(lambda name: _test(path, name, data[name], f"{at}.{name}"), named)
    return tests[0] if len(tests) == 1 else All(tests)


def _path(data: Mapping[Any, Any], at: str) -> Path:
    if not isinstance(data.get(FIELD), str):
        raise ConditionError(Problem(f"{at}.{FIELD}", "is required, as text", EXAMPLE))
    try:
        return parse_path(data[FIELD], many=True)
    except PathError as error:
        raise ConditionError(Problem(f"{at}.{FIELD}", error.problem, error.mend)) from None


def _operators(data: Mapping[Any, Any], at: str) -> list[str]:
    known = ", ".join((*GROUPS, FIELD, *OPERATORS))
    odd = [key for key in data if key != FIELD and key not in OPERATORS]
    named = [key for key in data if key in OPERATORS]
    if odd:
        mend = f"known: {known}"
        raise ConditionError(
            *(Problem(f"{at}.{key}", "is no word of a condition", mend) for key in odd)
        )
    if not named:
        raise ConditionError(Problem(at, "has no operator", f"add one of {', '.join(OPERATORS)}"))
    return named


def _test(path: Path, name: str, expected: Any, at: str) -> Comparison:
    wrong = OPERATORS[name].refuse(expected) or _never(path, name, expected)
    if wrong:
        raise ConditionError(Problem(at, *wrong))
    value = tuple(expected) if isinstance(expected, list) else expected
    return Comparison(path, name, value, OPERATORS[name].prepare(value))


def _never(path: Path, name: str, expected: Any) -> tuple[str, str] | None:
    """Of a test that no event could pass: headers and the type are text."""
    choices = expected if isinstance(expected, list | tuple) else (expected,)
    odd = next((each for each in choices if kind_of(each) != "text"), None)
    if path.keys or name == "exists" or odd is None:
        return None
    problem = f"is {a_kind(odd)}, and {path.text} is always text: they are never the same"
    if name in ("greater", "less", "at_least", "at_most"):
        return problem, "compare it as text with equals, in or matches"
    return problem, f"write it in quotes: {written(written(odd))}"


def _gathered(read: Callable[[Any], T], things: Iterable[Any]) -> tuple[T, ...]:
    """Reads on behind a fault, so that all of them are told together."""
    found: list[T] = []
    problems: list[Problem] = []
    for each in things:
        try:
            found.append(read(each))
        except ConditionError as error:
            problems += error.problems
    if problems:
        raise ConditionError(*problems)
    return tuple(found)
