"""Another body that the provider may have signed."""

from typing import Final, NamedTuple

from gateway.diagnosis.codes import Code

UNCHANGED: Final = (
    "Something before the gateway parses the body and writes it anew: let it pass the bytes unchanged."
)


class Variant(NamedTuple):
    """`message` without its full stop. `content_type`: what it came with, where that changed too."""

    code: Code
    body: bytes
    message: str
    mend: str = UNCHANGED
    content_type: bytes = b""
