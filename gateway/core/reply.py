"""What a caller gets on success: constant bytes, or a template filled from the request.

What is echoed is bounded and plain, so that it cannot be a page, a script or a second header.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.fields import Fields
from gateway.core.template import NOTHING, Computed, Known, Template

# What challenges are made of (hex, base64, JWT, UUID, host names, Microsoft's plain words): too little
# for markup, a call, or a JSON body with a member.
ECHO: Final = re.compile(rb"[A-Za-z0-9._~:+/=* -]{1,1024}")
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, bytes and headers of an answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyTemplate:
    """`body` is bytes as they are, or a template; `json`, instead of it, a JSON value whose strings are
    templates."""

    status: int = 200
    body: Template | bytes = b""
    json: Any = None
    content_type: str = TEXT
    headers: tuple[tuple[str, Template], ...] = ()

    def settled(self) -> "Reply | ReplyTemplate":
        """The answer itself, where it says nothing of the request and so is the same every time."""
        echoes = any(any(each.references()) for each in self._templates())
        return self if echoes else self.render(Fields.nothing()) or self

    def render(self, fields: Fields, known: Known = NOTHING) -> Reply | None:
        """None when what should be echoed is missing, too long, or more than a plain token."""
        try:
            headers = tuple((name, _echo(each, fields, known).decode()) for name, each in self.headers)
            if self.json is not None:
                body = json.dumps(_filled(self.json, fields, known), separators=(",", ":")).encode()
            else:
                body = self.body if isinstance(self.body, bytes) else _echo(self.body, fields, known)
        except NotPlain:
            return None
        return Reply(self.status, body, self.content_type, headers)

    def _templates(self) -> list[Template]:
        own = [each for _, each in self.headers] + _templates_in(self.json)
        return own if isinstance(self.body, bytes) else [self.body, *own]


class NotPlain(Exception):  # noqa: N818 - control flow inside this file
    """Something to be echoed is missing, or is not what may be echoed."""


def _echo(template: Template, fields: Fields, known: Known) -> bytes:
    parts = template.render(fields, known)
    if parts is None:
        raise NotPlain
    for part, value in zip(template.parts, parts, strict=True):
        if not isinstance(part, bytes) and not ECHO.fullmatch(value):
            raise NotPlain
        if isinstance(part, Computed) and "sign" in part.functions:
            _refuse_to_sign_a_body(part, fields, known)
    return b"".join(parts)


def _refuse_to_sign_a_body(part: Computed, fields: Fields, known: Known) -> None:
    """Some challenges are signed with the key of the events: whoever could have JSON or XML signed
    here could forge them."""
    operands = Template("", part.operands).render(fields, known)
    if operands is None or not ECHO.fullmatch(b"".join(operands)):
        raise NotPlain


def _filled(value: Any, fields: Fields, known: Known) -> Any:
    if isinstance(value, Template):
        return _echo(value, fields, known).decode()
    if isinstance(value, dict):
        return {key: _filled(each, fields, known) for key, each in value.items()}
    return [_filled(each, fields, known) for each in value] if isinstance(value, list) else value


def _templates_in(value: Any) -> list[Template]:
    if isinstance(value, Template):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for each in inner for found in _templates_in(each)]
