"""What is wrong with a deployment's set-up: every fault at once, with file, key and mend."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from gateway.catalogue.proof import SCHEMES

RUNS: Final = ("forward", "log", "append", "exec")  # of [[processors]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. `mend` says what to do about it; no text ever holds a secret."""

    file: str
    key: str
    problem: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place}: {self.problem}" + (f"\n    → {self.mend}" if self.mend else "")


class ConfigError(Exception):
    """The set-up is refused. Carries every fault that was found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


def suggest(word: str, known: list[str]) -> str:
    """A hint for a mistyped word: the nearest known one, else all of them."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def faults_of(error: ValidationError, file: str, model: type[BaseModel]) -> list[Fault]:
    """A pydantic error as faults, without ever repeating an input value (it might be a secret)."""
    return [_fault(detail, file, model) for detail in error.errors(include_input=False)]


def _fault(detail: Any, file: str, model: type[BaseModel]) -> Fault:
    key = key_of(detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            *table, word = detail["loc"]
            known = list(_model_at(model, table).model_fields)
            return Fault(file, key, "unknown key", suggest(str(word), known))
        case "missing":
            return Fault(file, key, "is required", "add it")
        case "union_tag_invalid":
            word, known = _tags(detail)
            return Fault(file, key, f"unknown {word}", suggest(detail["ctx"]["tag"], known))
        case "union_tag_not_found":
            word, known = _tags(detail)
            return Fault(file, key, f"has no {word}", f"add {word} = ...; known: {', '.join(known)}")
        case "literal_error":
            return Fault(file, key, "is none of its words", f"write {detail['ctx']['expected']}")
        case "byte_size" | "byte_size_unit":
            return Fault(file, key, "is not a size", 'write bytes or a number and a unit: "25MiB"')
        case "tuple_type":
            return Fault(file, key, "is not a list", 'write [ ] around it: ["..."]')
        case "value_error":
            problem, _, mend = detail["msg"].removeprefix("Value error, ").partition(" → ")
            return Fault(file, key, problem, mend)
        case _:
            return Fault(file, key, "does not fit", detail["msg"])


def key_of(location: Sequence[str | int]) -> str:
    """`verify.header`, `secrets[0]`: a place as it stands in the file.

    Pydantic puts the scheme between `verify` and its keys, and what a processor runs between it and
    its own; the file does not.
    """
    parts = [part for before, part in pairwise(("", *location)) if not _is_tag(before, part)]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)[1:]


def _is_tag(before: str | int, part: str | int) -> bool:
    return (before == "verify" and part in SCHEMES) or (isinstance(before, int) and part in RUNS)


def _tags(detail: Any) -> tuple[str, list[str]]:
    """The key that tells kinds of a table apart, and its words."""
    word = detail["ctx"]["discriminator"].strip("'")
    return word, list(RUNS if word == "run" else SCHEMES)


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    """The model that describes a table, so that a mistyped key can be told from its neighbours."""
    candidates = [model]
    for part in location:
        tagged = [each for each in candidates if _tag(each) == part]
        found = candidates[0].model_fields.get(str(part))
        candidates = tagged or (_models(found.annotation) if found else []) or candidates
    return candidates[0]


def _tag(model: type[BaseModel]) -> str | None:
    tag = model.model_fields.get("scheme") or model.model_fields.get("run")
    return get_args(tag.annotation)[0] if tag else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
