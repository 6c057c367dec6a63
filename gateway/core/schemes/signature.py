"""HMAC of a rendered template: GitHub, Stripe, Slack, Shopify, Standard Webhooks and most others.

The algorithm comes from configuration, never from the request, so there is nothing to downgrade.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.encoding import DECODERS, ENCODERS, decode_key
from gateway.core.template import Reference, Template, resolve
from gateway.core.verification import Match, SecretError

MAX_HEADER: Final = 4096
MAX_CANDIDATES: Final = 8  # a rotation needs two; an unbounded list is a way to burn our CPU
UNIX_TIME: Final = re.compile(rb"[0-9]{1,15}")  # int() would also take ' +1_0 ' and other digits
DIGESTS: Final = ("md5", "sha1", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Timestamp:
    """The signed time. `header` None: it stands beside the signature. Tolerance in seconds."""

    header: bytes | None
    milliseconds: bool
    tolerance: float


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """`form`: "single" (prefix + signature), "list" (several, separated), "pairs" (t=..,v1=..)."""

    header: bytes
    message: Template
    digest: str = "sha256"
    encoding: str = "hex"
    form: str = "single"
    prefix: bytes = b""
    separator: bytes = b","
    signature_key: bytes = b"v1"
    timestamp_key: bytes = b"t"
    key_encoding: str = "utf8"
    key_prefix: bytes = b""
    timestamp: Timestamp | None = None

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        """A keyed digest, copied per request: keying costs two compressions that never change."""
        key = decode_key(secret.removeprefix(self.key_prefix), self.key_encoding)
        if not key:
            raise SecretError(f"is not {self.key_encoding}, which this provider's secrets are")
        return hmac.new(key, digestmod=self.digest)

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:
        found = self._read(fields)
        if isinstance(found, Refusal):
            return found
        candidates, ts = found
        parts = self.message.render(fields, ts)
        if parts is None:
            return Refusal.MISSING_SIGNED_PART
        matched = _match(keys, parts, candidates)
        if matched is None:
            return Refusal.SIGNATURE_MISMATCH
        # Time is judged after the signature: only the genuine sender may learn about clocks.
        return self._judge_time(ts, now) or Match(matched)

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:
        ts = str(int(now * 1000) if self.timestamp and self.timestamp.milliseconds else int(now))
        if self.timestamp and self.timestamp.header:
            headers = request.headers.with_(self.timestamp.header, ts.encode())
            request = replace(request, headers=headers)
        parts = self.message.render(Fields(request), ts.encode())
        if parts is None:
            raise ValueError(f"a field of {self.message.text!r} is missing: nothing to sign")
        signature = self.prefix + ENCODERS[self.encoding](_digest(key, parts))
        if self.form == "pairs":
            pair = self.signature_key + b"=" + signature
            signature = self.timestamp_key + b"=" + ts.encode() + self.separator + pair
        return replace(request, headers=request.headers.with_(self.header, signature))

    def _read(self, fields: Fields) -> tuple[list[bytes], bytes | None] | Refusal:
        """Candidate signatures and the timestamp's text."""
        values = fields.request.headers.all(self.header)
        if len(values) > 1:
            return Refusal.DUPLICATED_SIGNATURE
        if not values or not values[0].strip():
            return Refusal.MISSING_SIGNATURE
        if len(values[0]) > MAX_HEADER:
            return Refusal.MALFORMED_SIGNATURE
        texts, ts = FORMS[self.form](self, values[0])
        candidates = [value for text in texts if (value := DECODERS[self.encoding](text))]
        if not candidates or len(texts) > MAX_CANDIDATES:
            return Refusal.MALFORMED_SIGNATURE
        if self.timestamp is None:
            return candidates, None
        if self.timestamp.header:
            ts = resolve(Reference("header", self.timestamp.header.decode()), fields, None)
        if not ts:
            return Refusal.MISSING_TIMESTAMP
        return (candidates, ts) if UNIX_TIME.fullmatch(ts) else Refusal.MALFORMED_TIMESTAMP

    def _judge_time(self, ts: bytes | None, now: float) -> Refusal | None:
        if self.timestamp is None or ts is None:
            return None
        age = now - int(ts) / (1000 if self.timestamp.milliseconds else 1)
        if age > self.timestamp.tolerance:
            return Refusal.STALE_TIMESTAMP
        return Refusal.FUTURE_TIMESTAMP if -age > self.timestamp.tolerance else None


def _digest(key: Any, parts: Sequence[bytes]) -> bytes:
    mac = key.copy()
    for part in parts:
        mac.update(part)
    return bytes(mac.digest())


def _match(keys: Sequence[Any], parts: Sequence[bytes], candidates: Sequence[bytes]) -> int | None:
    """The index of the first key that matches. Every key and candidate is tried, always."""
    matched: int | None = None
    for index, key in enumerate(keys):
        expected = _digest(key, parts)
        for candidate in candidates:
            if hmac.compare_digest(expected, candidate) and matched is None:
                matched = index
    return matched


def _single(scheme: SignatureScheme, value: bytes) -> tuple[list[bytes], bytes | None]:
    return _prefixed(scheme, [value]), None


def _list(scheme: SignatureScheme, value: bytes) -> tuple[list[bytes], bytes | None]:
    return _prefixed(scheme, value.split(scheme.separator)), None


def _prefixed(scheme: SignatureScheme, items: list[bytes]) -> list[bytes]:
    prefix = scheme.prefix
    return [item[len(prefix) :] for item in items if item.startswith(prefix)]


def _pairs(scheme: SignatureScheme, value: bytes) -> tuple[list[bytes], bytes | None]:
    pairs = [item.strip().partition(b"=") for item in value.split(scheme.separator)]
    stamps = [text for key, _, text in pairs if key == scheme.timestamp_key]
    signatures = [text for key, _, text in pairs if key == scheme.signature_key]
    # Two timestamps are an attempt to have one signed and another one judged.
    return _prefixed(scheme, signatures), stamps[0] if len(stamps) == 1 else None


Form = Callable[[SignatureScheme, bytes], tuple[list[bytes], bytes | None]]
FORMS: Final[dict[str, Form]] = {"single": _single, "list": _list, "pairs": _pairs}
