"""The `[verify]` table: how a provider proves origin, and the scheme that it builds."""

from typing import Annotated, Final, get_args

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

Table = (
    SignatureVerify
    | TokenVerify
    | BasicAuthVerify
    | JwtVerify
    | MessageSignatureVerify
    | UnverifiedVerify
)
Verify = Annotated[Table, Field(discriminator="scheme")]
SCHEMES: Final[tuple[str, ...]] = tuple(
    get_args(table.model_fields["scheme"].annotation)[0] for table in get_args(Table)
)


def key_source_of(verify: Verify) -> KeySourceFile | None:
    """Where this proof's keys are fetched from; None: they are secrets of the source."""
    return getattr(verify, "key_source", None)
