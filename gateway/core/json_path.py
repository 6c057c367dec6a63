"""Paths to a value of an event, as configuration and processors write them, and what they look into.

``data.object.customer`` and ``items.0.sku`` go into the JSON body (a dot in a key is ``\\.``),
``header:x-name`` is a header, ``type`` the event's type; ``$.type`` is the body's own ``type``, and
``$`` the whole body. Where several values are meant, ``labels.*.name`` is one of each element.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.event import Event
from gateway.core.fields import MISSING, ROOT, dig, dig_all, parse_json, steps_of
from gateway.core.request import Headers

TYPE: Final = "type"
HEADER: Final = "header:"
EACH: Final = "*"
MAX_PATH: Final = 200
MAX_STEPS: Final = 32
EXAMPLES: Final = "data.object.status, items.0.sku, header:x-name, type, or $.type for the body's own"


class PathError(ValueError):
    """The path is malformed: `problem` and `mend` as in a fault."""

    def __init__(self, problem: str, mend: str) -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(f"{problem} → {mend}")


class Subject:
    """What paths look into: one event. Its body is parsed at most once, when a path first needs it.

    `parsed` gives the body's JSON, or MISSING, where somebody has it already. Of one event only.
    """

    __slots__ = ("_json", "_parsed", "headers", "type")

    def __init__(self, event: Event, parsed: Callable[[], Any] | None = None) -> None:
        self.type = event.type
        self.headers = Headers(event.headers)
        self._parsed = parsed or (lambda: parse_json(event.body))
        self._json: Any = None

    def json(self) -> Any:
        """The body as JSON, or MISSING when it is none."""
        if self._json is None:
            self._json = (self._parsed(),)
        return self._json[0]


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `text` as it was written; `keys` is its part inside a JSON value.

    `many`: it has a `*`, and is for `all_of`.
    """

    text: str
    keys: str = ""
    header: bytes = b""
    many: bool = False

    @property
    def place(self) -> str:
        """As templates name it: `json.data.amount`, `header.x-name`; or `type`."""
        if self.keys:
            return f"json.{self.keys}"
        return f"header.{self.header.decode()}" if self.header else self.text

    def find(self, payload: Any) -> Any:
        """The value in a JSON value, or MISSING: also for a path that does not go into the JSON."""
        return dig(payload, self.keys) if self.keys else MISSING

    def of(self, subject: Subject) -> Any:
        """The value of an event, or MISSING. A header is text; a repeated one is ambiguous: MISSING."""
        if self.keys:
            return dig(subject.json(), self.keys)
        return _text(subject.headers.one(self.header)) if self.header else subject.type

    def all_of(self, subject: Subject) -> list[Any]:
        """Every value that is there, where `*` in the path takes each element of a list."""
        if self.keys:
            return dig_all(subject.json(), self.keys)
        found = self.of(subject)
        return [] if found is MISSING else [found]


def _text(value: bytes | None) -> Any:
    """Of any bytes, and different for different ones."""
    return MISSING if value is None else value.decode("utf-8", "surrogateescape")


def parse_path(text: str, *, many: bool = False) -> Path:
    """Raises PathError for a path that can lead nowhere, and for `*` where one value is meant."""
    if not text or len(text) > MAX_PATH or not text.isprintable():
        raise PathError(
            f"{text[:40]!r} is no path: it needs 1 to {MAX_PATH} printable characters",
            f"write one such as {EXAMPLES}",
        )
    if text == TYPE:
        return Path(text)
    if text.startswith(HEADER):
        return Path(text, header=_header(text))
    keys = text.removeprefix(f"{ROOT}.")
    _check(keys, text, many)
    return Path(text, keys, many=EACH in steps_of(keys))


def _header(text: str) -> bytes:
    name = text.removeprefix(HEADER).strip().lower()
    if not name or not name.isascii() or any(sign in name for sign in ' ":(),/;<=>?@[\\]{}'):
        raise PathError(f"{text!r} names no header", "write header: and its name: header:x-name")
    return name.encode()


def _check(keys: str, text: str, many: bool) -> None:
    steps = steps_of(keys)
    if len(steps) > MAX_STEPS:
        raise PathError(f"{text!r} has more than {MAX_STEPS} steps", "write a shorter path")
    if "" in steps:
        raise PathError(
            f"{text!r} has an empty step", "remove the dot too many; a dot in a key is written \\."
        )
    if any(EACH in step and (not many or step != EACH) for step in steps):
        problem = f"{text!r} has a *"
        if many:
            raise PathError(f"{problem} inside a key", "write * as a step of its own: labels.*.name")
        raise PathError(f"{problem}, and one value is meant here", "name an element: items.0.sku")
