"""Structured fields (RFC 8941), as much of them as message signatures need: dictionaries of inner lists
of strings, and dictionaries of byte sequences. Strict, and linear in the header's length.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.encoding import decode_base64

# Possessive are single characters only: Python before 3.11.5 forgets where a possessive group began
# that did not match to its end. No group can be read in two ways, so nothing is tried twice.
KEY: Final = rb"[a-z*][a-z0-9_.*-]*+"
STRING: Final = rb'"(?:[ !#-\[\]-~]|\\["\\])*"'
INTEGER: Final = rb"-?[0-9]{1,15}+(?![0-9.])"
BYTES: Final = rb":([A-Za-z0-9+/]*+={0,2}+):"
TOKEN: Final = rb"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*+"
BARE: Final = (
    rb"(?:" + rb"|".join((STRING, INTEGER, rb":[A-Za-z0-9+/]*+={0,2}+:", rb"\?[01]", TOKEN)) + rb")"
)
PARAM: Final = rb"; *+(" + KEY + rb")(?:=(" + BARE + rb"))?"
PARAMS: Final = rb"(?:; *+" + KEY + rb"(?:=" + BARE + rb")?)*"
ITEM: Final = STRING + PARAMS
LIST: Final = rb"\( *+((?:" + ITEM + rb"(?: ++" + ITEM + rb")*)?) *+\)(" + PARAMS + rb")"

MEMBER_KEY: Final = re.compile(rb"(" + KEY + rb")=")
COMMA: Final = re.compile(rb"[ \t]*+,[ \t]*+")
INNER_LIST: Final = re.compile(LIST)
BYTE_SEQUENCE: Final = re.compile(BYTES)
ONE_PARAM: Final = re.compile(PARAM)
ONE_ITEM: Final = re.compile(rb"(" + STRING + rb")(" + PARAMS + rb")")


@dataclass(frozen=True, slots=True)
class Item:
    """A string with its parameters; `text` is both, spelled as RFC 8941 writes them."""

    value: bytes
    params: Mapping[bytes, bytes]
    text: bytes


@dataclass(frozen=True, slots=True)
class InnerList:
    items: tuple[Item, ...]
    params: Mapping[bytes, bytes]
    text: bytes


def byte_sequences(header: bytes) -> dict[bytes, bytes] | None:
    """``a=:aGk=:, b=:...:``; None for anything else. Each base64 text has one spelling only."""
    members = _members(header, BYTE_SEQUENCE)
    if members is None:
        return None
    values = {key: decode_base64(found[1]) for key, found in members.items()}
    return {key: value for key, value in values.items() if value} if all(values.values()) else None


def inner_lists(header: bytes) -> dict[bytes, InnerList] | None:
    """``sig1=("@method" "date");created=1``; None for anything else."""
    members = _members(header, INNER_LIST)
    if members is None:
        return None
    lists = {key: _inner_list(found) for key, found in members.items()}
    return {key: each for key, each in lists.items() if each} if all(lists.values()) else None


def unquoted(text: bytes | None) -> bytes | None:
    """The content of a quoted string; None for a value of another type."""
    if not text or text[:1] != b'"':
        return None
    return re.sub(rb"\\(.)", rb"\1", text[1:-1])


def integer(text: bytes | None) -> int | None:
    return int(text) if text and re.fullmatch(INTEGER, text) else None


def _members(header: bytes, value: re.Pattern[bytes]) -> dict[bytes, re.Match[bytes]] | None:
    """The dictionary's members; None when one is of another form or stands twice."""
    members: dict[bytes, re.Match[bytes]] = {}
    header, position = header.strip(b" \t"), 0
    while key := MEMBER_KEY.match(header, position):
        found = value.match(header, key.end())
        if not found or members.get(key[1]) is not None:
            return None
        members[key[1]] = found
        if found.end() == len(header):
            return members
        comma = COMMA.match(header, found.end())
        if not comma:
            return None
        position = comma.end()
    return None


def _inner_list(found: re.Match[bytes]) -> InnerList | None:
    items = [_item(each) for each in ONE_ITEM.finditer(found[1])]
    params = _params(found[2])
    whole = [each for each in items if each]
    if params is None or len(whole) < len(items):
        return None
    text = b"(" + b" ".join(each.text for each in whole) + b")" + _spelled(params)
    return InnerList(tuple(whole), params, text)


def _item(found: re.Match[bytes]) -> Item | None:
    params = _params(found[2])
    if params is None:
        return None
    return Item(unquoted(found[1]) or b"", params, found[1] + _spelled(params))


def _params(text: bytes) -> dict[bytes, bytes] | None:
    """Values as they are spelled; a bare name is true (`?1`). None when a name stands twice."""
    pairs = [(found[1], found[2] or b"?1") for found in ONE_PARAM.finditer(text)]
    params = dict(pairs)
    return params if len(params) == len(pairs) else None


def _spelled(params: Mapping[bytes, bytes]) -> bytes:
    spelled = [b";" + key + (b"=" + value if value != b"?1" else b"") for key, value in params.items()]
    return b"".join(spelled)
