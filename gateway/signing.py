"""Makes the request that a provider would send: for `hookline send`, the demo and tests.

A preset that can verify a request can also make one: where the id and the type stand, and how it is
signed, is the same data.
"""

import json
import secrets
import uuid
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from gateway.catalogue import load_preset
from gateway.core.fields import FORM_TYPE, Fields
from gateway.core.identity import IdentityRules
from gateway.core.request import Headers, InboundRequest
from gateway.core.source import Source
from gateway.core.template import Reference


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be sent, before it is signed. `event_id` None: the body keeps the one it has."""

    body: bytes
    content_type: str
    event_type: str | None = None
    event_id: str | None = None


def signed_request(source: Source, draft: Draft, now: float) -> InboundRequest:
    """The request as `source`'s provider would send it at `now` (Unix seconds)."""
    request = InboundRequest(
        "POST",
        source.path,
        b"",
        Headers.of([(b"content-type", draft.content_type.encode())]),
        draft.body,
        None,
        now,
    )
    request = identified(request, source.identity, draft)
    return source.scheme.sign(request, source.keys[0] if source.keys else None, now)


def identified(request: InboundRequest, rules: IdentityRules, draft: Draft) -> InboundRequest:
    """Puts the event's id and type where the provider puts them: a header, or a field of the body."""
    for templates, value in ((rules.event_id, draft.event_id), (rules.event_type, draft.event_type)):
        places = [place for template in templates if (place := template.sole)]
        if value is not None and places:
            request = _put(request, places, value)
    return request


def _put(request: InboundRequest, places: list[Reference], value: str) -> InboundRequest:
    """In the first place that a body of this kind has."""
    is_form = bool((request.headers.one(b"content-type") or b"").startswith(FORM_TYPE))
    for place in places:
        if place.kind == "header":
            headers = request.headers.with_(place.name.encode(), value.encode())
            return replace(request, headers=headers)
        if place.kind == "json" and not is_form:
            return replace(request, body=_with_json(request.body, place.name, value))
        if place.kind == "form" and is_form:
            fields = Fields(request).form() | {place.name: value.encode()}
            return replace(request, body=urlencode(fields).encode())
    return request


def _with_json(body: bytes, path: str, value: str) -> bytes:
    """The body with `value` at a dotted path, where its objects are there; untouched otherwise."""
    data: Any = json.loads(body)
    *steps, last = path.split(".")
    target = data
    for step in steps:
        target = target.get(step) if isinstance(target, dict) else None
    if not isinstance(target, dict) or target.get(last) == value:
        return body
    target[last] = value
    return json.dumps(data, indent=2, ensure_ascii=False).encode()


def with_values(body: bytes, changes: dict[str, Any]) -> bytes:
    """The JSON body with values set at dotted paths. Raises ValueError where a path leads nowhere."""
    data: Any = json.loads(body)
    for path, value in changes.items():
        *steps, last = path.split(".")
        target = data
        for step in steps:
            target = _step(target, step, path)
        if isinstance(target, list):
            target[_index(target, last, path)] = value
        elif isinstance(target, dict):
            target[last] = value
        else:
            raise ValueError(f"{path}: {'.'.join(steps)} is no object")
    return json.dumps(data, indent=2, ensure_ascii=False).encode()


def _step(target: Any, step: str, path: str) -> Any:
    if isinstance(target, dict) and step in target:
        return target[step]
    if isinstance(target, list):
        return target[_index(target, step, path)]
    raise ValueError(f"{path}: the body has no {step!r} there")


def _index(items: list[Any], step: str, path: str) -> int:
    if step.isdecimal() and int(step) < len(items):
        return int(step)
    raise ValueError(f"{path}: {step!r} is no position in a list of {len(items)}")


def new_event_id(preset: str | None) -> str:
    """An id in the provider's style."""
    prefix = load_preset(preset).identity.id_prefix if preset else ""
    return prefix + secrets.token_hex(12) if prefix else str(uuid.uuid4())
