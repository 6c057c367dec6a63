"""Bodies that were compressed or unpacked on the way. What is unpacked is bounded: it may be a bomb."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterator
from typing import Final

from gateway.diagnosis.codes import Code
from gateway.diagnosis.variant import Variant

MOST: Final = 8 * 1024 * 1024
FORMS: Final = {"gzip": 31, "deflate": 15, "raw deflate": -15}  # zlib's wbits
LEVELS: Final = (6, 9, 1)
SYSTEMS: Final = (255, 3, 0)  # the byte of a gzip header that says which system wrote it


def compressions(body: bytes, encoding: bytes) -> Iterator[Variant]:
    """Unpacked; and, where the headers say that it was packed, packed again as most would."""
    for name, bits in FORMS.items():
        if (unpacked := _unpacked(body, bits)) is not None:
            text = f"The body is still compressed ({name}): the signature is of what is in it"
            mend = (
                "Let the proxy unpack it, or send it unpacked: the provider signs before it compresses."
            )
            yield Variant(Code.BODY_COMPRESSION, unpacked, text, mend)
    if encoding.lower().strip() in (b"gzip", b"x-gzip", b"deflate"):
        text = "The body was unpacked on the way: the signature is of the compressed bytes"
        mend = "Switch off the unpacking of request bodies before the gateway."
        for packed in _packed(body):
            yield Variant(Code.BODY_COMPRESSION, packed, text, mend)
    yield from _base64(body)


def _unpacked(body: bytes, bits: int) -> bytes | None:
    unpacker = zlib.decompressobj(bits)
    try:
        text = unpacker.decompress(body, MOST)
    except zlib.error:
        return None
    return text if unpacker.eof and text else None


def _packed(body: bytes) -> Iterator[bytes]:
    for level in LEVELS:
        packed = gzip.compress(body, level, mtime=0)
        yield from (packed[:9] + bytes([system]) + packed[10:] for system in SYSTEMS)
        yield zlib.compress(body, level)


def _base64(body: bytes) -> Iterator[Variant]:
    mend = "Decode it before the gateway: some API gateways hand binary bodies on in base64."
    try:
        raw = base64.b64decode(body.strip(), validate=True)
    except (binascii.Error, ValueError):
        return
    if raw:
        text = "The body is still in base64: the signature is of what it says"
        yield Variant(Code.BODY_WRAPPED, raw, text, mend)
