"""A shared token: GitLab, Telegram, a bearer header, a query value. The body is not covered."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote_from_bytes

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.template import Reference
from gateway.core.verification import Match, SecretError


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A token to be equal to. Hidden from repr: tracebacks with local variables print keys."""

    token: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, token: bytes) -> "TokenKey":
        return cls(token, hashlib.sha256(token).digest())


@dataclass(frozen=True, slots=True)
class TokenScheme:
    """`place` is where the token stands: a header or a query value. `prefix` such as b"Bearer "."""

    place: Reference
    prefix: bytes = b""

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        if not secret:
            raise SecretError("is empty")
        return TokenKey.of(secret)

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:  # noqa: ARG002 - the scheme's interface; a token has no time
        if self.place.kind == "header":
            values = fields.request.headers.all(self.place.name.encode())
            if len(values) > 1:
                return Refusal.DUPLICATED_SIGNATURE
        value = fields.lookup(self.place.kind, self.place.name)
        if not value:
            return Refusal.MISSING_SIGNATURE
        if not value.startswith(self.prefix):
            return Refusal.MALFORMED_SIGNATURE
        return match_token(value[len(self.prefix) :], keys)

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:  # noqa: ARG002
        text = self.prefix + key.token
        if self.place.kind == "header":
            return replace(request, headers=request.headers.with_(self.place.name.encode(), text))
        pair = f"{quote_from_bytes(self.place.name.encode())}={quote_from_bytes(text)}".encode()
        return replace(request, query=b"&".join(filter(None, (request.query, pair))))


def match_token(value: bytes, keys: Sequence[TokenKey]) -> Match | Refusal:
    """Compares digests, so that not even the length of a secret can be timed."""
    digest = hashlib.sha256(value).digest()
    matches = [hmac.compare_digest(digest, key.digest) for key in keys]
    return Match(matches.index(True)) if True in matches else Refusal.SIGNATURE_MISMATCH
