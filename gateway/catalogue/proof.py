"""The `[verify]` table: how a provider proves origin, and the scheme that it builds."""

from typing import Annotated

from pydantic import Field

from gateway.catalogue.keys import KeySourceFile
from gateway.catalogue.signature import SignatureVerify
from gateway.catalogue.tokens import (
    BasicAuthVerify,
    JwtVerify,
    MessageSignatureVerify,
    TokenVerify,
    UnverifiedVerify,
)

Verify = Annotated[
    SignatureVerify
    | TokenVerify
    | BasicAuthVerify
    | JwtVerify
    | MessageSignatureVerify
    | UnverifiedVerify,
    Field(discriminator="scheme"),
]


def key_source_of(verify: Verify) -> KeySourceFile | None:
    """Where this proof's keys are fetched from; None: they are secrets of the source."""
    return getattr(verify, "key_source", None)
