"""Why a payload does not fit its type: field, what was expected, what was found; never a value.

Of a union the alternative that comes nearest is told, and not the faults of all.
"""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from gateway.plugins.shapes import place, printed_key, shape, shortened

MOST: Final = 10
# Whose messages repeat something of the input, or are an author's own words about it.
QUOTING: Final = {
    *("union_tag_invalid", "uuid_parsing", "timezone_offset", "get_attribute_error", "invalid_key"),
    *("iteration_error", "mapping_type", "value_error", "assertion_error"),
}
SPOKEN: Final = {*get_args(ErrorType)} - QUOTING
AT_ITS_PARENT: Final = {"missing", "extra_forbidden", "missing_argument"}


@dataclass(frozen=True, slots=True)
class _Complaint:
    """`union`: where the alternatives stand; `alternative`: which of them this is about; "" of none.

    `word`: one of a few words was expected.
    """

    path: tuple[int | str, ...]
    expected: str
    found: str
    union: tuple[int | str, ...] = ()
    alternative: str = ""
    word: bool = False

    def __str__(self) -> str:
        if not self.expected:
            return f"{place(self.path)}: {self.found}"
        return f"{place(self.path)}: expected {self.expected}, found {self.found}"


def mismatches(error: ValidationError, root: Any) -> list[str]:
    """A sentence a field, at most ten. `root`: the payload that was judged."""
    details = error.errors(include_url=False)
    complaints = [_complaint(detail, root) for detail in details]
    sentences: list[str] = []
    for (union, named), group in groupby(complaints, lambda each: (each.union, bool(each.alternative))):
        together = list(group)
        sentences += _of_union(union, together) if named else map(str, together)
    hidden = len(sentences) - MOST
    return [*sentences[:MOST], *([f"and {hidden} more"] if hidden > 0 else [])]


def _of_union(union: tuple[int | str, ...], complaints: list[_Complaint]) -> Iterator[str]:
    if all(each.path == union for each in complaints):  # int | str: none of them goes further in
        expected = dict.fromkeys(each.expected for each in complaints)
        yield f"{place(union)}: expected {' or '.join(expected)}, found {complaints[0].found}"
        return
    alternatives: dict[str, list[_Complaint]] = {}
    for each in complaints:
        alternatives.setdefault(each.alternative, []).append(each)
    nearest = min(alternatives, key=lambda name: _distance(alternatives[name]))
    first = f"as {nearest} (the nearest of {shortened(', '.join(alternatives))}): "
    for number, each in enumerate(alternatives[nearest]):
        yield f"{each}" if number or len(alternatives) == 1 else f"{first}{each}"


def _distance(complaints: list[_Complaint]) -> tuple[int, int]:
    """A wrong word, such as another event's type, says more than any number of fields."""
    return sum(each.word for each in complaints), len(complaints)


def _complaint(detail: Mapping[str, Any], root: Any) -> _Complaint:
    path, union, alternative = _way(detail, root)
    kind, found = detail["type"], shape(detail["input"])
    match kind:
        case "missing":
            return _Complaint(path, "", f"is missing; there is {found}", union, alternative)
        case "extra_forbidden":
            return _Complaint(path, "no such key", found, union, alternative)
        case "json_invalid":
            reason = str(detail["msg"]).removeprefix("Invalid JSON: ")
            return _Complaint((), "JSON", f"something else ({reason})")
    word = kind in ("literal_error", "enum")
    return _Complaint(path, _expected(kind, detail), found, union, alternative, word)


def _expected(kind: str, detail: Mapping[str, Any]) -> str:
    context = detail.get("ctx", {})
    if kind == "union_tag_invalid":
        return shortened(f"{context['discriminator']} to be one of {context['expected_tags']}")
    if kind in SPOKEN:
        text = str(detail["msg"]).removeprefix("Input should be ").removeprefix("Input should ")
        return shortened(text.partition(", unable to")[0])
    place_of_check = _raised_at(context.get("error"))
    return f"what the check at {place_of_check} accepts" if place_of_check else f"no {kind}"


def _raised_at(error: Any) -> str:
    """The line of the author's own check that refused: its message may quote the value."""
    trace = getattr(error, "__traceback__", None)
    frames = traceback.extract_tb(trace) if trace else []
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _way(detail: Mapping[str, Any], root: Any) -> tuple[Any, tuple[int | str, ...], str]:
    """The path without the names that pydantic puts between for a union's alternatives."""
    parts, last = detail["loc"], len(detail["loc"]) - 1
    path: list[int | str] = []
    union: tuple[int | str, ...] = ()
    alternative = ""
    value = root
    for number, part in enumerate(parts):
        into, value_there = _step(value, part)
        if into or (number == last and detail["type"] in AT_ITS_PARENT):
            path.append(part)
            value = value_there
        elif not alternative:
            union, alternative = tuple(path), printed_key(str(part))
    return tuple(path), union, alternative


def _step(value: Any, part: int | str) -> tuple[bool, Any]:
    """Whether `part` leads further into `value`, and where to."""
    if isinstance(value, dict) and part in value:
        return True, value[part]
    if isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
        return True, value[part]
    found = getattr(value, part, None) if isinstance(part, str) and part != "" else None
    return found is not None and not isinstance(value, dict | list | str | int | float), found
