"""How a provider writes its secrets, and where the keys are that its requests name."""

from typing import Literal

from gateway.catalogue.strict import Strict, Text
from gateway.core.key_source import KeySource, KeyText, key_text
from gateway.core.schemes.algorithms import ALGORITHMS, Algorithm
from gateway.core.schemes.key_format import KeyFormat
from gateway.crypto.public_key import public_key_algorithm
from gateway.units import Duration


def algorithm_named(name: str) -> Algorithm:
    """Raises ExtraMissing where the algorithm needs a package that is not installed."""
    return ALGORITHMS[name] if name in ALGORITHMS else public_key_algorithm(name)


class KeyTable(Strict):
    """How the provider writes its secrets."""

    key_encoding: Literal["utf8", "hex", "base64", "pem"] = "utf8"
    key_prefix: str = ""
    key_suffix: str = ""
    key_digest: Literal["", "sha1", "sha256"] = ""
    key_normalize: Literal["", "NFKD", "NFC"] = ""

    def key_format(self) -> KeyFormat:
        prefix, suffix = self.key_prefix.encode(), self.key_suffix.encode()
        return KeyFormat(self.key_encoding, prefix, suffix, self.key_digest, self.key_normalize)


class KeySourceFile(Strict):
    """Where the key is that a request names: fetched from allowed hosts only, kept, refreshed."""

    url: Text
    """A template that also knows {key_id}."""
    form: Literal["certificate", "jwks", "jwk", "pem", "text"]
    hosts: tuple[str, ...] = ()
    """Regular expressions for the whole host; none: the host that stands in `url`."""
    path: str = ""
    value: str = ""
    """Where the key stands in a JSON answer."""
    subject: str = ""
    """What a name of the certificate must match."""
    key_id: Text | None = None
    key_id_in: Literal["text", "jws", "base64-json"] = "text"
    method: Literal["GET", "POST"] = "GET"
    headers: dict[str, str] = {}
    basic: str | None = None
    json_fields: dict[str, str] = {}
    form_fields: dict[str, str] = {}
    token: "KeySourceFile | None" = None
    """What to ask for first, to be sent as a bearer token."""
    max_age: Duration = 86400.0

    def build(self) -> KeySource:
        return KeySource(
            url=key_text(self.url),
            form=self.form,
            hosts=self.hosts,
            path=self.path,
            value=self.value,
            subject=self.subject,
            key_id=key_text(self.key_id) if self.key_id else None,
            key_id_in=self.key_id_in,
            method=self.method,
            headers=_texts(self.headers),
            basic=key_text(self.basic) if self.basic else None,
            json_fields=_texts(self.json_fields),
            form_fields=_texts(self.form_fields),
            token=self.token.build() if self.token else None,
            max_age=self.max_age,
        )


def _texts(named: dict[str, str]) -> tuple[tuple[str, KeyText], ...]:
    return tuple((name, key_text(text)) for name, text in named.items())
