"""Strict text encodings of signatures and keys: one spelling per value, malformed means None."""

import base64
import binascii
from collections.abc import Callable
from typing import Final


def decode_hex(text: bytes) -> bytes | None:
    try:
        return binascii.unhexlify(text) or None  # as strict as a pattern, in a third of its time
    except binascii.Error:
        return None


def decode_base64(text: bytes) -> bytes | None:
    """Canonical only: `aGk=` and `aGl=` decode alike, and a second spelling is a forgery's friend."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if value and base64.b64encode(value) == text else None


def decode_base64url(text: bytes) -> bytes | None:
    """Padding may be left out, as most senders do, but not be more than it should."""
    padded = _padded(text)
    if b"+" in text or b"/" in text or len(text) > len(padded):
        return None
    return decode_base64(padded.translate(bytes.maketrans(b"-_", b"+/")))


def decode_key(text: bytes, encoding: str) -> bytes | None:
    """A secret's bytes. A key is no signature: missing padding and spare bits, as some providers
    hand them out, do no harm in it."""
    if encoding == "utf8":
        return text
    if encoding == "hex":
        return decode_hex(text)
    try:
        return base64.b64decode(_padded(text), validate=True)
    except binascii.Error:
        return None


def _padded(text: bytes) -> bytes:
    bare = text.rstrip(b"=")
    return bare + b"=" * (-len(bare) % 4)


def encode_hex(value: bytes) -> bytes:
    return value.hex().encode()


def encode_base64url(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


DECODERS: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "hex": decode_hex,
    "base64": decode_base64,
    "base64url": decode_base64url,
}
ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "hex": encode_hex,
    "base64": base64.b64encode,
    "base64url": encode_base64url,
}
