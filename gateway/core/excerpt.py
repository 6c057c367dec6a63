"""Only the part of a JSON value that somebody looks at, and how much that is."""

from collections.abc import Iterable, Sequence
from typing import Any

Parts = dict[str, "Parts | None"]
"""The keys that are looked at, and what is below each; None: everything."""


def parts_of(paths: Sequence[tuple[str, ...]]) -> Parts | None:
    """What to pick, so that every path leads where it leads in the whole."""
    if () in paths:
        return None
    heads = dict.fromkeys(path[0] for path in paths)
    return {head: parts_of([path[1:] for path in paths if path[0] == head]) for head in heads}


def picked(value: Any, parts: Parts | None) -> Any:
    """The same value without the keys that nobody looks at."""
    if parts is None or not isinstance(value, dict):
        return value
    return {key: picked(value[key], below) for key, below in parts.items() if key in value}


def measured(value: Any, deepest: int) -> int | None:
    """Characters in texts and keys, each value as ten of them; None: nested more than `deepest`."""
    level = [value]
    size = 0
    for _ in range(deepest):
        if not level:
            return size
        size += 10 * len(level) + sum(len(each) for each in level if isinstance(each, str))
        size += sum(len(key) for each in level if isinstance(each, dict) for key in each)
        level = [inner for each in level for inner in _inside(each)]
    return None if level else size


def widest(value: Any) -> int:
    """The bits of its widest whole number."""
    if isinstance(value, int):
        return value.bit_length()
    return max(map(widest, _inside(value)), default=0)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
