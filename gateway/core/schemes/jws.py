"""Tokens in JWS compact form (RFC 7515): reading their parts strictly, and loading a secret for the
algorithms that it is a key of, and for no other.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.core.encoding import decode_base64, decode_base64url, encode_base64url
from gateway.core.outcomes import Refusal
from gateway.core.schemes.algorithms import Algorithm
from gateway.core.verification import SecretError

MAX_TOKEN: Final = 16 * 1024  # bytes
DER: Final = re.compile(rb"0(?:\x82(..)|\x81(.)|([^\x80-\xff]))([0\x02])", re.DOTALL)
# The words of RFC 7518 and 8037, and ours.
JWS_ALGORITHMS: Final = {
    "HS256": "hmac-sha256",
    "HS384": "hmac-sha384",
    "HS512": "hmac-sha512",
    "RS256": "rsa-pkcs1v15-sha256",
    "RS384": "rsa-pkcs1v15-sha384",
    "RS512": "rsa-pkcs1v15-sha512",
    "ES256": "ecdsa-p256-sha256-raw",
    "ES384": "ecdsa-p384-sha384-raw",
    "EdDSA": "ed25519",
}

Keys = Mapping[str, Any]  # one secret, loaded for every algorithm that it is a key of


class Token(NamedTuple):
    """A token whose algorithm is allowed. `signed` are the bytes that `signature` is of."""

    algorithm: str
    signed: bytes
    signature: bytes
    payload: bytes


def read_token(text: bytes, algorithms: Mapping[str, Algorithm]) -> Token | Refusal:
    parts = text.split(b".", 3)
    header = decoded(parts[0])
    # `crit` names extensions that must be understood, and we know none.
    if len(parts) != 3 or header is None or "crit" in header:
        return Refusal.MALFORMED_SIGNATURE
    name = header.get("alg")
    if not isinstance(name, str) or algorithms.get(name) is None:
        return Refusal.ALGORITHM_NOT_ALLOWED
    signature = _unspelled(parts[2])
    if signature is None:
        return Refusal.MALFORMED_SIGNATURE
    return Token(name, parts[0] + b"." + parts[1], signature, parts[1])


def load_keys(algorithms: Mapping[str, Algorithm], key: bytes) -> Keys:
    """The key under the algorithms that it fits. Raises SecretError when it fits none.

    A public key is known to others: it never serves as the shared secret of an HMAC, or whoever has
    it could sign with it. Where both kinds are allowed, bytes that may be either are a public key.
    """
    shared = {name: each for name, each in algorithms.items() if name.startswith("HS")}
    public = {name: each for name, each in algorithms.items() if not name.startswith("HS")}
    if not shared:
        return _loaded(public, key)
    if _is_public(key):
        if not public:
            raise SecretError("is a public key: this provider's tokens are made with a shared secret")
        return _loaded(public, key)
    return (not _is_text(key) and _loaded_or_none(public, key)) or _loaded(shared, key)


def _unspelled(text: bytes) -> bytes | None:
    """Strict base64url; a token has no padding."""
    return None if b"=" in text else decode_base64url(text)


def decoded(text: bytes) -> dict[str, Any] | None:
    """A part of a token: an object in which no name stands twice, or None."""
    raw = _unspelled(text) if len(text) <= MAX_TOKEN else None
    try:
        value = json.loads((raw or b"").decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name stands twice: two readers would see two tokens")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def encoded(value: dict[str, Any]) -> bytes:
    return encode_base64url(json.dumps(value, separators=(",", ":")).encode())


def _is_public(key: bytes) -> bool:
    """PEM, or DER as bytes or in base64: known to others, so whoever has it could sign with it."""
    return b"-----BEGIN" in key or _is_der(key) or _is_der(decode_base64(key.strip()) or b"")


def _is_der(key: bytes) -> bool:
    """A sequence that begins with a sequence (or RSA's modulus) and is as long as it says."""
    found = DER.match(key)
    if not found or _is_text(key):
        return False
    length = found[1] or found[2] or found[3]
    return int.from_bytes(length, "big") + found.start(4) - len(key) == 0


def _is_text(key: bytes) -> bool:
    return key.isascii() and key.decode().isprintable()


def _loaded(algorithms: Mapping[str, Algorithm], key: bytes) -> Keys:
    """The key under every algorithm that it fits. Raises SecretError when it fits none."""
    loaded: dict[str, Any] = {}
    wrong: SecretError | None = None
    for name, algorithm in algorithms.items():
        try:
            loaded[name] = algorithm.load_key(key)
        except SecretError as error:
            wrong = error
    if not loaded:
        raise wrong or SecretError("fits none of the algorithms of this source")
    return loaded


def _loaded_or_none(algorithms: Mapping[str, Algorithm], key: bytes) -> Keys | None:
    try:
        return _loaded(algorithms, key)
    except SecretError:
        return None
