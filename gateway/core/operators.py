"""What a condition can ask of one value: equals, in, greater, starts_with, matches, …

Kinds are kept apart: the text "1" is not the number 1, and true is neither. Every operator is total
(a value of another kind just does not hold) and takes time linear in the value: `matches` knows only
`*`, any run of characters, and is searched from left to right without ever going back.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

SCALARS: Final = ("text", "number", "boolean")
MAX_TEXT: Final = 1000
MAX_CHOICES: Final = 1000
MAX_BITS: Final = 256  # of a number: far more than JSON senders agree on
NAMES: Final = {
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    list: "list",
    tuple: "list",
    dict: "object",
}
ARTICLES: Final = {"text": "text", "null": "null", "object": "an object"}


def kind_of(value: Any) -> str:
    """text, number, boolean, null, list, object; for what is no JSON, the name of its type."""
    return NAMES.get(type(value), type(value).__name__)


def a_kind(value: Any) -> str:
    """For a sentence: `text`, `a number`, `an object`."""
    kind = kind_of(value)
    return ARTICLES.get(kind, f"a {kind}")


def written(value: Any) -> str:
    """As it stands in a file."""
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Operator:
    """`holds(prepared, found)`; `refuse(expected)` is a problem and its mend, or None.

    A negated one holds where the plain one does not, also where nothing is found.
    """

    refuse: Callable[[Any], tuple[str, str] | None]
    holds: Callable[[Any, Any], bool]
    prepare: Callable[[Any], Any] = lambda expected: expected
    negated: bool = False


class Choices(NamedTuple):
    texts: frozenset[str]
    numbers: frozenset[float]
    booleans: frozenset[bool]


def equal(expected: Any, found: Any) -> bool:
    """Of one kind and of one value; 1 and 1.0 are."""
    return kind_of(found) == kind_of(expected) and bool(found == expected)


def _choices(expected: Any) -> Choices:
    sets = [frozenset(each for each in expected if kind_of(each) == kind) for kind in SCALARS]
    return Choices(*sets)


def _chosen(expected: Choices, found: Any) -> bool:
    kind = kind_of(found)
    return kind in SCALARS and found in expected[SCALARS.index(kind)]


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda expected, found: kind_of(found) == kind_of(expected) and compare(found, expected)


def _contains(expected: Any, found: Any) -> bool:
    if isinstance(found, list):
        return any(equal(expected, each) for each in found)
    return isinstance(found, str) and isinstance(expected, str) and expected in found


def _matches(pieces: list[str], found: Any) -> bool:
    """Each piece at its first place after the one before: nothing is ever tried twice."""
    first, *middle, last = pieces
    if not isinstance(found, str) or not found.startswith(first):
        return False
    at, end = len(first), len(found) - len(last)
    for piece in middle:
        at = found.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return at <= end and found.endswith(last)


def _scalar(expected: Any) -> tuple[str, str] | None:
    match expected:
        case str() if len(expected) > MAX_TEXT:
            return f"is text of more than {MAX_TEXT} characters", "compare with a part of it"
        case float() if not math.isfinite(expected):
            return "is no number that JSON has", "write a finite one"
        case int() if expected.bit_length() > MAX_BITS:
            return "is too large a number", "compare with a smaller one"
        case str() | int() | float():
            return None
        case None:
            return "is null, which counts as absent", "ask for exists = false"
    return f"is {a_kind(expected)}, and one value is compared", "write text, a number, true or false"


def _list(expected: Any) -> tuple[str, str] | None:
    if not isinstance(expected, list | tuple) or not 0 < len(expected) <= MAX_CHOICES:
        return f"is no list of 1 to {MAX_CHOICES} values", 'write the choices: ["opened", "closed"]'
    return next((found for each in expected if (found := _scalar(each))), None)


def _boolean(expected: Any) -> tuple[str, str] | None:
    return None if isinstance(expected, bool) else ("is neither true nor false", "write one of them")


def _text(expected: Any) -> tuple[str, str] | None:
    if isinstance(expected, str) and expected:
        return _scalar(expected)
    return (
        f"is {'empty' if expected == '' else a_kind(expected)}, and text is needed",
        "write some text",
    )


def _orderable(expected: Any) -> tuple[str, str] | None:
    """Text too, for dates; but digits in quotes are a number that somebody put in quotes."""
    if isinstance(expected, bool):
        return "is a boolean, which is neither greater nor less", "compare with equals"
    if isinstance(expected, str) and _is_number(expected):
        problem = f"is the text {written(expected)}: text and numbers are never compared"
        return problem, f"write it without quotes: {expected.strip()}"
    return _scalar(expected)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _pattern(expected: Any) -> tuple[str, str] | None:
    if problem := _text(expected):
        return problem
    if "*" not in expected:
        return f"{written(expected)} has no *", "write * for any run of characters, or use equals"
    return None


OPERATORS: Final = {
    "equals": Operator(_scalar, equal),
    "not_equals": Operator(_scalar, equal, negated=True),
    "in": Operator(_list, _chosen, _choices),
    "not_in": Operator(_list, _chosen, _choices, negated=True),
    "exists": Operator(_boolean, lambda _expected, _found: True),
    "greater": Operator(_orderable, _ordered(lambda found, expected: found > expected)),
    "less": Operator(_orderable, _ordered(lambda found, expected: found < expected)),
    "at_least": Operator(_orderable, _ordered(lambda found, expected: found >= expected)),
    "at_most": Operator(_orderable, _ordered(lambda found, expected: found <= expected)),
    "starts_with": Operator(
        _text, lambda expected, found: type(found) is str and found.startswith(expected)
    ),
    "ends_with": Operator(
        _text, lambda expected, found: type(found) is str and found.endswith(expected)
    ),
    "contains": Operator(_scalar, _contains),
    "matches": Operator(_pattern, _matches, lambda expected: expected.split("*")),
}
