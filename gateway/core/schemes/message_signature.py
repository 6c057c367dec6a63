"""HTTP message signatures (RFC 9421), and the digest of the body (RFC 9530) that they cover."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.algorithms import Algorithm
from gateway.core.schemes.components import signature_base
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.structured import (
    InnerList,
    byte_sequences,
    inner_lists,
    integer,
    unquoted,
)
from gateway.core.verification import Match

MAX_HEADER: Final = 8192  # bytes
MAX_SIGNATURES: Final = 4
MAX_COMPONENTS: Final = 32
LABEL: Final = b"sig1"
DIGESTS: Final = {b"sha-256": hashlib.sha256, b"sha-512": hashlib.sha512}
# The names that RFC 9421 registers, and ours.
RFC_ALGORITHMS: Final = {
    "hmac-sha256": "hmac-sha256",
    "ed25519": "ed25519",
    "ecdsa-p256-sha256": "ecdsa-p256-sha256-raw",
    "ecdsa-p384-sha384": "ecdsa-p384-sha384-raw",
    "rsa-v1_5-sha256": "rsa-pkcs1v15-sha256",
    "rsa-pss-sha512": "rsa-pss-sha512",
}
# When several signatures fail, the one that came furthest says why.
STEPS: Final = (
    Refusal.MALFORMED_SIGNATURE,
    Refusal.MISSING_SIGNED_PART,
    Refusal.MISSING_TIMESTAMP,
    Refusal.MALFORMED_TIMESTAMP,
    Refusal.ALGORITHM_NOT_ALLOWED,
    Refusal.SIGNATURE_MISMATCH,
    Refusal.CLAIM_MISMATCH,
    Refusal.STALE_TIMESTAMP,
    Refusal.FUTURE_TIMESTAMP,
)


@dataclass(frozen=True, slots=True)
class MessageSignatureScheme:
    """`algorithm_name` is RFC 9421's word (a key of RFC_ALGORITHMS) for `algorithm`; a signature that
    names another one is refused. `required` components must be covered: without content-digest, the
    body is not. `tolerance` of the time of signing in seconds; None: it need not be told."""

    algorithm: Algorithm
    algorithm_name: str
    key: KeyFormat = KeyFormat()
    required: tuple[str, ...] = ("content-digest",)
    tolerance: float | None = 300

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        return self.algorithm.load_key(self.key.decode(secret))

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:
        found = _read(fields.request)
        if isinstance(found, Refusal):
            return found
        verdicts = [self._judge(fields, covered, proof, keys, now) for covered, proof in found]
        refusals = [each for each in verdicts if isinstance(each, Refusal)]
        matches = [each for each in verdicts if isinstance(each, Match)]
        return matches[0] if matches else max(refusals, key=STEPS.index)

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:
        """Covers what is required. `key` is a private one for an algorithm with public keys."""
        if "content-digest" in self.required:
            digest = b"sha-256=:" + b64encode(hashlib.sha256(request.body).digest()) + b":"
            request = replace(request, headers=request.headers.with_(b"content-digest", digest))
        names = b" ".join(b'"%s"' % name.encode() for name in self.required)
        text = b'(%s);created=%d;alg="%s"' % (names, now, self.algorithm_name.encode())
        covered = (inner_lists(LABEL + b"=" + text) or {})[LABEL]
        base = signature_base(request, covered)
        if base is None:
            raise ValueError(f"a component of {text.decode()} is missing: nothing to sign")
        signature = b64encode(self.algorithm.sign(key, [base]))
        headers = request.headers.with_(b"signature-input", LABEL + b"=" + text)
        return replace(request, headers=headers.with_(b"signature", LABEL + b"=:" + signature + b":"))

    def _judge(
        self, fields: Fields, covered: InnerList, proof: bytes, keys: Sequence[Any], now: float
    ) -> Match | Refusal:
        names = {each.text for each in covered.items}
        if len(names) < len(covered.items) or len(names) > MAX_COMPONENTS:
            return Refusal.MALFORMED_SIGNATURE
        if not {b'"%s"' % name.encode() for name in self.required} <= names:
            return Refusal.MISSING_SIGNED_PART
        named = covered.params.get(b"alg")
        if named and not hmac.compare_digest(unquoted(named) or b"", self.algorithm_name.encode()):
            return Refusal.ALGORITHM_NOT_ALLOWED
        base = signature_base(fields.request, covered)
        if base is None:
            return Refusal.MISSING_SIGNED_PART
        matched = [self.algorithm.matches(key, [base], [proof]) for key in keys]
        if True not in matched:
            return Refusal.SIGNATURE_MISMATCH
        if b'"content-digest"' in names and not _is_digest(fields.request):
            return Refusal.CLAIM_MISMATCH
        # Time is judged last: only the genuine sender may learn about clocks.
        return self._judge_time(covered, now) or Match(matched.index(True))

    def _judge_time(self, covered: InnerList, now: float) -> Refusal | None:
        texts = [text for name in (b"created", b"expires") if (text := covered.params.get(name))]
        if any(integer(text) is None for text in texts):
            return Refusal.MALFORMED_TIMESTAMP
        created, expires = (integer(covered.params.get(name)) for name in (b"created", b"expires"))
        if expires is not None and now > expires:
            return Refusal.STALE_TIMESTAMP
        if self.tolerance is None:
            return None
        if created is None:
            return Refusal.MISSING_TIMESTAMP
        if now - created > self.tolerance:
            return Refusal.STALE_TIMESTAMP
        return Refusal.FUTURE_TIMESTAMP if created - now > self.tolerance else None


def _read(request: InboundRequest) -> list[tuple[InnerList, bytes]] | Refusal:
    """What each signature covers, and the signature."""
    inputs, proofs = (request.headers.all(name) for name in (b"signature-input", b"signature"))
    if len(inputs) > 1 or len(proofs) > 1:
        return Refusal.DUPLICATED_SIGNATURE
    if not inputs or not proofs:
        return Refusal.MISSING_SIGNATURE
    if len(inputs[0]) + len(proofs[0]) > MAX_HEADER:
        return Refusal.MALFORMED_SIGNATURE
    covered, signatures = inner_lists(inputs[0]), byte_sequences(proofs[0])
    if not covered or not signatures or len(covered) > MAX_SIGNATURES:
        return Refusal.MALFORMED_SIGNATURE
    both = [(each, proof) for label, each in covered.items() if (proof := signatures.get(label))]
    return both or Refusal.MISSING_SIGNATURE


def _is_digest(request: InboundRequest) -> bool:
    """Whether every digest that we know says the body's, and there is one."""
    told = byte_sequences(request.headers.one(b"content-digest") or b"") or {}
    known = [(digest, told[name]) for name, digest in DIGESTS.items() if told.get(name)]
    return bool(known) and all(
        hmac.compare_digest(digest(request.body).digest(), value) for digest, value in known
    )
