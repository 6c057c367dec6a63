"""The `[verify]` table of scheme "signature": most providers."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from gateway.catalogue.keys import KeySourceFile, KeyTable, algorithm_named
from gateway.catalogue.strict import (
    NO_OPTIONS,
    HeaderName,
    Headers,
    Options,
    Place,
    Places,
    Strict,
    Text,
    bound_text,
    places,
    template,
)
from gateway.core.schemes.algorithms import Algorithm
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.signature_places import SignaturePlaces
from gateway.core.schemes.timestamp import Timestamp
from gateway.core.template import Reference, compile_template, reference_of
from gateway.core.verification import Scheme
from gateway.units import Duration, TemplateText

AlgorithmName = Literal[
    "hmac-md5",
    "hmac-sha1",
    "hmac-sha256",
    "hmac-sha384",
    "hmac-sha512",
    "hash-md5",
    "hash-sha1",
    "hash-sha256",
    "hash-sha512",
    "ed25519",
    "ecdsa-p256-sha1",
    "ecdsa-p256-sha256",
    "rsa-pkcs1v15-sha1",
    "rsa-pkcs1v15-sha256",
]
Messages = Annotated[
    tuple[TemplateText, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]


class SignedTime(Strict):
    """Where the signed time stands (`header` or `at`; neither: beside the signature) and how old it may
    be. The tolerance "none" is for senders whose retries carry the time of the first try."""

    header: HeaderName | None = None
    at: Place | None = None
    unit: Literal["s", "ms", "auto", "iso8601", "http-date"] = "s"
    tolerance: Duration | Literal["none"] = 300.0

    @property
    def place(self) -> Reference | None:
        if self.header:
            return Reference("header", self.header.lower())
        return reference_of(self.at) if self.at else None

    def build(self) -> Timestamp:
        tolerance = None if self.tolerance == "none" else self.tolerance
        return Timestamp(self.place, self.unit, tolerance)


class SignatureVerify(KeyTable):
    """A signature of a template: a keyed digest, or one made with the provider's private key."""

    scheme: Literal["signature"]
    header: Headers | None = None
    at: Places | None = None
    """Where else than in a header the signature stands, such as `json.signature` or `query.sig`."""
    algorithm: AlgorithmName | None = None
    """hmac-sha256 unless said otherwise."""
    algorithm_by_prefix: dict[str, AlgorithmName] = {}
    """Where the sender chooses among these, each by its prefix."""
    message: Messages = ("{body}",)
    """What is signed; of several, each is tried."""
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    form: Literal["single", "list", "pairs", "positional"] = "single"
    prefix: str = ""
    prefix_optional: bool = False
    separator: Text = ","
    pair_separator: Text = "="
    signature_key: TemplateText = "v1"
    timestamp_key: Text = "t"
    groups: str = ""
    timestamp: SignedTime | None = None
    require: dict[TemplateText, TemplateText] = {}
    """What must be said beside the signature, such as its version; several values by commas."""
    each: Text | None = None
    """The path of the items that are each signed by themselves."""
    key_source: KeySourceFile | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuses what would never let a request in, and a time that anybody could renew."""
        if not self.header and not self.at:
            raise ValueError('names no place of the signature → add header = "..."')
        if self.algorithm and self.algorithm_by_prefix:
            raise ValueError("has algorithm and algorithm_by_prefix → keep one of the two")
        for text in self.message:
            self._check_message(text)
        return self

    def _check_message(self, text: str) -> None:
        names, time = set(compile_template(text).references()), self.timestamp
        if time is None and Reference("ts") in names:
            raise ValueError('{ts} stands for nothing → add timestamp = { tolerance = "5m" }')
        if time and not time.place and self.form not in ("pairs", "positional"):
            raise ValueError('timestamp stands nowhere → add its header, or form = "pairs"')
        if time and not _covers(names, time.place):
            raise ValueError("the time is not signed → add {ts} to message, or remove timestamp")
        is_hash = (self.algorithm or "").startswith("hash-")
        if Reference("secret") in names and not is_hash:
            raise ValueError("{secret} is for algorithms hash-* → remove it from message")
        if is_hash and not any(each.kind in ("secret", "canonical") for each in names):
            raise ValueError("a plain hash without {secret} is no proof → add {secret} to message")

    def build(self, options: Options = NO_OPTIONS) -> Scheme:
        schemes = tuple(self._scheme(*each, options) for each in self._algorithms())
        scheme: Scheme = schemes[0] if len(schemes) == 1 else AnyOf(schemes)
        return EachItem(scheme, self.each) if self.each else scheme

    def _algorithms(self) -> Iterator[tuple[str, Algorithm]]:
        if not self.algorithm_by_prefix:
            yield self.prefix, algorithm_named(self.algorithm or "hmac-sha256")
        for prefix, name in self.algorithm_by_prefix.items():
            yield prefix, algorithm_named(name)

    def _scheme(self, prefix: str, algorithm: Algorithm, options: Options) -> SignatureScheme:
        return SignatureScheme(
            algorithm=algorithm,
            places=self._places(prefix, options),
            messages=tuple(template(text, options) for text in self.message),
            key_format=self.key_format(),
            timestamp=self.timestamp.build() if self.timestamp else None,
            require=tuple(
                (template(text, options), tuple(bound_text(allowed, options).split(b",")))
                for text, allowed in self.require.items()
            ),
        )

    def _places(self, prefix: str, options: Options) -> SignaturePlaces:
        return SignaturePlaces(
            places=places(self.header, self.at),
            form=self.form,
            encoding=self.encoding,
            prefix=prefix.encode(),
            prefix_optional=self.prefix_optional,
            separator=self.separator.encode(),
            pair_separator=self.pair_separator.encode(),
            signature_key=bound_text(self.signature_key, options),
            timestamp_key=self.timestamp_key.encode(),
            groups=self.groups.encode(),
        )


def _covers(names: set[Reference], place: Reference | None) -> bool:
    """Whether the message contains the time: by name, in the body, or as its provider's code says."""
    if place and place.kind in ("json", "item", "form") and Reference("body") in names:
        return True
    return bool({Reference("ts"), place} & names) or any(each.kind == "canonical" for each in names)
