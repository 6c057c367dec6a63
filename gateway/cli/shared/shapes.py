"""The shape of payloads: which fields there are, of which kinds, and in how many. Never a value.

Keys are kept where they read like names that a programmer gave. An object of which a quarter of the
keys look like data (addresses, ids) is `keyed`: it has no fields, and all its keys are forgotten.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

NAME: Final = re.compile(r"[$@]?[A-Za-z_][A-Za-z0-9_. :/-]{0,59}", re.ASCII)
DATA: Final = re.compile(r"\d{5}|(?=(?:[A-Za-z]*\d){3})[A-Za-z\d]{12}")  # a number, an id, a token
DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """What the values of one place have in common. `seen`: how many there were."""

    seen: int
    kinds: frozenset[str]
    fields: "Mapping[str, Shape]" = field(default_factory=dict)
    items: "Shape | None" = None
    keyed: bool = False


def shape_of(values: Sequence[Any], deep: int = 0) -> Shape:
    """The shape of JSON values, all taken together; below DEEPEST levels nothing is looked at."""
    kinds = frozenset(_kind(each) for each in values)
    if deep == DEEPEST:
        return Shape(len(values), kinds)
    objects = [each for each in values if isinstance(each, dict)]
    keys = dict.fromkeys(key for each in objects for key in each)
    names = [key for key in keys if is_name(key)]
    keyed = 4 * (len(keys) - len(names)) >= len(keys) > 0
    items = [item for each in values if isinstance(each, list) for item in each]
    return Shape(
        len(values),
        kinds,
        {} if keyed else {name: shape_of(_values(objects, name), deep + 1) for name in names},
        shape_of(items, deep + 1) if items else None,
        keyed,
    )


def is_name(key: str) -> bool:
    """Whether a key reads like a field's name and not like data."""
    return bool(NAME.fullmatch(key)) and not DATA.search(key)


def _values(objects: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [each[name] for each in objects if name in each]


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", type(None): "null"}
    return names.get(type(value), type(value).__name__)
