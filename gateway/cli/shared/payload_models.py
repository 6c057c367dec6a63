"""A payload's shape as pydantic models: which fields are worth having, how they are called in Python.

Few fields of many: a model that names all of a provider's breaks with the next change of any.
"""

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from keyword import iskeyword
from typing import Final

from pydantic import BaseModel

from gateway.cli.shared.shapes import Shape

MOST_MODELS: Final = 8
MOST_SCALARS: Final = 10
MOST_NESTED: Final = 4
DEEPEST: Final = 5
WIDEST: Final = 88
WORDS: Final = (
    "id|name|full_name|number|status|state|action|type|title|ref|login|email|customer|currency|total"
    "|amount|amount_paid|amount_due|amount_total|created|created_at|text|subject|message|channel|user"
    "|before|after|price|quantity|html_url|timestamp|description|reason"
)
USED: Final = re.compile(WORDS)
AKIN: Final = re.compile(rf"\w+_({WORDS})|amount_\w+")
NOISE: Final = re.compile(r"(?!html_)\w+_url|_links|node_id|token|secret|\w+_(token|secret)")
SCALARS: Final = ("bool", "int", "float", "str")
TAKEN: Final = {*dir(BaseModel), *SCALARS, "list", "dict"}
CLASSES: Final = {"Any", "BaseModel", "Event", "Field", "Registry"}


@dataclass(frozen=True, slots=True)
class ModelField:
    """`kind`: a scalar, Any, dict[str, Any], or the name of a model."""

    key: str
    attribute: str
    kind: str
    listed: bool
    optional: bool

    @property
    def line(self) -> str:
        kind = f"list[{self.kind}]" if self.listed else self.kind
        optional = " | None" if self.optional and kind != "Any" else ""
        line = f"    {self.attribute}: {kind}{optional}"
        if self.attribute != self.key:
            default = "default=None, " if self.optional else ""
            return f'{line} = Field({default}alias="{self.key}")'
        return f"{line} = None" if self.optional else line


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    fields: tuple[ModelField, ...]


def models_of(shape: Shape, name: str) -> tuple[Model, ...]:
    """The models, the outermost first. Level by level, so that the budget goes to what is near."""
    taken = CLASSES | {name}
    waiting = [(name, shape, 1)]
    models: list[Model] = []
    while waiting:
        own, current, depth = waiting.pop(0)
        room = MOST_MODELS - len(models) - len(waiting) - 1 if depth < DEEPEST else 0
        inner: dict[str, tuple[str, Shape]] = {}
        for key in _chosen(current, room):
            found = current.fields[key]
            if nested := _objects(found):
                inner[key] = (_class_name(key, own, taken, listed=_only_list(found)), nested)
                taken |= {inner[key][0]}
        waiting += [(child, nested, depth + 1) for child, nested in inner.values()]
        models.append(Model(own, tuple(_fields(current, _chosen(current, room), inner))))
    return _without_empty(models)


def _without_empty(models: Sequence[Model]) -> tuple[Model, ...]:
    """Less those for whose fields there was no room; the outermost stays."""
    kept: list[Model] = []
    empty: set[str] = set()
    for each in reversed(models):
        left = tuple(field for field in each.fields if field.kind not in empty)
        kept.append(Model(each.name, left))
        empty |= set() if left else {each.name}
    *inner, root = kept
    return (root, *(each for each in reversed(inner) if each.fields))


def pascal(text: str, prefix: str = "Payload") -> str:
    """A class's name of any text; `prefix` where it would not be one."""
    words = re.findall(r"[A-Za-z][a-z0-9]*|\d+", text)
    name = "".join(each[0].upper() + each[1:] for each in words)[:40]
    sound = name.isidentifier() and not iskeyword(name) and not hasattr(builtins, name)
    return name if sound else f"{prefix}{name}"


def _chosen(shape: Shape, room: int) -> list[str]:
    """The keys worth having, in the payload's own order."""
    fields = {key: each for key, each in shape.fields.items() if _is_worth(key, each)}
    nested = [key for key, each in fields.items() if _objects(each)]
    flat = [key for key in fields if key not in nested]
    nested.sort(key=lambda key: (-fields[key].seen, -_weight(fields[key])))
    flat.sort(key=lambda key: (-fields[key].seen, _use(key.lower())))
    chosen = {*nested[: min(room, MOST_NESTED)], *flat[:MOST_SCALARS]}
    return [key for key in fields if key in chosen]


def _is_worth(key: str, shape: Shape) -> bool:
    return bool(not NOISE.fullmatch(key) and _kind(shape, ""))


def _use(key: str) -> int:
    return 0 if USED.fullmatch(key) else 1 if AKIN.fullmatch(key) else 2


def _weight(shape: Shape) -> int:
    """How much there is in it: what an event is about outweighs what is only mentioned."""
    found = _objects(shape)
    fields = found.fields if found else {}
    return sum(1 + _weight(each) for key, each in fields.items() if _is_worth(key, each))


def _objects(shape: Shape) -> Shape | None:
    """The shape of the objects that it is, or is a list of; None where it is neither."""
    found = shape.items if _only_list(shape) else shape
    if found is None or found.kinds - {"null"} != {"object"} or found.keyed:
        return None
    return found if any(_is_worth(key, each) for key, each in found.fields.items()) else None


def _only_list(shape: Shape) -> bool:
    return shape.kinds - {"null"} == {"list"}


def _kind(shape: Shape, inner: str) -> str:
    """What stands for it in Python; empty where nothing is known. `inner`: its model's name."""
    kinds = shape.kinds - {"null"}
    if kinds == {"object"}:
        return inner or ("dict[str, Any]" if shape.keyed or _objects(shape) else "")
    if kinds == {"list"}:
        return _kind(shape.items, inner) if shape.items and not _only_list(shape.items) else ""
    if kinds == {"int", "float"}:
        return "float"
    return "".join(kinds) if len(kinds) < 2 else "Any"


def _fields(
    shape: Shape, keys: Iterable[str], inner: Mapping[str, tuple[str, Shape]]
) -> Iterator[ModelField]:
    attributes: set[str] = set()
    for key in keys:
        found = shape.fields[key]
        kind = _kind(found, inner[key][0] if key in inner else "")
        holes = found.items is not None and "null" in found.items.kinds
        field = ModelField(
            key,
            attribute_of(key, attributes),
            "Any" if holes else kind,
            _only_list(found),
            found.seen < shape.seen or "null" in found.kinds,
        )
        if len(field.line) <= WIDEST:
            attributes.add(field.attribute)
            yield field


def attribute_of(key: str, taken: set[str]) -> str:
    """In Python's manner, and no name that pydantic or Python has for something else."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "field"
    name = f"field_{name}" if re.match(r"\d|model_(dump|validate)", name) else name
    while iskeyword(name) or name in TAKEN or name in taken:
        name += "_"
    return name


def _class_name(key: str, parent: str, taken: set[str], *, listed: bool) -> str:
    """After the key, in the singular for a list's items; after the parent too where that is taken."""
    one = f"{key[:-3]}y" if key.endswith("ies") else re.sub(r"(?<!s)s$", "", key)
    name = pascal(one if listed else key, parent)
    more = (f"{name}{number}" for number in count(2))
    return next(each for each in chain([name, f"{parent}{name}"[:60]], more) if each not in taken)
