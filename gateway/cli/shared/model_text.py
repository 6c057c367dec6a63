"""What is made of a payload's models: their source, a payload that fits them, what is most telling."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.cli.shared.payload_models import Model, ModelField

TELLING: Final = ("action", "ref", "text", "title", "name", "number", "id", "status")
MADE_UP: Final[dict[str, Any]] = {
    "bool": True,
    "int": 1,
    "float": 1.5,
    "Any": None,
    "dict[str, Any]": {},
}


@dataclass(frozen=True, slots=True)
class Telling:
    """A field that is always there and says what an event is about: its keys, its attributes."""

    keys: tuple[str, ...]
    attributes: tuple[str, ...]
    kind: str


def source_of(models: Iterable[Model], about: str) -> str:
    """The classes, each before those that name it; the outermost has the docstring."""
    root, *inner = models
    texts = [_class(each, "") for each in reversed(inner)]
    return "\n\n\n".join([*texts, _class(root, f'    """{about}"""\n\n')])


def made_up(models: Iterable[Model]) -> dict[str, Any]:
    """A payload that fits the models, of values that nobody ever sent."""
    every = {each.name: each for each in models}
    return _object(next(iter(every.values())), every)


def telling(models: Iterable[Model]) -> Telling | None:
    """The most telling field, no deeper than it must be."""
    every = {each.name: each for each in models}
    found = list(_scalars(next(iter(every.values())), every)) if every else []
    return min(found, key=_rank, default=None)


def _class(model: Model, about: str) -> str:
    lines = [each.line for each in model.fields]
    body = "\n".join(lines) if lines else ("" if about else "    pass")
    return f"class {model.name}(BaseModel):\n{about}{body}".rstrip()


def _object(model: Model, every: Mapping[str, Model]) -> dict[str, Any]:
    return {each.key: _example(each, every) for each in model.fields}


def _example(field: ModelField, every: Mapping[str, Model]) -> Any:
    inner = every.get(field.kind)
    one = _object(inner, every) if inner else MADE_UP.get(field.kind, f"some {field.attribute}")
    return [one] if field.listed else one


def _scalars(
    model: Model, every: Mapping[str, Model], outer: Telling = Telling((), (), "")
) -> Iterator[Telling]:
    for each in model.fields:
        here = Telling((*outer.keys, each.key), (*outer.attributes, each.attribute), each.kind)
        if each.listed or each.optional:
            continue
        if each.kind in ("str", "int"):
            yield here
        elif each.kind in every:
            yield from _scalars(every[each.kind], every, here)


def _rank(found: Telling) -> tuple[int, int]:
    """The least is the best. Of which type an event is, is known without its `type`."""
    last = found.keys[-1]
    place = TELLING.index(last) if last in TELLING else len(TELLING) * (2 if last == "type" else 1)
    return place + len(found.keys), len(found.keys)
