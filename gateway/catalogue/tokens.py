"""The `[verify]` tables of what is no signature of the request's bytes as they are: tokens, JWTs, HTTP
message signatures, and no proof at all."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.keys import KeySourceFile, KeyTable, algorithm_named
from gateway.catalogue.strict import (
    NO_OPTIONS,
    HeaderName,
    Options,
    Place,
    Places,
    Strict,
    places,
    template,
)
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.jws import JWS_ALGORITHMS
from gateway.core.schemes.jwt import Claim, JwtScheme
from gateway.core.schemes.message_signature import RFC_ALGORITHMS, MessageSignatureScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.verification import Scheme
from gateway.units import Duration, TemplateText


class TokenVerify(Strict):
    """A shared token in a header, a query or a body value. The body is not covered by it."""

    scheme: Literal["token"]
    header: HeaderName | None = None
    at: Places | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.header and self.at:
            raise ValueError("has header and at → keep the one where the token stands")
        return self

    def build(self, options: Options = NO_OPTIONS) -> Scheme:  # noqa: ARG002 - what every table takes
        headers = [self.header or "authorization"] if not self.at else []
        return TokenScheme(places(headers, self.at), self.prefix.encode())


class BasicAuthVerify(Strict):
    """HTTP basic authentication; the secret is user:password."""

    scheme: Literal["basic-auth"]

    def build(self, options: Options = NO_OPTIONS) -> Scheme:  # noqa: ARG002 - as above
        return BasicAuthScheme()


class JwtVerify(KeyTable):
    """A signed token whose claims describe the request."""

    scheme: Literal["jwt"]
    header: HeaderName | None = None
    at: Place | None = None
    prefix: str = ""
    prefix_optional: bool = False
    algorithms: Annotated[
        tuple[Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "EdDSA"], ...],
        Field(min_length=1),
    ]
    claims: dict[str, TemplateText] = {}
    """What claims must say, as templates; a name that ends with ? may be missing from the token."""
    leeway: Duration = 60.0
    max_age: Duration | None = None
    key_source: KeySourceFile | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.header is None) == (self.at is None):
            raise ValueError("names no place of the token, or two → write header or at")
        return self

    def build(self, options: Options = NO_OPTIONS) -> Scheme:
        headers = [self.header] if self.header else []
        return JwtScheme(
            place=places(headers, [self.at] if self.at else [])[0],
            algorithms={name: algorithm_named(JWS_ALGORITHMS[name]) for name in self.algorithms},
            prefix=self.prefix.encode(),
            prefix_optional=self.prefix_optional,
            key=self.key_format(),
            claims=tuple(
                Claim(name.removesuffix("?"), template(text, options), name.endswith("?"))
                for name, text in self.claims.items()
            ),
            leeway=self.leeway,
            max_age=self.max_age,
        )


class MessageSignatureVerify(KeyTable):
    """HTTP message signatures (RFC 9421)."""

    scheme: Literal["http-message-signature"]
    algorithm: Literal[
        "hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-v1_5-sha256", "rsa-pss-sha512"
    ]
    required: tuple[str, ...] = ("content-digest",)
    """The components that a signature must cover."""
    tolerance: Duration | None = 300.0
    key_source: KeySourceFile | None = None

    def build(self, options: Options = NO_OPTIONS) -> Scheme:  # noqa: ARG002 - as above
        return MessageSignatureScheme(
            algorithm=algorithm_named(RFC_ALGORITHMS[self.algorithm]),
            algorithm_name=self.algorithm,
            key=self.key_format(),
            required=self.required,
            tolerance=self.tolerance,
        )


class UnverifiedVerify(Strict):
    """No proof of origin: anybody who knows the URL is believed."""

    scheme: Literal["unverified"]

    def build(self, options: Options = NO_OPTIONS) -> Scheme:  # noqa: ARG002 - as above
        return UnverifiedScheme()
