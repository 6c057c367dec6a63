"""The gate: the only place that makes a VerifiedRequest.

Everything after it (identity, routing, the ledger) asks for one, so forgetting to verify is a
type error. Verification is total: any bytes in, a verdict out, never an exception.
"""

import hmac
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest

# Refused for these before anything was made of the body.
UNREAD: Final = frozenset(Refusal) - {
    Refusal.SIGNATURE_MISMATCH,
    Refusal.CLAIM_MISMATCH,
    Refusal.STALE_TIMESTAMP,
    Refusal.FUTURE_TIMESTAMP,
}


class SecretError(ValueError):
    """A configured secret cannot serve this scheme; the message never contains the secret."""


class Match(NamedTuple):
    """Origin proven by the secret at `key_index` (0 is the first one configured).

    `signed`: the bytes that the proof covers, in parts; empty where it covers none (a token).
    """

    key_index: int
    signed: tuple[bytes, ...] = ()


class VerifiedRequest(NamedTuple):
    """A request whose origin is proven. Only `verify` makes one."""

    request: InboundRequest
    fields: Fields
    key_index: int
    signed: tuple[bytes, ...] = ()


class Scheme(Protocol):
    """A way of proving origin. Holds options only; secrets and the time are arguments."""

    @property
    def needs_secret(self) -> bool: ...

    def load_key(self, secret: bytes) -> Any:
        """A secret in the form this scheme works with. Raises SecretError."""

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:
        """`now` in Unix seconds. Tries every key, in constant time. Never raises."""

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:
        """The request as the provider would send it: proof added, everything else untouched."""


def verify(
    request: InboundRequest, scheme: Scheme, keys: Sequence[Any], now: float
) -> VerifiedRequest | Refusal:
    """The verdict on one request: proof in hand, or the reason why not."""
    fields = Fields(request)
    match scheme.verify(fields, keys, now):
        case Match(key_index, signed):
            return VerifiedRequest(request, fields, key_index, signed)
        case refusal:
            if refusal in UNREAD:
                take_as_long(request.body)
            return refusal


def take_as_long(body: bytes) -> None:
    """What most signatures cost to judge. A proof that is not looked at, and a path without a source,
    must not be told from a wrong signature by the time that a large body takes."""
    hmac.digest(b"nobody's", body, "sha256")
