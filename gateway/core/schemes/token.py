"""A shared token: GitLab, Telegram, a bearer header, a query or body value. The body is not covered."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.core.fields import Fields, dig_all, scalar
from gateway.core.outcomes import Refusal
from gateway.core.placing import fits, put
from gateway.core.request import InboundRequest
from gateway.core.template import Reference
from gateway.core.verification import Match, SecretError, take_as_long

MAX_VALUES: Final = 1000


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
    """The first of `places` where something stands counts. `prefix` such as b"Bearer ".

    A JSON path with `*` names several values: every one must be the token (Microsoft Graph).
    """

    places: tuple[Reference, ...]
    prefix: bytes = b""

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        if not secret:
            raise SecretError("is empty")
        return TokenKey.of(secret)

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:  # noqa: ARG002 - the scheme's interface; a token has no time
        values: list[bytes] = []
        for place in self.places:
            values = values or _values(fields, place)
        if not any(values):
            return Refusal.MISSING_SIGNATURE
        if len(values) > 1 and "*" not in self.places[0].name:
            return Refusal.DUPLICATED_SIGNATURE
        if len(values) > MAX_VALUES or not all(value.startswith(self.prefix) for value in values):
            return Refusal.MALFORMED_SIGNATURE
        verdicts = [match_token(value[len(self.prefix) :], keys) for value in values]
        refused = [verdict for verdict in verdicts if isinstance(verdict, Refusal)]
        if refused:
            take_as_long(fields.request.body)
        return refused[0] if refused else verdicts[0]

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:  # noqa: ARG002
        place = next((each for each in self.places if fits(request, each)), self.places[0])
        return put(request, place, self.prefix + key.token)


def _values(fields: Fields, place: Reference) -> list[bytes]:
    if place.kind == "header":
        return fields.request.headers.all(place.name.encode())
    if place.kind == "json":
        found = [scalar(each) for each in dig_all(fields.json(), place.name)]
        # What is no text stands for a value that no token equals: it must not be passed over.
        return [b"" if value is None else value for value in found]
    value = fields.lookup(place.kind, place.name)
    return [value] if value is not None else []


def match_token(value: bytes, keys: Sequence[TokenKey]) -> Match | Refusal:
    """Compares digests, so that not even the length of a secret can be timed."""
    digest = hashlib.sha256(value).digest()
    matches = [hmac.compare_digest(digest, key.digest) for key in keys]
    return Match(matches.index(True)) if True in matches else Refusal.SIGNATURE_MISMATCH
