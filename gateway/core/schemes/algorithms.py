"""Keyed digests: HMAC, and plain hashes that have the secret among the hashed parts.

Public-key algorithms have the same shape and live in `gateway/crypto`, with the package they need.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.core.verification import SecretError


class Algorithm(Protocol):
    """What makes a signature of bytes, named by a preset, never by a request."""

    def load_key(self, secret: bytes) -> Any:
        """A decoded secret (or public key) as this algorithm works with it. Raises SecretError."""

    def matches(self, key: Any, parts: Sequence[bytes], candidates: Sequence[bytes]) -> bool:
        """Whether one of the candidates is the signature of the joined parts. In constant time where
        the key is secret; every candidate is tried. Never raises."""

    def sign(self, key: Any, parts: Sequence[bytes]) -> bytes:
        """The signature of the joined parts."""


@dataclass(frozen=True, slots=True)
class Hmac:
    digest: str

    def load_key(self, secret: bytes) -> Any:
        """Keyed once, copied per request: keying costs two compressions that never change."""
        if not secret:
            raise SecretError("is empty")
        return hmac.new(secret, digestmod=self.digest)

    def matches(self, key: Any, parts: Sequence[bytes], candidates: Sequence[bytes]) -> bool:
        return any_equal(self.sign(key, parts), candidates)

    def sign(self, key: Any, parts: Sequence[bytes]) -> bytes:
        mac = key.copy()
        for part in parts:
            mac.update(part)
        return bytes(mac.digest())


@dataclass(frozen=True, slots=True)
class PlainHash:
    """The secret is one of the parts: its template says where."""

    digest: str

    def load_key(self, secret: bytes) -> Any:
        if not secret:
            raise SecretError("is empty")
        return HashSecret(secret)

    def matches(self, key: Any, parts: Sequence[bytes], candidates: Sequence[bytes]) -> bool:
        return any_equal(self.sign(key, parts), candidates)

    def sign(self, key: Any, parts: Sequence[bytes]) -> bytes:  # noqa: ARG002 - its secret is in the parts
        return hashlib.new(self.digest, b"".join(parts), usedforsecurity=False).digest()


class HashSecret:
    """A secret that is hashed in its place. Hidden from repr: tracebacks with variables print keys."""

    __slots__ = ("secret",)

    def __init__(self, secret: bytes) -> None:
        self.secret = secret


def any_equal(expected: bytes, candidates: Sequence[bytes]) -> bool:
    """Every candidate is compared, always, in constant time."""
    found = False
    for candidate in candidates:
        found |= hmac.compare_digest(expected, candidate)
    return found


ALGORITHMS: Final[dict[str, Algorithm]] = {
    **{f"hmac-{name}": Hmac(name) for name in ("md5", "sha1", "sha256", "sha384", "sha512")},
    **{f"hash-{name}": PlainHash(name) for name in ("md5", "sha1", "sha256", "sha512")},
}
