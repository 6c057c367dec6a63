"""Where signatures stand in a request, and how several are packed into one value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.core.encoding import DECODERS, ENCODERS
from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.template import Reference

MAX_VALUE: Final = 4096
MAX_CANDIDATES: Final = 8  # a rotation needs two; an unbounded list is a way to burn our CPU


class Candidates(NamedTuple):
    """Decoded signatures, and the text of the time that stands beside them."""

    signatures: tuple[bytes, ...]
    ts: bytes | None = None


@dataclass(frozen=True, slots=True)
class SignaturePlaces:
    """`form`: "single" (prefix + signature), "list" (several, separated), "pairs" (t=..,v1=..),
    "positional" (time, then signatures). `groups` separates several such values in one field.

    A header's name may end with `*`: every header that begins so. Of several places each counts.
    """

    places: tuple[Reference, ...]
    form: str = "single"
    encoding: str = "hex"
    prefix: bytes = b""
    prefix_optional: bool = False
    separator: bytes = b","
    pair_separator: bytes = b"="
    signature_key: bytes = b"v1"
    timestamp_key: bytes = b"t"
    groups: bytes = b""
    _header: bytes = field(init=False, repr=False, compare=False)
    """The one header that it is all in; empty where it is not as simple as that."""

    def __post_init__(self) -> None:
        place = self.places[0]
        simple = len(self.places) == 1 and not self.groups and place.kind == "header"
        header = place.name.encode() if simple and not place.name.endswith("*") else b""
        object.__setattr__(self, "_header", header)

    def read(self, fields: Fields) -> list[Candidates] | Refusal:
        """The groups of candidate signatures, at least one with at least one in it."""
        value = fields.request.headers.one(self._header)
        if value and value.strip() and len(value) <= MAX_VALUE:  # as most providers sign
            texts, ts = FORMS[self.form](self, value)
            if len(texts) <= MAX_CANDIDATES and (signatures := self._decoded(texts)):
                return [Candidates(signatures, ts)]
            return Refusal.MALFORMED_SIGNATURE
        return self._read_all(fields)

    def _read_all(self, fields: Fields) -> list[Candidates] | Refusal:
        values: list[bytes] = []
        for place in self.places:
            found = _values(fields, place)
            if isinstance(found, Refusal):
                return found
            values += found
        if not values:
            return Refusal.MISSING_SIGNATURE
        if max(map(len, values)) > MAX_VALUE:
            return Refusal.MALFORMED_SIGNATURE
        if self.groups:
            values = [group for value in values for group in value.split(self.groups)]
        read = [FORMS[self.form](self, value) for value in values]
        if sum(len(texts) for texts, _ in read) > MAX_CANDIDATES:
            return Refusal.MALFORMED_SIGNATURE
        groups = [Candidates(self._decoded(texts), ts) for texts, ts in read]
        sound = [group for group in groups if group.signatures]
        return sound or Refusal.MALFORMED_SIGNATURE

    def write(self, signature: bytes, ts: bytes) -> bytes:
        """The value that carries one signature, and the time's text where there is one."""
        text = self.prefix + ENCODERS[self.encoding](signature)
        if self.form == "pairs":
            pairs = ((self.timestamp_key, ts), (self.signature_key, text))
            present = [key + self.pair_separator + value for key, value in pairs if value]
            return self.separator.join(present)
        return ts + self.separator + text if self.form == "positional" else text

    def _decoded(self, texts: list[bytes]) -> tuple[bytes, ...]:
        decode = DECODERS[self.encoding]
        return tuple([value for text in texts if (value := decode(text))])

    def _unprefixed(self, items: list[bytes]) -> list[bytes]:
        if self.prefix_optional:
            return [item.removeprefix(self.prefix) for item in items]
        size = len(self.prefix)
        return [item[size:] for item in items if item.startswith(self.prefix)]


def _values(fields: Fields, place: Reference) -> list[bytes] | Refusal:
    if place.kind != "header":
        value = fields.lookup(place.kind, place.name)
        return [value] if value and value.strip() else []
    headers, name = fields.request.headers, place.name.encode()
    if name.endswith(b"*"):
        return [value for key, value in headers.raw if key.startswith(name[:-1]) and value.strip()]
    found = headers.all(name)
    if len(found) > 1:  # a proxy may have read another copy than we would
        return Refusal.DUPLICATED_SIGNATURE
    return found if found and found[0].strip() else []


Read = tuple[list[bytes], bytes | None]


def _single(places: SignaturePlaces, value: bytes) -> Read:
    return places._unprefixed([value]), None


def _list(places: SignaturePlaces, value: bytes) -> Read:
    return places._unprefixed([item.strip() for item in value.split(places.separator)]), None


def _pairs(places: SignaturePlaces, value: bytes) -> Read:
    pairs = [item.strip().partition(places.pair_separator) for item in value.split(places.separator)]
    stamps = [text for key, _, text in pairs if key == places.timestamp_key]
    signatures = [text for key, _, text in pairs if key == places.signature_key]
    # Two timestamps are an attempt to have one signed and another one judged.
    return places._unprefixed(signatures), stamps[0] if len(stamps) == 1 else None


def _positional(places: SignaturePlaces, value: bytes) -> Read:
    ts, *signatures = value.split(places.separator)
    return places._unprefixed(signatures), ts


FORMS: Final[dict[str, Callable[[SignaturePlaces, bytes], Read]]] = {
    "single": _single,
    "list": _list,
    "pairs": _pairs,
    "positional": _positional,
}
