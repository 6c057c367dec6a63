"""A request that has everything which a preset reads, but for the proof."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.core.fields import FORM_TYPE, Fields, steps_of
from gateway.core.identity import IdentityRules
from gateway.core.placing import is_form, put
from gateway.core.request import InboundRequest
from gateway.core.template import Reference
from gateway.core.verification import Scheme

from .examples import request
from .reading import LOOKED_UP, identity_names, names_of, required, verified_names

FORM: Final = (b"content-type", FORM_TYPE)
JSON: Final = (b"content-type", b"application/json")
BODY_KINDS: Final = ("json", "form", "form_json", "item")
FORM_CANONICALS: Final = {"sorted_form", "twilio_form"}
# What a body must hold for a canonical form to make something of it.
CANONICAL_JSON: Final[dict[str, dict[str, str]]] = {
    "sns": {
        "Type": "Notification",
        **{name: name.lower() for name in ("Message", "MessageId", "Subject", "Timestamp", "TopicArn")},
    },
    "unisender": {"auth": ""},
    "vonage_sms": {"text": "made up"},
    "first_item": {"0.name": "made up", "1.name": "made up, too"},
}
CANONICAL_HEADERS: Final[dict[str, dict[str, str]]] = {
    "contentful": {"x-contentful-signed-headers": "x-contentful-signed-headers,x-contentful-timestamp"},
    "plivo_v3": {"x-plivo-signature-v3-nonce": "made-up-nonce"},
}


def unsigned_request(scheme: Scheme, rules: IdentityRules) -> InboundRequest:
    """A request without a proof that has everything else which the preset reads."""
    named = [*verified_names(scheme), *identity_names(rules)]
    canonicals = {each.name for each in named if each.kind == "canonical"}
    empty = _empty(named, canonicals)
    for template, allowed in required(scheme):
        if place := template.sole:
            empty = _filled(empty, place, allowed[0])
    for canonical in sorted(canonicals):
        for path, text in CANONICAL_JSON.get(canonical, {}).items():
            empty = _with_json(empty, path, text)
        for name, text in CANONICAL_HEADERS.get(canonical, {}).items():
            empty = put(empty, Reference("header", name), text.encode())
    for each in named:
        empty = _filled(empty, each, f"value-of-{each.name.strip('.*') or each.kind}".encode())
    return _with_batch_field(rules, empty)


def _with_batch_field(rules: IdentityRules, empty: InboundRequest) -> InboundRequest:
    """With a form's field that holds the batch, where the provider sends such a one."""
    if not rules.batch_field:
        return empty
    data = None
    for name in names_of(rules):
        for number in ("0", "1") if name.kind == "item" else ():
            path = f"{number}.{name.name}"
            data = planted(data, steps_of(path), f"value-of-{path}")
    return put(empty, Reference("form", rules.batch_field), json.dumps(data).encode())


def _empty(named: Sequence[Reference], canonicals: set[str]) -> InboundRequest:
    """Without a body: the first name that is in one says of which kind it is."""
    kinds = [each.kind.partition("_")[0] for each in named if each.kind in BODY_KINDS]
    form = bool(canonicals & FORM_CANONICALS) or kinds[:1] == ["form"]
    return request(FORM if form else JSON, body=b"" if form else b"null")


def _filled(incoming: InboundRequest, place: Reference, value: bytes) -> InboundRequest:
    """With `value` at `place`, unless something is there."""
    if place.kind not in LOOKED_UP or Fields(incoming).lookup(place.kind, place.name):
        return incoming
    if place.kind == "json":
        return _with_json(incoming, place.name, value.decode())
    return put(incoming, place, value)


def _with_json(incoming: InboundRequest, path: str, text: str) -> InboundRequest:
    if is_form(incoming):
        return incoming
    data = planted(json.loads(incoming.body), steps_of(path), text)
    return replace(incoming, body=json.dumps(data, indent=2, ensure_ascii=False).encode())


def planted(data: Any, steps: Sequence[str], value: str) -> Any:
    """JSON with `value` at a path whose objects and lists are made on the way; what is there stays."""
    if not steps:
        return value if data is None else data
    step, rest = steps[0], steps[1:]
    if step == "*" or step.isdecimal():
        if not isinstance(data, list | None):
            return data
        index = int(step) if step.isdecimal() else 0
        items = [*(data or []), *[None] * (index + 1 - len(data or []))]
        items[index] = planted(items[index], rest, value)
        return items
    if not isinstance(data, dict | None):
        return data
    return {**(data or {}), step: planted((data or {}).get(step), rest, value)}
