"""Templates such as ``v0:{header.X-Slack-Request-Timestamp}:{body}``.

A preset describes with them what is signed, where the event's id and type are, and what is answered.

``{NAME}`` is a name's bytes, ``{A + '.' + B | sha256 | hex}`` several names' bytes and a text, joined
and put through functions. ``[...]`` is left out when a name in it is missing; ``[[`` and ``]]`` are
brackets.

Names: ``body``, ``method``, ``url`` (the public URL with its query), ``url.base`` (without it), ``ts``
(the signed timestamp's text), ``secret``, and ``header.NAME``, ``query.NAME``, ``form.NAME``,
``json.a.b``, ``form_json.FIELD.a.b``, ``item.a.b`` (the current item of a batch), ``canonical.NAME``
(see `core/canonical`), ``header_json.HEADER.a.b`` (in JSON that a header has in base64),
``config.NAME`` (an option of the source). A dot in a JSON key is ``\\.``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gateway.core.canonical import CANONICAL
from gateway.core.fields import LOOKUPS, Fields
from gateway.core.functions import FUNCTIONS

PLAIN_NAMES: Final = ("body", "ts", "method", "url", "url.base", "secret")
KINDS: Final = (*LOOKUPS, "canonical", "config")
TOKENS: Final = re.compile(r"\[\[|\]\]|\[|\]|\{[^{}]*\}|[^\[\]{}]+|[{}]")


class TemplateError(ValueError):
    """The template itself is wrong; the message says which name."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a template. `kind` is a plain name or one of KINDS."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Computed:
    """The operands' bytes joined, then each function in turn."""

    operands: "tuple[bytes | Reference, ...]"
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Left out when a name in it is missing."""

    parts: "tuple[Part, ...]"


Part = bytes | Reference | Computed | Segment
Sign = Callable[[bytes], bytes]


class Known(NamedTuple):
    """What a template may need beside the request: the signed time's text, a secret, a keyed digest."""

    ts: bytes | None = None
    secret: bytes | None = None
    sign: Sign | None = None


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Template:
    text: str
    parts: tuple[Part, ...]

    def render(self, fields: Fields, known: Known = NOTHING) -> list[bytes] | None:
        """The parts' bytes in order (not joined: a body may be large), or None when one is missing."""
        return _render(self.parts, fields, known)

    @property
    def sole(self) -> Reference | None:
        """The reference when the template is nothing else, such as ``{header.X-GitHub-Event}``."""
        first = self.parts[0] if len(self.parts) == 1 else b""
        return first if isinstance(first, Reference) else None

    def references(self) -> Iterable[Reference]:
        return _references(self.parts)

    def bind(self, options: Mapping[str, bytes]) -> "Template":
        """The same with ``config.NAME`` replaced by the option's value, where there is one."""
        return replace(self, parts=tuple(_bind(part, options) for part in self.parts))


def _render(parts: Iterable[Part], fields: Fields, known: Known) -> list[bytes] | None:
    rendered: list[bytes] = []
    for part in parts:
        if isinstance(part, Segment):
            rendered += _render(part.parts, fields, known) or ()
            continue
        if isinstance(part, Reference):
            value = resolve(part, fields, known)
        else:
            value = part if isinstance(part, bytes) else _computed(part, fields, known)
        if value is None:
            return None
        rendered.append(value)
    return rendered


def _computed(part: Computed, fields: Fields, known: Known) -> bytes | None:
    joined = _render(part.operands, fields, known)
    value = b"".join(joined) if joined is not None else None
    for name in part.functions:
        if value is None:
            return None
        value = FUNCTIONS[name](value) if name != "sign" else known.sign and known.sign(value)
    return value


def resolve(reference: Reference, fields: Fields, known: Known = NOTHING) -> bytes | None:
    lookup = LOOKUPS.get(reference.kind)
    if lookup:
        return lookup(fields, reference.name)
    match reference.kind:
        case "body":
            return fields.request.body
        case "ts":
            return known.ts
        case "method":
            return fields.request.method.encode("utf-8", "surrogatepass")
        case "url":
            return fields.url()
        case "url.base":
            return fields.request.url.partition("?")[0].encode("utf-8", "surrogatepass") or None
        case "secret":
            return known.secret
        case "canonical":
            return CANONICAL[reference.name](fields, known.secret)
    return None  # config.NAME, not bound: nobody has set the option


def _references(parts: Iterable[Part]) -> Iterator[Reference]:
    for part in parts:
        if isinstance(part, Reference):
            yield part
        elif isinstance(part, Computed):
            yield from _references(part.operands)
        elif isinstance(part, Segment):
            yield from _references(part.parts)


def _bind(part: Part, options: Mapping[str, bytes]) -> Part:
    match part:
        case Reference("config", name):
            return options.get(name, part)
        case Computed(operands, functions):
            bound = tuple(_bind(each, options) for each in operands)
            return Computed(bound, functions)  # type: ignore[arg-type]  # an operand is bound to bytes
        case Segment(parts):
            return Segment(tuple(_bind(each, options) for each in parts))
    return part


def compile_template(text: str) -> Template:
    """Raises TemplateError for an unknown name or function, or a stray brace or bracket."""
    outer: list[Part] = []
    inner: list[Part] | None = None
    for token in TOKENS.findall(text):
        parts = outer if inner is None else inner
        match token:
            case "[[" | "]]":
                parts.append(token[:1].encode())
            case "[" if inner is None:
                inner = []
            case "]" if inner is not None:
                outer.append(Segment(tuple(inner)))
                inner = None
            case "[" | "]" | "{" | "}":
                raise TemplateError(f"stray {token} in template {text!r}")
            case name if name.startswith("{"):
                parts.append(_expression(name[1:-1], text))
            case literal:
                parts.append(literal.encode())
    if inner is not None:
        raise TemplateError(f"[ is not closed in template {text!r}")
    return Template(text, tuple(outer))


def _expression(piece: str, text: str) -> Reference | Computed:
    names, *functions = piece.split(" | ")
    operands = tuple(_operand(name, text) for name in names.split(" + "))
    for function in functions:
        if function not in FUNCTIONS and function != "sign":
            known = ", ".join(("sign", *FUNCTIONS))
            raise TemplateError(f"unknown function {function!r} in template {text!r}; known: {known}")
    first, *more = operands
    if isinstance(first, Reference) and not more and not functions:
        return first
    return Computed(operands, tuple(functions))


def _operand(piece: str, text: str) -> bytes | Reference:
    quoted = len(piece) > 2 and piece[0] == piece[-1] == "'"
    return piece[1:-1].encode() if quoted else reference_of(piece, text)


def reference_of(piece: str, text: str = "") -> Reference:
    """``header.X-Id`` as a Reference. Raises TemplateError for a name that does not exist."""
    if piece in PLAIN_NAMES:
        return Reference(piece)
    kind, dot, name = piece.partition(".")
    unknown = kind not in KINDS or not dot or not name
    if unknown or (kind == "canonical" and name not in CANONICAL):
        known = ", ".join((*PLAIN_NAMES, *(f"{kind}.NAME" for kind in KINDS)))
        raise TemplateError(f"unknown name {{{piece}}} in template {text or piece!r}; known: {known}")
    # Header names are case-insensitive: fold once here, not once a request.
    return Reference(kind, name.lower() if kind == "header" else name)


def first(templates: Iterable[Template], fields: Fields) -> bytes | None:
    """The first template that resolves to something non-empty."""
    for template in templates:
        parts = template.render(fields)
        if parts and (joined := b"".join(parts)):
            return joined
    return None
