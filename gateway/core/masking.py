"""What of a refused request may be read by people: enough to see what it is, never what proves origin.

A refusal is often a fault of the configuration: then the request is genuine, and so are its token and
its signature, wherever the sender puts them. So the places that the scheme reads are masked, and every
name that sounds of secrets, and of all others what is as long as a secret, unless the name tells what
it is.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, Final
from urllib.parse import unquote

from gateway.core.template import Reference

Pairs = tuple[tuple[bytes, bytes], ...]

SHORTEST_SECRET: Final = 16  # bytes; the configuration takes no shorter one
SECRET_NAME: Final = re.compile(
    r"auth|sign|sig$|cookie|token|secret|hmac|key|passw|jwt|session|credential|digest|checksum|hash"
    r"|assertion|code$|seal",
    re.IGNORECASE,
)
TELLING_NAME: Final = re.compile(
    r"accept(-.*)?|content-(type|length|encoding|language|md5)|user-agent|host|date|connection|via"
    r"|transfer-encoding|forwarded|x-forwarded-.*|x-real-ip|traceparent|baggage"
    r"|.*[-_](id|delivery|uuid|guid|time|timestamp|topic|event|type|version|domain|retry)",
    re.IGNORECASE,
)
NOT_PLACES: Final = ("message", "messages", "timestamp", "claims", "identity")
IN_THE_HEAD: Final = ("header.", "query.")


def proof_places(scheme: Any) -> frozenset[str]:
    """Where a scheme reads what proves origin: `header.x-door`, `query.token`, `json.token`.

    Found by looking at its options, so that a new scheme need not remember to say it.
    """
    found = frozenset(f"{each.kind}.{each.name}" for each in _references(scheme) if each.name)
    header = getattr(scheme, "header", b"")
    return found | ({f"header.{header.decode('latin-1').lower()}"} if header else frozenset())


def _references(value: Any) -> Iterable[Reference]:
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _references(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            if each.name not in NOT_PLACES:
                yield from _references(getattr(value, each.name))


def body_is_proof(proof: Collection[str]) -> bool:
    """Whether the body holds what proves origin: then none of it is for reading."""
    return any(not place.startswith(IN_THE_HEAD) for place in proof)


def masked_headers(headers: Pairs, proof: Collection[str] = ()) -> Pairs:
    """The same headers; of what may be secret, only the length."""
    return tuple(
        (name, _masked(f"header.{name.decode('latin-1').lower()}", value, proof))
        for name, value in headers
    )


def masked_url(url: str, proof: Collection[str] = ()) -> str:
    """The same URL; of values of its query that may be secret, only the length."""
    path, mark, query = url.partition("?")
    return path + mark + "&".join(_masked_pair(pair, proof) for pair in query.split("&"))


def _masked_pair(pair: str, proof: Collection[str]) -> str:
    name, equals, value = pair.partition("=")
    if not equals:  # a value without a name
        return _masked("query.", name.encode("utf-8", "replace"), proof).decode("utf-8", "replace")
    place = f"query.{unquote(name)}"
    return (
        f"{name}={_masked(place, value.encode('utf-8', 'replace'), proof).decode('utf-8', 'replace')}"
    )


def _masked(place: str, value: bytes, proof: Collection[str]) -> bytes:
    name = place.partition(".")[2]
    secret = is_proof(place, proof) or SECRET_NAME.search(name)
    harmless = TELLING_NAME.fullmatch(name) or len(value) < SHORTEST_SECRET
    return value if harmless and not secret else b"*** (%d bytes)" % len(value)


def is_proof(place: str, proof: Collection[str]) -> bool:
    """Whether `header.x-door` is among them. A header's name may end with `*`: all that begin so."""
    return any(place.startswith(each[:-1]) if each.endswith("*") else place == each for each in proof)
