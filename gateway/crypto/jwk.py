"""Public keys from JWK and from PEM, as PEM. Symmetric and private keys are never taken."""

import base64
import re
from typing import Any, Final

from gateway.crypto import ExtraMissing

WHAT: Final = "Reading public keys"
PEM: Final = re.compile(rb"-----BEGIN ((?:RSA )?PUBLIC KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
LEAST_BITS, MOST_BITS = 2048, 8192  # of RSA: fewer can be broken, more only cost time


def jwk_to_pem(jwk: object) -> bytes | None:
    """The public key of an RSA, P-256, P-384 or Ed25519 JWK; None for any other value.

    Raises ExtraMissing.
    """
    if not isinstance(jwk, dict) or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "RSA", _:
                return _pem(_rsa(jwk))
            case "EC", "P-256" | "P-384":
                return _pem(_ec(jwk))
            case "OKP", "Ed25519":
                return _pem(_ed25519(jwk))
    except ImportError as error:
        raise ExtraMissing(WHAT, "public-keys") from error
    except Exception:  # from outside, and cryptography has many words for "no key"
        return None
    return None


def read_pem(text: bytes) -> bytes | None:
    """The first public key in `text`, which may have lost its line breaks. Raises ExtraMissing."""
    found = PEM.search(text)
    if not found:
        return None
    lines = b"\n".join(re.findall(rb".{1,64}", b"".join(found[2].split())))
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        label = found[1]
        return _pem(
            load_pem_public_key(b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, lines, label))
        )
    except ImportError as error:
        raise ExtraMissing(WHAT, "public-keys") from error
    except Exception:  # from outside, and cryptography has many words for "no key"
        return None


def is_fit(key: Any) -> bool:
    """Whether it is of a kind that we verify with, and of a size that means something."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return LEAST_BITS <= key.key_size <= MOST_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    return isinstance(key, ed25519.Ed25519PublicKey)


def _pem(key: Any) -> bytes | None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not is_fit(key):
        return None
    pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def _rsa(jwk: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    return RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()


def _ec(jwk: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = ec.SECP256R1() if jwk["crv"] == "P-256" else ec.SECP384R1()
    return ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve).public_key()


def _ed25519(jwk: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(_bytes(jwk["x"]))


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
