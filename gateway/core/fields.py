"""Looking up a named field of a request: a header, a query or form value, a JSON value.

Total: whatever the bytes are, a lookup answers bytes or None. Parsing happens at most once,
and only when a field that needs it is asked for.
"""

import json
import math
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from gateway.core.request import InboundRequest

MISSING: Final = object()
MAX_FORM_FIELDS: Final = 1000
FORM_TYPE: Final = b"application/x-www-form-urlencoded"


class Fields:
    """The fields of one request, by kind and name. Not shared between requests."""

    __slots__ = ("_form", "_json", "_query", "request")

    def __init__(self, request: InboundRequest) -> None:
        self.request = request
        self._json: Any = None
        self._form: dict[str, bytes] | None = None
        self._query: dict[str, bytes] | None = None

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
            content_type = self.request.headers.one(b"content-type") or b""
            is_form = content_type.lower().startswith(FORM_TYPE)
            self._form = parse_form(self.request.body) if is_form else {}
        return self._form

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
    try:
        pairs = parse_qsl(
            text.decode("latin-1"),
            keep_blank_values=True,
            encoding="latin-1",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        return {}
    return {key: value.encode("latin-1") for key, value in pairs}


def dig(value: Any, path: str) -> Any:
    """Follow a dotted path through objects and lists; MISSING when it leads nowhere."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


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


def _json(fields: Fields, path: str) -> bytes | None:
    return scalar(dig(fields.json(), path))


def _form(fields: Fields, name: str) -> bytes | None:
    return fields.form().get(name)


def _form_json(fields: Fields, path: str) -> bytes | None:
    name, _, rest = path.partition(".")
    return scalar(dig(parse_json(fields.form().get(name, b"")), rest))


def _query(fields: Fields, name: str) -> bytes | None:
    return fields.query().get(name)


LOOKUPS: Final[dict[str, Callable[[Fields, str], bytes | None]]] = {
    "header": _header,
    "json": _json,
    "form": _form,
    "form_json": _form_json,
    "query": _query,
}
