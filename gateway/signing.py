"""Makes the request that a provider would send: for `hookline send`, the demo and tests.

A preset that can verify a request can also make one: where the id and the type stand, and how it is
signed, is the same data.
"""

import json
import secrets
import uuid
from dataclasses import dataclass, replace
from typing import Any

from gateway.catalogue import load_preset
from gateway.core.fields import Fields, parse_json, steps_of
from gateway.core.identity import IdentityRules
from gateway.core.placing import fits, is_form, put
from gateway.core.request import Headers, InboundRequest
from gateway.core.source import Source
from gateway.core.template import Reference
from gateway.samples import Sample


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be sent, before it is signed. `event_id` None: the body keeps the one it has."""

    body: bytes
    content_type: str
    event_type: str | None = None
    event_id: str | None = None


def sample_draft(source: Source, sample: Sample, event_id: str, body: bytes | None = None) -> Draft:
    """A sample as an event of its own. Where the provider's id is not signed, the body has to differ
    too: the same signed bytes under another id are a replay."""
    draft = Draft(sample.body if body is None else body, sample.content_type, sample.type, event_id)
    if source.identity.id_proven:
        return draft
    headers = Headers.of([(b"content-type", draft.content_type.encode())])
    request = InboundRequest("POST", source.path, b"", headers, draft.body, None, 0.0)
    kind = "form" if is_form(request) else "json"
    return replace(draft, body=put(request, Reference(kind, "sample_id"), event_id.encode()).body)


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
        place = next((each for each in places if _has_room(request, each)), None)
        if value is not None and place is not None:
            request = put(request, place, value.encode())
    return request


def _has_room(request: InboundRequest, place: Reference) -> bool:
    """Whether the request is of the kind that has this place: samples get no objects added."""
    data, path = Fields(request).json(), place.name
    if place.kind == "form_json":
        field, _, path = path.partition(".")
        data = parse_json(Fields(request).form().get(field, b""))
    if place.kind in ("json", "form_json"):
        for step in steps_of(path)[:-1]:
            data = data.get(step) if isinstance(data, dict) else None
        return fits(request, place) and isinstance(data, dict)
    return fits(request, place)


def with_values(body: bytes, changes: dict[str, Any]) -> bytes:
    """The JSON body with values set at dotted paths. Raises ValueError where a path leads nowhere."""
    try:
        data: Any = json.loads(body)
    except ValueError:
        raise ValueError(
            f"{', '.join(changes)}: the body is no JSON: give a changed one whole"
        ) from None
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
