"""A provider's proof that we own the URL, such as Slack's `url_verification`.

Enabled only by a preset. What is echoed is bounded, plain text, and cannot be a page or a script.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.core.fields import Fields, dig, scalar
from gateway.core.template import Template

# What challenges are made of (hex, base64, JWT, UUID): too little for markup or a call.
ECHO: Final = re.compile(rb"[A-Za-z0-9._~:+/=-]{1,1024}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a caller gets on success: bytes, never a template of outside text unless it is an echo."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Handshake:
    """When `method`, every header and every JSON value match: answer with the echo.

    `signed`: only a request whose signature holds is answered.
    """

    method: str
    echo: Template
    headers: tuple[tuple[bytes, bytes], ...] = ()
    json: tuple[tuple[str, str], ...] = ()
    signed: bool = True
    status: int = 200

    def answers(self, fields: Fields) -> bool:
        request = fields.request
        return (
            request.method == self.method
            and all(request.headers.one(name) == value for name, value in self.headers)
            and all(scalar(dig(fields.json(), path)) == value.encode() for path, value in self.json)
        )

    def reply(self, fields: Fields) -> Reply | None:
        """None when what should be echoed is missing, too long, or more than a plain token."""
        parts = self.echo.render(fields)
        text = b"".join(parts) if parts is not None else b""
        return Reply(self.status, text) if ECHO.fullmatch(text) else None


def answer(handshakes: tuple[Handshake, ...], fields: Fields, *, signed: bool) -> Reply | None:
    """The reply of the first handshake of this kind that the request is, or None."""
    for handshake in handshakes:
        if handshake.signed is signed and handshake.answers(fields):
            return handshake.reply(fields)
    return None
