"""Sample webhook bodies, one folder a preset and one file an event type, written for this project.

A body is the file, byte for byte, less its last newline. In a file's name `__` stands for the
slash of a type (`orders__create.json`); a `.form` file is a slash command, of type `/deploy`.
People, companies and ids are invented.
"""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import Final

CONTENT_TYPES: Final = {
    ".json": "application/json",
    ".form": "application/x-www-form-urlencoded",
}


class UnknownSample(LookupError):  # noqa: N818 - says what is missing, as KeyError does
    """No such sample: the message lists those that exist."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A body as `preset`'s provider would send it for an event of `type`. It is not signed."""

    type: str
    body: bytes
    content_type: str


def load(preset: str, event_type: str) -> Sample:
    """The sample of one event type. Raises UnknownSample, with the types that there are."""
    found = _files(preset)
    if event_type not in found:
        raise UnknownSample(
            f"no sample {event_type!r} of {preset!r}; there are: {', '.join(sorted(found))}"
        )
    file = found[event_type]
    return Sample(event_type, file.read_bytes().removesuffix(b"\n"), CONTENT_TYPES[_suffix(file)])


def types(preset: str) -> list[str]:
    """The event types that have a sample, sorted. Raises UnknownSample for a preset without any."""
    return sorted(_files(preset))


def presets() -> list[str]:
    """The presets that have samples, sorted."""
    return sorted(each.name for each in files(__name__).iterdir() if _samples(each))


def _files(preset: str) -> dict[str, Traversable]:
    for folder in files(__name__).iterdir():
        # Compared, never joined: a name from the command line must not lead out of this package.
        if folder.name == preset and (found := _samples(folder)):
            return found
    raise UnknownSample(f"no samples of {preset!r}; there are some of: {', '.join(presets())}")


def _samples(folder: Traversable) -> dict[str, Traversable]:
    if not folder.is_dir():
        return {}
    return {_type(file): file for file in folder.iterdir() if _suffix(file) in CONTENT_TYPES}


def _type(file: Traversable) -> str:
    stem = PurePath(file.name).stem
    return f"/{stem}" if _suffix(file) == ".form" else stem.replace("__", "/")


def _suffix(file: Traversable) -> str:
    return PurePath(file.name).suffix
