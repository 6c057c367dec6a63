"""The bytes of a value within a JSON body, cut as they arrived.

A provider signed bytes: a number written `1.0`, a space or an escape would not survive being parsed
and written again. Total: whatever the body is, an answer or None, in time linear in its length. The
body is read as `json.loads` reads it (the last of a repeated key counts), but as UTF-8 only.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from gateway.core.fields import steps_of

DECODER: Final = json.JSONDecoder()
BLANK: Final = re.compile(r"[ \t\n\r]*")
# Lone surrogates are what json.loads lets pass, and encoding them back gives the same bytes.
LENIENT: Final = "surrogatepass"


def slices(body: bytes, path: str) -> list[tuple[Any, bytes]] | None:
    """Each element of the list at a dotted path (`$` is the root): its value, and its bytes.

    The step `*` takes every element of a list, and joins the lists found in them. None when the path
    leads to no list, or the body is no JSON.
    """
    return _found(body, path, _elements)


def cut(body: bytes, path: str) -> tuple[bytes, Any, bytes] | None:
    """The bytes before the value at a dotted path, the value, and the bytes after it."""
    found = _found(body, path, _place)
    return found[0] if found else None


def first(body: bytes) -> bytes | None:
    """The bytes of the first element of a body that is known to be a JSON list.

    None when it is empty, or no UTF-8.
    """
    try:
        cursor = _Cursor(body.decode("utf-8", LENIENT))
        return cursor.raw()[1] if cursor.takes("[") and not cursor.takes("]") else None
    except (ValueError, RecursionError):
        return None


class _Cursor:
    """A place in a text. What reads a value leaves the cursor behind it, or raises ValueError."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = int(text.startswith("\ufeff"))
        self.skip_blanks()

    def takes(self, mark: str) -> bool:
        """Whether `mark` comes next, but for blanks; and steps over it and the blanks behind it."""
        self.skip_blanks()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        self.skip_blanks()
        return True

    def skip_blanks(self) -> None:
        # Most often there are none, and asking is cheaper than matching.
        if self.text[self.at : self.at + 1].isspace() and (blanks := BLANK.match(self.text, self.at)):
            self.at = blanks.end()

    def value(self) -> Any:
        value, self.at = DECODER.raw_decode(self.text, self.at)
        return value

    def raw(self) -> tuple[Any, bytes]:
        start = self.at
        value = self.value()
        return value, self.text[start : self.at].encode("utf-8", LENIENT)

    def entries(self, close: str) -> Iterator[int]:
        """Counts the entries up to the closing bracket; whoever asks reads each before the next."""
        if self.takes(close):
            return
        count = 0
        while True:
            yield count
            if self.takes(close):
                return
            self.expect(",")
            count += 1

    def members(self) -> Iterator[str]:
        """The key of each entry; whoever asks reads the value behind it."""
        for _ in self.entries("}"):
            if not self.text.startswith('"', self.at):
                raise ValueError("a key is a string")
            key: str = self.value()
            self.expect(":")
            yield key

    def expect(self, mark: str) -> None:
        if not self.takes(mark):
            raise ValueError(f"{mark} is missing")


Reader = Callable[[_Cursor], list[Any] | None]


def _found(body: bytes, path: str, read: Reader) -> list[Any] | None:
    try:
        cursor = _Cursor(body.decode("utf-8", LENIENT))
        found = _walk(cursor, steps_of(path), read)
        cursor.skip_blanks()
    except (ValueError, RecursionError):
        return None
    return found if cursor.at == len(cursor.text) else None


def _walk(cursor: _Cursor, steps: Sequence[str], read: Reader) -> list[Any] | None:
    """One pass, also over what the path does not lead to: a later key may be the one that counts."""
    if not steps:
        return read(cursor)
    found = None
    if cursor.takes("{"):
        for key in cursor.members():
            if key == steps[0]:
                found = _walk(cursor, steps[1:], read)
            else:
                cursor.value()
    elif (steps[0] == "*" or steps[0].isdecimal()) and cursor.takes("["):
        found = _walk_list(cursor, steps, read)
    else:
        cursor.value()
    return found


def _walk_list(cursor: _Cursor, steps: Sequence[str], read: Reader) -> list[Any] | None:
    every, index, parts = steps[0] == "*", -1, []
    for index in cursor.entries("]"):
        if every or steps[0] == str(index):
            parts.append(_walk(cursor, steps[1:], read))
        else:
            cursor.value()
    lists = [part for part in parts if part is not None]
    is_empty = every and index < 0
    return [each for part in lists for each in part] if lists or is_empty else None


def _elements(cursor: _Cursor) -> list[Any] | None:
    if not cursor.takes("["):
        cursor.value()
        return None
    return [cursor.raw() for _ in cursor.entries("]")]


def _place(cursor: _Cursor) -> list[Any]:
    start = cursor.at
    value = cursor.value()
    before, after = cursor.text[:start], cursor.text[cursor.at :]
    return [(before.encode("utf-8", LENIENT), value, after.encode("utf-8", LENIENT))]
