"""Order and staleness: which deliveries of a processor stand in one line, and which is the newer one.

Everything here is total: any event gives an answer, and where a path leads to nothing that can be used
the answer is "no order" or "no version".
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from gateway.core.event import Turn, base32
from gateway.core.fields import MISSING
from gateway.core.json_path import Path, PathError, Subject, parse_path

BY_ARRIVAL: Final = "a"
"""The version where the later arrival is the newer one: the ledger numbers it."""

DIGITS: Final = 30  # before the point, and as many after it: with sign and kind below 64 bytes
NUMBER: Final = re.compile(r"[-+]?[0-9]{1,30}(?:\.[0-9]{1,30})?", re.ASCII)
TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?"
    r"(?:[Zz]|([+-])(\d\d):?(\d\d))?)?",
    re.ASCII,
)
COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")


class OrderError(ValueError):
    """The declaration is wrong: the text says what and how to mend it."""


@dataclass(frozen=True, slots=True)
class Order:
    """How the deliveries of one processor stand in line: by the values at `paths`.

    `blocks`: a dead one keeps those behind it waiting. `latest_only`: one that a newer one has
    overtaken never runs; which is newer, the value at `version` says, or without it the arrival.
    """

    paths: tuple[Path, ...]
    blocks: bool = False
    latest_only: bool = False
    version: Path | None = None

    def turn(self, number: int, processor: str, subject: Subject) -> Turn | None:
        """None when the event has no value at one of the paths: then it stands in no line."""
        values = [each.of(subject) for each in self.paths]
        if not all(isinstance(each, str | int | float) for each in values):
            return None
        key = key_of(processor, values)
        return Turn(number, key, self.blocks, self._version(subject) if self.latest_only else "")

    def _version(self, subject: Subject) -> str:
        return BY_ARRIVAL if self.version is None else version_text(self.version.of(subject))


def turns_of(
    processors: Sequence[str], orders: Mapping[str, Order], subject: Subject
) -> tuple[Turn, ...]:
    """Of those processors that keep an order, where the event has a place in it."""
    found = (
        orders[name].turn(number, name, subject)
        for number, name in enumerate(processors, 1)
        if name in orders
    )
    return tuple(turn for turn in found if turn)


def parse_order(
    order_by: str | Sequence[str] | None,
    on_dead: str = "skip",
    latest_only: bool = False,
    version: str | None = None,
) -> Order | None:
    """None: no order is asked for. Raises OrderError."""
    if on_dead not in ("skip", "block"):
        raise OrderError(f"on_dead is {on_dead!r}: write 'skip' or 'block'")
    if version is not None and not latest_only:
        raise OrderError("version says which event is newer: it needs latest_only=True")
    paths = [order_by] if isinstance(order_by, str) else list(order_by or ())
    if order_by is None:
        if latest_only or on_dead != "skip":
            what = "latest_only" if latest_only else "on_dead"
            raise OrderError(f"{what} needs order_by, the path to what tells one line from another")
        return None
    if not paths:
        raise OrderError("order_by names no path: write one such as 'data.object.customer'")
    return Order(
        tuple(_path(each, "order_by") for each in paths),
        on_dead == "block",
        latest_only,
        None if version is None else _path(version, "version"),
    )


def _path(text: Any, name: str) -> Path:
    if not isinstance(text, str):
        raise OrderError(f"{name} takes paths, which are text, and not {text!r}")
    try:
        return parse_path(text)
    except PathError as error:
        raise OrderError(f"{name}: {error}") from None


def key_of(processor: str, values: Sequence[str | int | float]) -> str:
    """What names a line in the ledger: nothing of the payload can be read in it.

    Values of different types are different: 1 is not "1". 130 bits in 26 digits: no accidental clash.
    """
    text = json.dumps(list(values))
    digest = hashlib.blake2b(f"{processor}\0{text}".encode("utf-8", "backslashreplace"), digest_size=16)
    return base32(digest.digest())


def version_text(value: Any) -> str:
    """A number, its digits as text, or an ISO 8601 time as text that sorts as the values do; else "".

    Numbers and times are two kinds, which the ledger never compares. A time without an offset is UTC.
    Exact: as many as 30 digits before the point and 30 after it.
    """
    if isinstance(value, bool) or value is MISSING:
        return ""
    if isinstance(value, int | float):
        return _number(_plain(value))
    if not isinstance(value, str):
        return ""
    text = value.strip()
    return _number(text) if NUMBER.fullmatch(text) else _time(text)


def _plain(value: float) -> str:
    """Without an exponent; "" for what is no number. The shortest text that gives the float again."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**DIGITS else ""
    return format(Decimal(repr(value)), "f")


def _number(text: str, kind: str = "n") -> str:
    if not NUMBER.fullmatch(text):
        return ""
    whole, _, fraction = text.lstrip("+-").partition(".")
    digits = whole.rjust(DIGITS, "0") + fraction.ljust(DIGITS, "0")
    if text.startswith("-") and digits.strip("0"):
        return f"{kind}0{digits.translate(COMPLEMENT)}"
    return f"{kind}1{digits}"


def _time(text: str) -> str:
    """As the seconds since the first day of the year 1, less one: never negative."""
    match = TIME.fullmatch(text)
    if not match:
        return ""
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, sign, hours, minutes = match.groups()[6:]
    try:
        days = date(year, month, day).toordinal()
    except ValueError:
        return ""
    away = (int(hours or 0) * 60 + int(minutes or 0)) * (-60 if sign == "-" else 60)
    if hour > 23 or minute > 59 or second > 60 or abs(away) >= 86400:
        return ""
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - away
    return _number(f"{seconds}.{fraction or 0}", "t")
