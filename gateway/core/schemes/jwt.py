"""A signed token (JWS compact, RFC 7515 and 7519) whose claims describe the request: QStash, Plaid,
Netlify, Google Pub/Sub.

The algorithms come from configuration. A token may choose among them, never add to them, and each has
keys of its own: a public key's text never serves as a shared secret.
"""

import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from urllib.parse import quote_from_bytes

from gateway.core.encoding import encode_base64url
from gateway.core.fields import MISSING, Fields, scalar
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.algorithms import Algorithm
from gateway.core.schemes.jws import MAX_TOKEN, Keys, Token, decoded, encoded, load_keys, read_token
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.template import Reference, Template
from gateway.core.verification import Match

LIFETIME: Final = 300  # seconds that a token of ours is good for
LATEST: Final = 1e12  # seconds; later than any clock will show


class Claim(NamedTuple):
    """What a claim must say. An optional one may be missing from the token."""

    name: str
    template: Template
    optional: bool = False


@dataclass(frozen=True, slots=True)
class JwtScheme:
    """`place` is where the token stands, after `prefix` (or without, if it is optional). `leeway` and
    `max_age` in seconds; with the latter, a token must say when it was made (`iat`)."""

    place: Reference
    algorithms: Mapping[str, Algorithm]
    prefix: bytes = b""
    key: KeyFormat = KeyFormat()
    claims: tuple[Claim, ...] = ()
    leeway: float = 60
    max_age: float | None = None
    prefix_optional: bool = False

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Keys:
        return load_keys(self.algorithms, self.key.decode(secret))

    def verify(self, fields: Fields, keys: Sequence[Keys], now: float) -> Match | Refusal:
        text = self._text(fields)
        token = text if isinstance(text, Refusal) else read_token(text, self.algorithms)
        if isinstance(token, Refusal):
            return token
        matched = self._match(token, keys)
        if matched is None:
            return Refusal.SIGNATURE_MISMATCH
        claims = decoded(token.payload)
        if claims is None:
            return Refusal.MALFORMED_SIGNATURE
        # Time is judged last: only the genuine sender may learn about clocks.
        refusal = self._judge_claims(claims, fields) or self._judge_time(claims, now)
        return refusal or Match(matched, (token.signed,))

    def sign(self, request: InboundRequest, key: Keys, now: float) -> InboundRequest:
        """For an algorithm with public keys, `key` holds the private one under its JWS name."""
        name = next(each for each in self.algorithms if key.get(each) is not None)
        claims: dict[str, Any] = {"iat": int(now), "exp": int(now) + LIFETIME}
        for claim in self.claims:
            parts = claim.template.render(Fields(request))
            if parts is not None:
                claims[claim.name] = b"".join(parts).decode()
            elif not claim.optional:
                raise ValueError(f"a field of {claim.template.text!r} is missing: nothing to sign")
        signed = encoded({"alg": name, "typ": "JWT"}) + b"." + encoded(claims)
        signature = encode_base64url(self.algorithms[name].sign(key[name], [signed]))
        return self._place(request, self.prefix + signed + b"." + signature)

    def unverified_header(self, fields: Fields) -> dict[str, Any] | None:
        """The token's header, for finding the key that it names. Proves nothing."""
        text = self._text(fields)
        return None if isinstance(text, Refusal) else decoded(text.partition(b".")[0])

    def unverified_claims(self, fields: Fields) -> dict[str, Any] | None:
        """What the token says. Proven only of a request that `verify` has accepted."""
        text = self._text(fields)
        return (
            None if isinstance(text, Refusal) else decoded(text.partition(b".")[2].partition(b".")[0])
        )

    def _text(self, fields: Fields) -> bytes | Refusal:
        if self.place.kind == "header":
            values = fields.request.headers.all(self.place.name.encode())
            if len(values) > 1:
                return Refusal.DUPLICATED_SIGNATURE
        value = fields.lookup(self.place.kind, self.place.name)
        if not value:
            return Refusal.MISSING_SIGNATURE
        readable = self.prefix_optional or value.startswith(self.prefix)
        if not readable or len(value) > MAX_TOKEN:
            return Refusal.MALFORMED_SIGNATURE
        return value.removeprefix(self.prefix)

    def _match(self, token: Token, keys: Sequence[Keys]) -> int | None:
        """The index of the first key that matches. Every key of this algorithm is tried, always."""
        matches = self.algorithms[token.algorithm].matches
        own = [(index, keys_of.get(token.algorithm)) for index, keys_of in enumerate(keys)]
        found = [
            index
            for index, key in own
            if key is not None and matches(key, [token.signed], [token.signature])
        ]
        return found[0] if found else None

    def _judge_claims(self, claims: dict[str, Any], fields: Fields) -> Refusal | None:
        for claim in self.claims:
            value = claims.get(claim.name, MISSING)
            if value is MISSING and claim.optional:
                continue
            parts = claim.template.render(fields)
            if parts is None:
                return Refusal.MISSING_SIGNED_PART
            if not _says(value, b"".join(parts), claim.template):
                return Refusal.CLAIM_MISMATCH
        return None

    def _judge_time(self, claims: dict[str, Any], now: float) -> Refusal | None:
        told = {name: claims.get(name, MISSING) for name in ("exp", "nbf", "iat")}
        times = {name: value for name, value in told.items() if value is not MISSING}
        if not all(_is_time(value) for value in times.values()):
            return Refusal.MALFORMED_TIMESTAMP
        if self.max_age is not None and "iat" not in times:
            return Refusal.MISSING_TIMESTAMP
        made = times.get("iat", now)
        too_old = self.max_age is not None and now - made > self.max_age
        if too_old or now - times.get("exp", math.inf) >= self.leeway:
            return Refusal.STALE_TIMESTAMP
        starts = max(times.get("nbf", -math.inf), made)
        return Refusal.FUTURE_TIMESTAMP if starts - now > self.leeway else None

    def _place(self, request: InboundRequest, text: bytes) -> InboundRequest:
        name = self.place.name.encode()
        if self.place.kind == "header":
            return replace(request, headers=request.headers.with_(name, text))
        if self.place.kind == "query":
            pair = f"{quote_from_bytes(name)}={quote_from_bytes(text)}".encode()
            return replace(request, query=b"&".join(filter(None, (request.query, pair))))
        raise ValueError(
            f"a token cannot be put at {self.place.kind}: only at a header or in the query"
        )


def _says(value: Any, expected: bytes, template: Template) -> bool:
    """A list says each of its values, as `aud` may. Base64 is compared without its padding."""
    said = [scalar(each) or b"" for each in (value if isinstance(value, list) else [value])]
    if template.text.endswith(("| base64}", "| base64url}")):
        expected, said = expected.rstrip(b"="), [each.rstrip(b"=") for each in said]
    return bool(expected) and any(hmac.compare_digest(each, expected) for each in said)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST
