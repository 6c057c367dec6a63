"""Signatures that a public key checks: Ed25519, ECDSA and RSA, as algorithms of the schemes.

Made by the `cryptography` package, which is imported when the first one is asked for.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.encoding import decode_key
from gateway.core.verification import SecretError
from gateway.crypto import ExtraMissing

ONE_LINE: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)----- *([A-Za-z0-9+/=]+) *-----END \1-----")
SMALLEST_RSA: Final = 1024  # bits; what some providers still sign with, and less can be factored
CURVES: Final = {"p256": "secp256r1", "p384": "secp384r1"}
EXPECTED: Final = {
    "ed25519": "an Ed25519 public key (PEM, DER or its 32 bytes)",
    "p256": "an ECDSA P-256 public key (PEM, DER, a certificate or a point)",
    "p384": "an ECDSA P-384 public key (PEM, DER, a certificate or a point)",
    "rsa": "an RSA public key (PEM, DER or a certificate)",
}


@dataclass(frozen=True, slots=True)
class PublicKeyAlgorithm:
    """`family` is a key of EXPECTED. `form` says how a signature is written: ECDSA's as "der" or
    "raw" (r and s side by side, as JWS and RFC 9421 have it), RSA's as "pkcs1v15" or "pss"."""

    family: str
    digest: str = ""
    form: str = ""

    def load_key(self, secret: bytes) -> Any:
        """PEM, an X.509 certificate, DER, or the bare key's bytes. Raises SecretError."""
        try:
            key = _parsed(secret, self.family)
        except SecretError:
            raise
        except Exception:  # whatever a parser finds wrong; its words might quote the key
            raise SecretError(f"cannot be read: expected {EXPECTED[self.family]}") from None
        if _family_of(key) != self.family:
            raise SecretError(f"is a key of another kind: expected {EXPECTED[self.family]}")
        if self.family == "rsa" and key.key_size < SMALLEST_RSA:
            raise SecretError(f"has {key.key_size} bits: an RSA key needs {SMALLEST_RSA} at least")
        return key

    def matches(self, key: Any, parts: Sequence[bytes], candidates: Sequence[bytes]) -> bool:
        """Nothing here is secret, so the first match ends the search."""
        message = b"".join(parts)
        return any(self._is_by(key, message, candidate) for candidate in candidates)

    def sign(self, key: Any, parts: Sequence[bytes]) -> bytes:
        """`key` is a private key of the `cryptography` package: verifying never needs one."""
        signature = key.sign(b"".join(parts), *self._options())
        return _to_raw(signature, key) if self.form == "raw" else bytes(signature)

    def _is_by(self, key: Any, message: bytes, signature: bytes) -> bool:
        try:
            if self.form == "raw":
                signature = _to_der(signature, key)
            key.verify(signature, message, *self._options())
        except Exception:  # InvalidSignature, and whatever a parser may say to a stranger's bytes
            return False
        return True

    def _options(self) -> tuple[Any, ...]:
        """What `cryptography` wants to know beside the signature and the message."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding

        if self.family == "ed25519":
            return ()
        digest: hashes.HashAlgorithm = getattr(hashes, self.digest.upper())()
        if self.family != "rsa":
            return (ec.ECDSA(digest),)
        if self.form == "pss":
            return (padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return (padding.PKCS1v15(), digest)


PUBLIC_KEY_ALGORITHMS: Final = {
    "ed25519": PublicKeyAlgorithm("ed25519"),
    "ecdsa-p256-sha1": PublicKeyAlgorithm("p256", "sha1", "der"),
    "ecdsa-p256-sha256": PublicKeyAlgorithm("p256", "sha256", "der"),
    "ecdsa-p256-sha256-raw": PublicKeyAlgorithm("p256", "sha256", "raw"),
    "ecdsa-p384-sha384-raw": PublicKeyAlgorithm("p384", "sha384", "raw"),
    "rsa-pkcs1v15-sha1": PublicKeyAlgorithm("rsa", "sha1", "pkcs1v15"),
    "rsa-pkcs1v15-sha256": PublicKeyAlgorithm("rsa", "sha256", "pkcs1v15"),
    "rsa-pkcs1v15-sha384": PublicKeyAlgorithm("rsa", "sha384", "pkcs1v15"),
    "rsa-pkcs1v15-sha512": PublicKeyAlgorithm("rsa", "sha512", "pkcs1v15"),
    "rsa-pss-sha512": PublicKeyAlgorithm("rsa", "sha512", "pss"),
}


def public_key_algorithm(name: str) -> PublicKeyAlgorithm:
    """The algorithm of this name. Raises KeyError for an unknown one, and ExtraMissing when the
    package it works with is not installed."""
    algorithm = PUBLIC_KEY_ALGORITHMS[name]
    try:
        import cryptography.exceptions  # noqa: F401 - asked for here, so that no request finds out
    except ImportError:
        raise ExtraMissing(f"verifying {name} signatures", "public-keys") from None
    return algorithm


def _parsed(secret: bytes, family: str) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if b"PRIVATE KEY-----" in secret or _is_private(secret):
        raise SecretError(f"is a private key: give the public one, {EXPECTED[family]}")
    if b"-----BEGIN" in secret:
        text = _in_lines(secret)
        if b"-----BEGIN CERTIFICATE-----" in text:
            return x509.load_pem_x509_certificate(text).public_key()
        return serialization.load_pem_public_key(text)
    if secret[:1] == b"M" and (inner := decode_key(secret.strip(), "base64")):
        secret = inner  # DER in base64, which always begins so: a PEM without its first and last line
    if family == "ed25519" and len(secret) == 32:
        return ed25519.Ed25519PublicKey.from_public_bytes(secret)
    if family in CURVES and secret[:1] in (b"\x02", b"\x03", b"\x04"):
        curve: ec.EllipticCurve = ec.SECP256R1() if family == "p256" else ec.SECP384R1()
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, secret)
    loaders: list[Callable[[], Any]] = [
        lambda: serialization.load_der_public_key(secret),
        lambda: x509.load_der_x509_certificate(secret).public_key(),
    ]
    return next(key for load in loaders if (key := _or_none(load)) is not None)


def _in_lines(pem: bytes) -> bytes:
    """Environment variables hold the ends of lines as two characters, or not at all."""
    text = pem.strip().replace(b"\\n", b"\n")
    found = ONE_LINE.fullmatch(text)
    if found is None:
        return text
    label, base64 = found[1], found[2]
    lines = [base64[start : start + 64] for start in range(0, len(base64), 64)]
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, b"\n".join(lines), label)


def _is_private(secret: bytes) -> bool:
    from cryptography.hazmat.primitives import serialization

    return _or_none(lambda: serialization.load_der_private_key(secret, None)) is not None


def _or_none(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception:
        return None


def _family_of(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        return next((name for name, curve in CURVES.items() if curve == key.curve.name), "")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    return "rsa" if isinstance(key, rsa.RSAPublicKey) else ""


def _to_der(signature: bytes, key: Any) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    half = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * half:
        raise ValueError("r and s have the curve's length, both of them")
    return encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )


def _to_raw(signature: bytes, key: Any) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    half = (key.curve.key_size + 7) // 8
    return b"".join(number.to_bytes(half, "big") for number in decode_dss_signature(signature))
