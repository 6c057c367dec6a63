"""How a provider writes its secrets: as text, base64 or hex, behind a prefix, hashed before use."""

import base64
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Literal

from gateway.core.encoding import decode_key
from gateway.core.verification import SecretError


@dataclass(frozen=True, slots=True)
class KeyFormat:
    """`encoding` utf8, hex, base64 or pem (text that its algorithm reads). `prefix` is taken off first;
    `suffix` is added; `derive` hashes what comes out (Braintree, ConnectWise)."""

    encoding: str = "utf8"
    prefix: bytes = b""
    suffix: bytes = b""
    derive: str = ""
    normalize: Literal["", "NFC", "NFKD"] = ""

    def decode(self, secret: bytes) -> bytes:
        """Raises SecretError."""
        text = self._normalized(secret.removeprefix(self.prefix))
        key = decode_key(text, "utf8" if self.encoding == "pem" else self.encoding)
        if not key:
            raise SecretError(f"is not {self.encoding}, which this provider's secrets are")
        key += self.suffix
        return hashlib.new(self.derive, key, usedforsecurity=False).digest() if self.derive else key

    def encode(self, key: bytes) -> bytes:
        """A secret whose `decode` is `key` where nothing is derived: for samples and tests."""
        text = key.hex().encode() if self.encoding == "hex" else key
        return self.prefix + (base64.b64encode(key) if self.encoding == "base64" else text)

    def _normalized(self, text: bytes) -> bytes:
        if not self.normalize:
            return text
        try:
            return unicodedata.normalize(self.normalize, text.decode()).encode()
        except (UnicodeDecodeError, ValueError):
            raise SecretError("is not UTF-8 text, which this provider's secrets are") from None
