"""What is wrong with a deployment's set-up: every fault at once, with file, key and mend."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError


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
    location = [part for part in detail["loc"] if part not in UNION_TAGS]
    key = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        known = list(_model_at(model, location[:-1]).model_fields)
        return Fault(file, key, "unknown key", suggest(str(location[-1]), known))
    if detail["type"] == "missing":
        return Fault(file, key, "is required", "add it")
    message = detail["msg"].removeprefix("Value error, ")
    problem, _, mend = message.partition(" → ")
    return Fault(file, key, problem, mend)


UNION_TAGS = ("signature", "token", "basic-auth", "unverified")


def _model_at(model: type[BaseModel], location: list[Any]) -> type[BaseModel]:
    """The model that describes a table, so that a mistyped key can be told from its neighbours."""
    for part in location:
        found = model.model_fields.get(str(part))
        candidates = _models(found.annotation) if found else []
        if not candidates:
            return model
        model = candidates[0]
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]
