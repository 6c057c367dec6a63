"""What is planted, and the places where each may be found: a word that nothing else contains, for every
way in which a secret or somebody's data gets into a deployment.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from typing import Final

AT_REST: Final = ("aof", "spool", "redis hookline:body", "cli events show")
"""Where an accepted request is kept whole, or shown to an operator who asks for it."""
REFUSED: Final = ("aof", "redis hookline:refused_requests", "cli refused show")
WHOLE: Final = ("aof", "redis hookline:quarantine_requests", "cli refused show")
NOTES: Final = (*AT_REST, "redis hookline:attempts", "cli dead-letters *")
HEADERS: Final = ("aof", "spool", "redis hookline:body")
"""A processor gets the event's headers as they came; no command shows them."""
ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    # Of the configuration: nowhere.
    "signing secret (env)": (),
    "signing secret (file)": (),
    "rotated secret": (),
    "base64 secret, written": (),
    "base64 secret, decoded": (),
    "password of redis": (),
    "admin token": (),
    "another variable": (),
    # Secrets that a request carries.
    "token in a header": HEADERS,
    "password of basic-auth": HEADERS,
    "token in a query": (),
    "token, refused for its address": (),
    "signature, refused for its address": (),
    "wrong token": (),
    "a cookie": HEADERS,
    # What somebody sent.
    "accepted body": AT_REST,
    "accepted header": AT_REST,
    "accepted query": (),
    "spooled body": AT_REST,
    "refused body": REFUSED,
    "refused header": (),
    "refused query": (),
    "quarantined body": WHOLE,
    "unknown path": (),
    "oversized body": (),
    "oversized header": (),
    "forwarded-for": AT_REST,
    "no HTTP": (),
    "dead letter's body": AT_REST,
    # What processors do with it.
    "exception's text": NOTES,
    "exception's cause": NOTES,
    "reason of a discard": NOTES,
    "a field that does not fit": NOTES,
    "emitted payload": AT_REST,
    "result of a step": (*AT_REST, "redis hookline:steps"),
    "local variable": (),
}


@dataclass(frozen=True, slots=True)
class Canary:
    """`text` is what is planted; `forms` how it may turn up."""

    name: str
    text: str

    @property
    def allowed(self) -> tuple[str, ...]:
        return ALLOWED[self.name]

    def may_be_in(self, place: str) -> bool:
        return any(fnmatch(place, pattern) for pattern in self.allowed)

    @property
    def forms(self) -> tuple[bytes, ...]:
        return _forms(self.text)


@cache
def _forms(text: str) -> tuple[bytes, ...]:
    """As it is, in hexadecimal, and in base64 wherever it begins in what is encoded with it."""
    raw = text.encode()
    encoded = (base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3))
    return (raw, raw.hex().encode(), *encoded)


class Canaries:
    """All of them, the same for the same seed: canaries["accepted body"] is the text."""

    def __init__(self, seed: int) -> None:
        self._all = {name: Canary(name, _text(seed, name)) for name in ALLOWED}
        # What a base64 secret becomes by decoding is another word than it was.
        decoded = self["base64 secret, decoded"].encode()
        name = "base64 secret, written"
        self._all[name] = Canary(name, base64.b64encode(decoded).decode())

    def __getitem__(self, name: str) -> str:
        return self._all[name].text

    def __iter__(self) -> Iterator[Canary]:
        return iter(self._all.values())


def _text(seed: int, name: str) -> str:
    return "cnr" + hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:33]
