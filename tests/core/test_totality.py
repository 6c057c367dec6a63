"""Any bytes in, a verdict out: nothing that a caller can send raises, and no junk proves origin."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.catalogue import load_preset, preset_names
from gateway.core.addresses import caller_of, flood_key, parse_address
from gateway.core.event import Event, event_of
from gateway.core.fields import LOOKUPS, Fields, parse_form, parse_json
from gateway.core.handshake import Condition, Handshake, Proof, answer
from gateway.core.identity import identify, readable
from gateway.core.outcomes import Refusal
from gateway.core.reply import ReplyTemplate
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import PLAIN_NAMES, Known, Reference, compile_template
from gateway.core.verification import Match, Scheme, VerifiedRequest, verify

from .examples import NOW, keys, request, rules, templates
from .providers import provider

OTHERS: dict[str, Scheme] = {
    "bearer": TokenScheme((Reference("header", "authorization"),), b"Bearer "),
    "query": TokenScheme((Reference("query", "token"),)),
    "items": TokenScheme((Reference("json", "value.*.clientState"),)),
    "basic": BasicAuthScheme(),
}
# One preset for each way of packing signatures, and for each kind of algorithm.
SOME = ("stripe", "github", "slack", "standard-webhooks", "twilio", "adyen", "discord-interactions")
NAMES = [
    b"content-type",
    b"authorization",
    b"stripe-signature",
    b"x-hub-signature-256",
    b"x-slack-signature",
    b"x-slack-request-timestamp",
    b"webhook-id",
    b"webhook-timestamp",
    b"webhook-signature",
    b"x-twilio-signature",
    b"x-signature-ed25519",
    b"x-signature-timestamp",
    b"x-forwarded-for",
]
# Pieces of well-formed headers: random bytes alone would never get past the first comma.
PIECES = [b"t=", b"v1=", b"v0=", b"v1,", b"sha256=", b",", b" ", b"=", b"1700000000", b"a" * 64]
PIECES += [b"A" * 43 + b"=", b"Basic ", b"Bearer ", b"dXNlcjpwYXNz", b"\xff", b"\x00", b"9" * 400]
values = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
names = st.one_of(st.sampled_from(NAMES), st.binary(max_size=12))
CONTENT_TYPES = [b"application/x-www-form-urlencoded", b"APPLICATION/X-WWW-FORM-URLENCODED; x"]
form_header = st.sampled_from(CONTENT_TYPES).map(lambda value: (b"content-type", value))
pairs = st.lists(st.one_of(st.tuples(names, values), form_header), max_size=8)

NASTY = [
    b"",
    b"\x00",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"id": ' + b"9" * 5000 + b"}",
    b'{"id": -' + b"9" * 4299 + b"}",
    b'{"id": 1e999}',
    b'{"id": NaN, "type": -Infinity}',
    b'{"id": "\\ud800", "type": "\\udfff"}',
    b'{"id": "\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"id": "with a BOM"}',
    '{"id": "sixteen"}'.encode("utf-16"),
    '{"id": "sixteen"}'.encode("utf-16-be"),
    '{"id": "thirty-two"}'.encode("utf-32-le"),
    b"{\x00",
    b"{\x00\x00\x00",
    b"\xef\xbb",
    b'{"id": {"id": []}, "type": [null]}',
    b'{"id": null, "type": true}',
    b'{"": "", "event": {"": 1}, "payload": "{"}',
    b'{"id": "a\x00b"}',
    b"payload=%7B%22trigger_id%22%3A1%7D&trigger_id=%FF%00&command=%",
    b"payload=" + b"[" * 100_000,
    b"payload=%ED%A0%80&payload",
    b"a=1&" * 2000,
    b"=&=&==;",
]
json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def _written(value: Any) -> bytes:
    import json

    return json.dumps(value).encode("utf-8", "surrogatepass")


bodies = st.one_of(st.binary(max_size=80), st.sampled_from(NASTY), json_like.map(_written))
requests = st.builds(
    lambda method, query, headers, body: InboundRequest(
        method, "/", query, Headers.of(headers), body, None, NOW
    ),
    st.sampled_from(["POST", "GET", ""]),
    st.one_of(st.binary(max_size=60), st.just(b"&token=%ff&token=a")),
    pairs,
    bodies,
)
EVERY_NAME = [
    f"{kind}.{name}" for kind in LOOKUPS for name in ("a", "id", "content-type", "a.b.0", "*", "$")
]
TEMPLATES = templates(*(f"{{{name}}}" for name in (*EVERY_NAME, *PLAIN_NAMES)))


@pytest.mark.parametrize("scheme", OTHERS.values(), ids=OTHERS)
@given(incoming=requests, now=st.floats(-1e12, 1e15))
def test_no_scheme_raises_or_believes_a_stranger(
    scheme: Scheme, incoming: InboundRequest, now: float
) -> None:
    loaded = keys(scheme, 1, 2)
    assert isinstance(scheme.verify(Fields(incoming), loaded, now), Refusal)
    assert isinstance(scheme.verify(Fields(incoming), [], now), Refusal)


@pytest.mark.parametrize("name", SOME)
@given(incoming=requests, now=st.floats(-1e12, 1e15))
def test_no_preset_raises_or_believes_a_stranger(
    name: str, incoming: InboundRequest, now: float
) -> None:
    found = provider(name)
    for loaded in (found.keys(1, 2), []):
        assert isinstance(found.scheme.verify(Fields(incoming), loaded, now), Refusal)


@given(requests)
def test_the_unverified_scheme_believes_everything_and_needs_no_secret(
    incoming: InboundRequest,
) -> None:
    scheme = UnverifiedScheme()
    assert not scheme.needs_secret
    assert scheme.verify(Fields(incoming), [], NOW) == Match(0)
    assert scheme.sign(incoming, b"", NOW) is incoming


def _identified(incoming: InboundRequest, batch: str | None = None) -> tuple[Event, ...]:
    verified = verify(incoming, UnverifiedScheme(), [], NOW)
    assert isinstance(verified, VerifiedRequest)
    ids = [
        "{item.id}",
        "{json.id}",
        "{form.trigger_id}",
        "{form_json.payload.id}",
        "{header.webhook-id}",
    ]
    found = rules(ids, ["{item.type}", "{json.type}", "{json.event.type}", "{form.command}"])
    return identify(verified, "x", replace(found, batch=batch))


@given(requests, st.sampled_from([None, "$", "a", "*.a"]))
def test_every_verified_request_becomes_events(incoming: InboundRequest, batch: str | None) -> None:
    events = _identified(incoming, batch)
    assert batch or len(events) == 1
    for event in events:
        assert event_of(event.id.replace("evt_", "dlv_") + "-1") == (event.id, 1)
        assert batch or event.body is incoming.body
        for text in (event.type, event.provider_id):
            assert len(text) <= 200
            assert text.isprintable()
            text.encode()  # no lone surrogate


@pytest.mark.parametrize("body", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("content_type", [b"application/json", CONTENT_TYPES[0]])
def test_a_nasty_body_becomes_an_event(body: bytes, content_type: bytes) -> None:
    incoming = request((b"content-type", content_type), body=body)
    (event,) = _identified(incoming)
    assert event.body is body
    _identified(incoming, "$")


@given(requests, st.sampled_from([None, b"1700000000"]))
def test_rendering_a_template_never_raises(incoming: InboundRequest, ts: bytes | None) -> None:
    fields = Fields(incoming)
    for template in TEMPLATES:
        parts = template.render(fields, Known(ts, b"secret", bytes.upper))
        assert parts is None or all(isinstance(part, bytes) for part in parts)


@given(requests, st.sampled_from(Proof))
def test_answering_a_handshake_never_raises(incoming: InboundRequest, proof: Proof) -> None:
    for echo in TEMPLATES:
        reply = ReplyTemplate(body=echo, headers=(("x-echo", echo),))
        when = Condition("POST", has=tuple(echo.references()))
        shake = Handshake(when, reply, proof, ((echo, echo),), 403, Reference("json", "id"), echo)
        answer((shake,), Fields(incoming), (proof,))
        answer((replace(shake, require=()),), Fields(incoming), (proof,), Known(b"1", b"s"))
        ReplyTemplate(json={"a": [echo, 1]}).render(Fields(incoming))


@given(requests, st.sampled_from(preset_names()))
def test_no_presets_handshake_raises(incoming: InboundRequest, name: str) -> None:
    preset = load_preset(name)
    options = dict.fromkeys(preset.options, b"made-up")
    shakes = tuple(each.build(options) for each in preset.handshakes)
    answer(shakes, Fields(incoming), tuple(Proof))
    preset.acknowledge.build(options).render(Fields(incoming))


@given(bodies)
@example(b"[" * 1_000_000)
def test_parsing_never_raises(body: bytes) -> None:
    parse_json(body)
    for key, value in parse_form(body).items():
        assert isinstance(key, str)
        assert isinstance(value, bytes)


@given(st.binary(max_size=1000))
def test_readable_text_is_short_printable_and_encodable(text: bytes) -> None:
    shown = readable(text)
    assert len(shown) <= 200
    assert shown.isprintable()
    assert shown.encode().decode() == shown


addresses = st.one_of(
    st.ip_addresses().map(str),
    st.text(max_size=20),
    st.sampled_from(["::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.4:80", "[::1]:80", "unknown", "", "%"]),
)


@given(
    st.none() | addresses,
    st.lists(st.binary(max_size=40) | addresses.map(str.encode)),
    st.integers(0, 16),
)
def test_finding_the_client_never_raises(peer: str | None, forwarded: list[bytes], hops: int) -> None:
    address = caller_of(peer, forwarded, hops).address
    assert address is None or parse_address(str(address)) == address
    assert flood_key(address)


@given(st.text(max_size=60) | st.from_regex(r"dlv_[a-z2-7]{26}-\d{1,6000}", fullmatch=True))
def test_reading_a_delivery_id_never_raises(text: str) -> None:
    event_of(text)


def test_a_template_of_every_kind_is_covered() -> None:
    kinds = {part.kind for template in TEMPLATES for part in template.references()}
    assert kinds == {*LOOKUPS, *PLAIN_NAMES}
    assert compile_template("{body}").sole == Reference("body")
