"""The functions of templates: ``{body | sha256 | hex}``. Bytes in, bytes out, never raising."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from typing import Final

from gateway.core.encoding import decode_base64url, encode_base64url, encode_hex


def json_string(value: bytes) -> bytes | None:
    """The text as JavaScript's JSON.stringify writes it; None when it is no UTF-8."""
    try:
        return json.dumps(value.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return None


def jwt_id(value: bytes) -> bytes | None:
    """The `jti` of a token (RFC 7519), whose signature is a scheme's matter; None when it has none."""
    payload = decode_base64url(value.rpartition(b" ")[2].partition(b".")[2].partition(b".")[0]) or b""
    try:
        found = json.loads(payload).get("jti")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found.encode("utf-8", "replace") if isinstance(found, str) and found else None


FUNCTIONS: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    # MD5 and SHA-1 are what some providers sign with: see the presets that name them.
    "md5": lambda value: hashlib.md5(value, usedforsecurity=False).digest(),
    "sha1": lambda value: hashlib.sha1(value, usedforsecurity=False).digest(),
    "sha256": lambda value: hashlib.sha256(value).digest(),
    "sha384": lambda value: hashlib.sha384(value).digest(),
    "sha512": lambda value: hashlib.sha512(value).digest(),
    "hex": encode_hex,
    "base64": base64.b64encode,
    "base64url": encode_base64url,
    "crc32": lambda value: str(binascii.crc32(value)).encode(),
    "lower": bytes.lower,
    "jwt_id": jwt_id,
    "json_string": json_string,
}
