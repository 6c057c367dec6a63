"""What `hookline send` and the demo send: requests that our own gate believes."""

import json
from urllib.parse import unquote_to_bytes

import pytest

from gateway import samples
from gateway.catalogue import load_preset
from gateway.core.identity import IdentityRules, identify
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.source import Source
from gateway.core.template import compile_template
from gateway.core.verification import VerifiedRequest, verify
from gateway.signing import Draft, identified, new_event_id, signed_request, with_values

NOW = 1_795_000_000.0
SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def source_of(preset: str) -> Source:
    found = load_preset(preset)
    scheme = found.verify.build()
    keys = (scheme.load_key(SECRET),)
    return Source("s", "/hooks/s", "s", scheme, keys, preset=preset, identity=found.identity.build())


ALL_SAMPLES = [(preset, kind) for preset in samples.presets() for kind in samples.types(preset)]


@pytest.mark.parametrize(("preset", "kind"), ALL_SAMPLES)
def test_every_sample_is_sent_so_that_its_id_and_type_are_found(preset: str, kind: str) -> None:
    source, sample = source_of(preset), samples.load(preset, kind)
    draft = Draft(sample.body, sample.content_type, kind, new_event_id(preset))
    request = signed_request(source, draft, NOW)
    verified = verify(request, source.scheme, source.keys, NOW)
    assert isinstance(verified, VerifiedRequest)
    (event,) = identify(verified, "s", source.identity)
    assert event.type == kind
    if kind != "url_verification":  # a handshake carries no event
        assert event.provider_id == draft.event_id


@pytest.mark.parametrize("preset", samples.presets())
def test_a_request_signed_with_another_secret_is_refused(preset: str) -> None:
    source = source_of(preset)
    kind = samples.types(preset)[0]
    sample = samples.load(preset, kind)
    draft = Draft(sample.body, sample.content_type, kind, new_event_id(preset))
    request = signed_request(source, draft, NOW)
    other = (source.scheme.load_key(b"whsec_" + b"A" * 32),)
    assert verify(request, source.scheme, other, NOW) is Refusal.SIGNATURE_MISMATCH


DRAFT_BODIES = [
    # (body, content type, where the id stands, the body that is sent)
    (b'{"a": {"id": 1}}', "application/json", ["{json.a.id}"], {"a": {"id": "new"}}),
    (b'{"id": 1}', "application/json", ["{json.a.id}", "{json.id}"], {"id": "new"}),
    (b'{"id": 1}', "application/json", ["{form.id}", "{json.id}"], {"id": "new"}),
    (b'{"x": 1}', "application/json", ["{json.a.id}"], {"x": 1}),
    (b'{"x": 1}', "application/json", ["{json.x}:{json.y}"], {"x": 1}),
    (b"[1]", "application/json", ["{json.id}"], [1]),
]
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("body", "kind", "texts", "sent"), DRAFT_BODIES)
def test_an_id_is_put_where_the_body_has_room_for_it(
    body: bytes, kind: str, texts: list[str], sent: object
) -> None:
    assert json.loads(identified_body(body, kind, texts)) == sent


def identified_body(body: bytes, kind: str, texts: list[str]) -> bytes:
    rules = IdentityRules(tuple(compile_template(text) for text in texts))
    headers = Headers.of([(b"content-type", kind.encode())])
    request = InboundRequest("POST", "/", b"", headers, body, None, NOW)
    return identified(request, rules, Draft(body, kind, event_id="new")).body


def test_an_id_is_put_into_a_form_and_into_json_within_one() -> None:
    assert identified_body(b"a=1&id=2", FORM, ["{json.id}", "{form.id}"]) == b"a=1&id=new"
    within = identified_body(b"payload=%7B%22id%22%3A1%7D", FORM, ["{form_json.payload.id}"])
    assert json.loads(unquote_to_bytes(within.partition(b"=")[2])) == {"id": "new"}
    assert identified_body(b"payload=none", FORM, ["{form_json.payload.a.id}"]) == b"payload=none"


def test_sets_a_value_at_a_dotted_path_and_leaves_the_rest() -> None:
    changed = json.loads(with_values(b'{"a": {"b": [1, 2]}, "c": "x"}', {"a.b.1": 9, "d": None}))
    assert changed == {"a": {"b": [1, 9]}, "c": "x", "d": None}


@pytest.mark.parametrize("path", ["x.y", "a.b.7", "a.b.c", "c.d"])
def test_a_path_that_leads_nowhere_is_named(path: str) -> None:
    with pytest.raises(ValueError, match=path.replace(".", r"\.")):
        with_values(b'{"a": {"b": [1, 2]}, "c": "x"}', {path: 1})


def test_a_new_id_is_in_the_style_of_its_provider() -> None:
    assert new_event_id("stripe").startswith("evt_")
    assert new_event_id("slack").startswith("Ev")
    assert len(new_event_id("github")) == 36
    assert new_event_id("stripe") != new_event_id("stripe")


def test_of_a_body_that_is_no_json_it_says_so_and_what_to_do_instead() -> None:
    with pytest.raises(ValueError, match=r"^text: the body is no JSON: give a changed one whole$"):
        with_values(b"command=%2Fdeploy&text=now", {"text": "later"})
