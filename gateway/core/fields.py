"""Looking up a named field of a request: a header, a query or form value, a JSON value.

Total: whatever the bytes are, a lookup answers bytes or None. Parsing happens at most once,
and only when a field that needs it is asked for.
"""

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from gateway.core.encoding import decode_base64
from gateway.core.multipart import parse_multipart
from gateway.core.request import Headers, InboundRequest

ROOT: Final = "$"
MISSING: Final = object()
MAX_FORM_FIELDS: Final = 1000
FORM_TYPE: Final = b"application/x-www-form-urlencoded"
FORM_START: Final = re.compile(rb"[A-Za-z0-9_.%+-]+=")


class Fields:
    """The fields of one request, by kind and name. Not shared between requests."""

    __slots__ = ("_form", "_item", "_json", "_query", "request")

    def __init__(self, request: InboundRequest) -> None:
        self.request = request
        self._item: Any = MISSING
        self._json: Any = None
        self._form: dict[str, bytes] | None = None
        self._query: dict[str, bytes] | None = None

    @classmethod
    def nothing(cls) -> "Fields":
        """Of no request: every name is missing, or empty."""
        return cls(InboundRequest("", "", b"", Headers(), b"", None, 0.0))

    def of_item(self, item: Any) -> "Fields":
        """The same request, seen from one item of its batch: `item.*` looks into that JSON value."""
        fields = Fields(self.request)
        fields._item, fields._json, fields._form = item, self._json, self._form
        return fields

    def url(self) -> bytes | None:
        """The public URL with the query of this request; None when it is not configured."""
        url, query = self.request.url.encode("utf-8", "surrogatepass"), self.request.query
        if not url:
            return None
        return url + b"?" + query if query and b"?" not in url else url

    def lookup(self, kind: str, name: str) -> bytes | None:
        """The field's bytes; None when it is absent, repeated (headers) or not a scalar (JSON)."""
        return LOOKUPS[kind](self, name)

    def json(self) -> Any:
        """The body as JSON, or MISSING when it is none."""
        if self._json is None:
            self._json = (parse_json(self.request.body),)
        return self._json[0]

    def form(self) -> dict[str, bytes]:
        """The body's form fields; the last value of a repeated one; empty when it is no form."""
        if self._form is None:
            if self._is_form():
                self._form = parse_form(self.request.body)
            else:
                content_type = self.request.headers.one(b"content-type") or b""
                self._form = parse_multipart(self.request.body, content_type, MAX_FORM_FIELDS)
        return self._form

    def pairs(self) -> list[tuple[bytes, bytes]] | None:
        """The body's form fields in order, repeated ones too; None when it is no URL-encoded form."""
        return parse_pairs(self.request.body) if self._is_form() else None

    def _is_form(self) -> bool:
        """By its content type; a body of no type at all where it begins like one (RFC 9110, 8.3)."""
        types, body = self.request.headers.all(b"content-type"), self.request.body
        if not types:
            return FORM_START.match(body) is not None
        return len(types) == 1 and types[0].lower().startswith(FORM_TYPE)

    def query(self) -> dict[str, bytes]:
        if self._query is None:
            self._query = parse_form(self.request.query)
        return self._query


def parse_json(body: bytes) -> Any:
    """Any bytes in; MISSING for what is no JSON, too deeply nested, or has absurd numbers."""
    if body[:1] not in b"{[ \t\r\n\xef" or not body:
        return MISSING
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return MISSING


def parse_form(text: bytes) -> dict[str, bytes]:
    """Form or query text to fields, byte for byte; empty when there are absurdly many."""
    return {key.decode("latin-1"): value for key, value in parse_pairs(text) or ()}


def parse_pairs(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """Form or query text to names and values in order, repeated ones too; None when absurdly many."""
    try:
        pairs = parse_qsl(
            text.decode("latin-1"),
            keep_blank_values=True,
            encoding="latin-1",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        return None
    return [(key.encode("latin-1"), value.encode("latin-1")) for key, value in pairs]


def dig(value: Any, path: str) -> Any:
    """Follow a dotted path through objects and lists; MISSING when it leads nowhere."""
    for step in steps_of(path):
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list):
            value = _element(value, step)
        else:
            return MISSING
    return value


def dig_all(value: Any, path: str) -> list[Any]:
    """Everything that a dotted path leads to, where the step `*` takes every element of a list."""
    before, star, after = path.partition("*")
    found = dig(value, before.rstrip(".") or ROOT)
    if not star:
        return [] if found is MISSING else [found]
    elements = found if isinstance(found, list) else []
    return [each for one in elements for each in dig_all(one, after.lstrip(".") or ROOT)]


@lru_cache(maxsize=4096)  # paths come from presets and sources
def steps_of(path: str) -> tuple[str, ...]:
    """`a.b` to its steps; `$` is the value itself; a dot in a key is written `\\.`."""
    if path == ROOT:
        return ()
    return tuple(step.replace("\0", ".") for step in path.replace("\\.", "\0").split("."))


def _element(values: list[Any], step: str) -> Any:
    # isdecimal alone would let a number of a million digits in.
    if step.isdecimal() and len(step) < 10 and int(step) < len(values):
        return values[int(step)]
    return MISSING


def scalar(value: Any) -> bytes | None:
    """A JSON scalar as it would be written in a template; None for null, objects and lists.

    None for NaN and infinities too: Python reads them, but 1e999 and 2e999 would be one id.
    """
    if isinstance(value, str):
        # JSON may carry lone surrogates, which are no valid text: keep them distinct, never raise.
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value).encode()
    return None


def _header(fields: Fields, name: str) -> bytes | None:
    return fields.request.headers.one(name.encode())


def _header_json(fields: Fields, path: str) -> bytes | None:
    """A value in JSON that a header carries in base64 (eBay)."""
    name, _, rest = path.partition(".")
    text = fields.request.headers.one(name.lower().encode()) or b""
    return scalar(dig(parse_json(decode_base64(text) or b""), rest))


def _json(fields: Fields, path: str) -> bytes | None:
    return scalar(dig(fields.json(), path))


def _item(fields: Fields, path: str) -> bytes | None:
    return scalar(dig(fields._item, path))


def _form(fields: Fields, name: str) -> bytes | None:
    return fields.form().get(name)


def _form_json(fields: Fields, path: str) -> bytes | None:
    name, _, rest = path.partition(".")
    return scalar(dig(parse_json(fields.form().get(name, b"")), rest))


def _query(fields: Fields, name: str) -> bytes | None:
    return fields.query().get(name)


LOOKUPS: Final[dict[str, Callable[[Fields, str], bytes | None]]] = {
    "header": _header,
    "header_json": _header_json,
    "json": _json,
    "item": _item,
    "form": _form,
    "form_json": _form_json,
    "query": _query,
}
