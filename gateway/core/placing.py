"""Puts a value where a Reference points: for making the request that a provider would send."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote_from_bytes

from gateway.core.encoding import decode_base64
from gateway.core.fields import FORM_TYPE, ROOT, Fields, steps_of
from gateway.core.request import InboundRequest
from gateway.core.template import Reference


def put(request: InboundRequest, place: Reference, value: bytes) -> InboundRequest:
    """The request with `value` at `place`; a body that has no such place stays as it is."""
    match place.kind:
        case "header":
            name = place.name.encode().replace(b"*", b"1")
            return replace(request, headers=request.headers.with_(name, value))
        case "header_json":
            header, _, path = place.name.partition(".")
            text = request.headers.one(header.lower().encode()) or b""
            changed = base64.b64encode(with_json(decode_base64(text) or b"{}", path, value.decode()))
            return put(request, Reference("header", header), changed)
        case "query":
            return replace(request, query=_with_pair(request.query, place.name, value))
        case "form" if is_form(request):
            return replace(request, body=_with_pair(request.body, place.name, value))
        case "json" if not is_form(request):
            return replace(request, body=with_json(request.body, place.name, value.decode()))
        case "form_json" if is_form(request):
            field, _, path = place.name.partition(".")
            inner = Fields(request).form().get(field, b"{}")
            changed = with_json(inner, path, value.decode())
            return replace(request, body=_with_pair(request.body, field, changed))
    return request


def fits(request: InboundRequest, place: Reference) -> bool:
    """Whether a request with such a body can have this place."""
    if place.kind in ("form", "form_json", "json"):
        return is_form(request) is (place.kind != "json")
    return place.kind in ("header", "header_json", "query")


def is_form(request: InboundRequest) -> bool:
    return (request.headers.one(b"content-type") or b"").startswith(FORM_TYPE)


def _with_pair(text: bytes, name: str, value: bytes) -> bytes:
    """A query or form in which `name` has exactly this value."""
    quoted = quote_from_bytes(name.encode()).encode()
    kept = [pair for pair in text.split(b"&") if pair and pair.partition(b"=")[0] != quoted]
    return b"&".join((*kept, quoted + b"=" + quote_from_bytes(value, safe="").encode()))


def with_json(body: bytes, path: str, value: str) -> bytes:
    """The JSON body with `value` at a dotted path, objects made on the way; else as it is.

    The step `*` stands for every element of a list.
    """
    try:
        data: Any = json.loads(body or b"{}")
    except ValueError:
        return body
    if not _set(data, steps_of(path) or (ROOT,), value):
        return body
    return json.dumps(data, indent=2, ensure_ascii=False).encode()


def _set(target: Any, steps: Sequence[str], value: str) -> bool:
    """Whether that changed anything."""
    step, *rest = steps
    if isinstance(target, list) and rest:
        chosen = [each for index, each in enumerate(target) if step in ("*", str(index))]
        changes = [_set(each, rest, value) for each in chosen]
        return any(changes)
    if not isinstance(target, dict):
        return False
    if rest:
        return _set(target.setdefault(step, {}), rest, value)
    changed: bool = target.get(step) != value
    target[step] = value
    return changed
