"""Templates such as ``v0:{header.X-Slack-Request-Timestamp}:{body}``.

A preset describes with them what is signed, and where the event's id and type are.
Names: ``body``, ``ts`` (the signed timestamp's text), ``method``, and ``header.NAME``,
``query.NAME``, ``form.NAME``, ``json.a.b``, ``form_json.FIELD.a.b``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.core.fields import LOOKUPS, Fields

PLAIN_NAMES: Final = ("body", "ts", "method")
PIECES: Final = re.compile(r"\{([^{}]*)\}")


class TemplateError(ValueError):
    """The template itself is wrong; the message says which name."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a template. `kind` is a plain name or a key of LOOKUPS."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    text: str
    parts: tuple[bytes | Reference, ...]

    def render(self, fields: Fields, ts: bytes | None = None) -> list[bytes] | None:
        """The parts' bytes in order (not joined: a body may be large), or None when one is missing."""
        rendered: list[bytes] = []
        for part in self.parts:
            value = part if isinstance(part, bytes) else resolve(part, fields, ts)
            if value is None:
                return None
            rendered.append(value)
        return rendered

    @property
    def sole(self) -> Reference | None:
        """The reference when the template is nothing else, such as ``{header.X-GitHub-Event}``."""
        first = self.parts[0] if len(self.parts) == 1 else b""
        return first if isinstance(first, Reference) else None

    def references(self) -> Iterable[Reference]:
        return (part for part in self.parts if isinstance(part, Reference))


def resolve(reference: Reference, fields: Fields, ts: bytes | None) -> bytes | None:
    match reference.kind:
        case "body":
            return fields.request.body
        case "ts":
            return ts
        case "method":
            return fields.request.method.encode()
        case kind:
            return fields.lookup(kind, reference.name)


def compile_template(text: str) -> Template:
    """Raises TemplateError for an unknown name or a stray brace."""
    parts: list[bytes | Reference] = []
    for index, piece in enumerate(PIECES.split(text)):
        if index % 2:
            parts.append(_reference(piece, text))
        elif "{" in piece or "}" in piece:
            raise TemplateError(f"stray brace in template {text!r}")
        elif piece:
            parts.append(piece.encode())
    return Template(text, tuple(parts))


def _reference(piece: str, text: str) -> Reference:
    if piece in PLAIN_NAMES:
        return Reference(piece)
    kind, dot, name = piece.partition(".")
    if kind not in LOOKUPS or not dot or not name:
        known = ", ".join((*PLAIN_NAMES, *(f"{kind}.NAME" for kind in LOOKUPS)))
        raise TemplateError(f"unknown name {{{piece}}} in template {text!r}; known: {known}")
    # Header names are case-insensitive: fold once here, not once a request.
    return Reference(kind, name.lower() if kind == "header" else name)


def first(templates: Iterable[Template], fields: Fields) -> bytes | None:
    """The first template that resolves to something non-empty."""
    for template in templates:
        parts = template.render(fields)
        if parts and (joined := b"".join(parts)):
            return joined
    return None
