"""HTTP basic authentication (RFC 7617). The secret is `user:password`."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.encoding import decode_base64
from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.token import TokenKey, match_token
from gateway.core.verification import Match, SecretError, take_as_long


@dataclass(frozen=True, slots=True)
class BasicAuthScheme:
    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        user, colon, password = secret.partition(b":")
        if not (user and colon and password):
            raise SecretError("must be user:password for scheme basic-auth")
        return TokenKey.of(secret)

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:  # noqa: ARG002 - the scheme's interface; credentials have no time
        values = fields.request.headers.all(b"authorization")
        if len(values) > 1:
            return Refusal.DUPLICATED_SIGNATURE
        if not values:
            return Refusal.MISSING_SIGNATURE
        kind, _, text = values[0].partition(b" ")
        credentials = decode_base64(text.strip()) if kind.lower() == b"basic" else None
        if credentials is None:
            return Refusal.MALFORMED_SIGNATURE
        verdict = match_token(credentials, keys)
        if isinstance(verdict, Refusal):
            take_as_long(fields.request.body)
        return verdict

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:  # noqa: ARG002
        value = b"Basic " + base64.b64encode(key.token)
        return replace(request, headers=request.headers.with_(b"authorization", value))
