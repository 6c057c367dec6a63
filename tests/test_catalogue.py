"""The presets: provider facts that load, build, and name the event that a provider means."""

import json
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.catalogue import (
    Acknowledge,
    HandshakeFile,
    Preset,
    SignatureVerify,
    TokenVerify,
    Verify,
    load_preset,
    preset_names,
)
from gateway.core.handshake import Handshake, Reply
from gateway.core.identity import identify
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.signature import SignatureScheme, Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference, compile_template
from gateway.core.verification import VerifiedRequest, verify
from gateway.units import parse_duration

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FILES = sorted((Path(__file__).parent.parent / "gateway" / "presets").glob("*.toml"))
every_preset = pytest.mark.parametrize("name", preset_names())


def request(headers: Mapping[str, str], body: bytes) -> InboundRequest:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return InboundRequest("POST", "/", b"", Headers.of(pairs), body, None, 0.0)


def test_a_preset_is_named_as_its_file_and_nothing_else_is_one() -> None:
    assert preset_names() == tuple(path.stem for path in FILES)
    for name in ("", "githup", "../settings", "github.toml", "__init__"):
        with pytest.raises(KeyError):
            load_preset(name)


@every_preset
def test_a_preset_says_where_its_facts_are_from_and_when_they_were_looked_up(name: str) -> None:
    preset = load_preset(name)
    assert preset.name
    assert preset.links
    assert all(link.startswith("https://") for link in preset.links)
    assert preset.checked >= date(2025, 1, 1)


@every_preset
def test_a_preset_builds_a_scheme_that_needs_a_secret(name: str) -> None:
    assert load_preset(name).verify.build().needs_secret


@every_preset
def test_a_preset_finds_an_id_and_a_type(name: str) -> None:
    identity = load_preset(name).identity
    assert identity.event_id
    assert identity.event_type


@every_preset
def test_a_preset_admits_it_when_the_id_is_not_covered_by_the_signature(name: str) -> None:
    """An unsigned id stops a sender's retries, but not somebody who replays a recorded request."""
    preset = load_preset(name)
    signed = set()
    if isinstance(preset.verify, SignatureVerify):
        signed = set(compile_template(preset.verify.message).references())
    covered = all(
        reference in signed or (reference.kind != "header" and Reference("body") in signed)
        for template in preset.identity.build().event_id
        for reference in template.references()
    )
    assert preset.identity.event_id_signed is covered


def test_a_mistyped_key_in_a_preset_is_refused() -> None:
    data = tomllib.loads(FILES[0].read_text(encoding="utf-8"))
    data["verify"]["tolerance"] = "5m"
    with pytest.raises(ValidationError, match="Extra inputs"):
        Preset.model_validate(data)


# What the providers send: (preset, headers, body, the event's id, its type)
SENT: list[tuple[str, dict[str, str], object, str, str]] = [
    (
        "github",
        {"X-GitHub-Delivery": "72d3162e", "X-GitHub-Event": "push"},
        {"id": 1},
        "72d3162e",
        "push",
    ),
    ("stripe", {}, {"id": "evt_1", "type": "invoice.paid"}, "evt_1", "invoice.paid"),
    (
        "slack",
        {},
        {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}},
        "Ev1",
        "app_mention",
    ),
    ("slack", {}, {"type": "app_rate_limited"}, "", "app_rate_limited"),
    ("slack", FORM, b"command=%2Fdeploy&trigger_id=1.2.abc", "1.2.abc", "/deploy"),
    (
        "slack",
        FORM,
        b'payload={"type":"block_actions","trigger_id":"3.4.d"}',
        "3.4.d",
        "block_actions",
    ),
    (
        "standard-webhooks",
        {"webhook-id": "msg_1"},
        {"type": "user.created", "id": "other"},
        "msg_1",
        "user.created",
    ),
    (
        "shopify",
        {"X-Shopify-Event-Id": "e1", "X-Shopify-Webhook-Id": "w1", "X-Shopify-Topic": "orders/create"},
        {},
        "e1",
        "orders/create",
    ),
    ("shopify", {"X-Shopify-Webhook-Id": "w1", "X-Shopify-Topic": "a"}, {}, "w1", "a"),
    (
        "gitlab",
        {"Idempotency-Key": "k1", "X-Gitlab-Event-UUID": "u1", "X-Gitlab-Event": "Push Hook"},
        {"object_kind": "push"},
        "k1",
        "Push Hook",
    ),
    ("gitlab", {"X-Gitlab-Event-UUID": "u1"}, {"object_kind": "push"}, "u1", "push"),
]


@pytest.mark.parametrize(("name", "headers", "body", "event_id", "event_type"), SENT)
def test_a_preset_finds_the_id_and_the_type_that_the_provider_means(
    name: str, headers: dict[str, str], body: object, event_id: str, event_type: str
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    verified = verify(request(headers, raw), UnverifiedScheme(), [], 0.0)
    assert isinstance(verified, VerifiedRequest)
    event = identify(verified, name, load_preset(name).identity.build())
    assert (event.provider_id, event.type) == (event_id, event_type)


def test_every_preset_has_an_example_of_what_its_provider_sends() -> None:
    assert {row[0] for row in SENT} == set(preset_names())


def test_slacks_deadline_is_the_shortest_and_githubs_body_the_largest() -> None:
    assert load_preset("slack").sender.deadline == 3.0
    assert load_preset("github").source.max_body == 25 * 1024 * 1024
    assert load_preset("github").source.revive_dead is True
    assert load_preset("stripe").source.dedup_window == 15 * 86400.0


# What a [verify] table becomes


def built(table: dict[str, Any]) -> object:
    adapter: TypeAdapter[Any] = TypeAdapter(Verify)
    return adapter.validate_python(table).build()


def test_every_key_of_a_signature_table_reaches_the_scheme() -> None:
    table = {
        "scheme": "signature",
        "header": "X-Sig",
        "message": "{ts}|{body}",
        "digest": "sha512",
        "encoding": "base64url",
        "form": "pairs",
        "prefix": "p",
        "separator": ";",
        "signature_key": "s",
        "timestamp_key": "u",
        "key_encoding": "hex",
        "key_prefix": "k_",
        "timestamp": {"header": "X-Time", "unit": "ms", "tolerance": "90s"},
    }
    assert set(table) == set(SignatureVerify.model_fields), "a new key: give it another value here"
    assert built(table) == SignatureScheme(
        header=b"x-sig",
        message=compile_template("{ts}|{body}"),
        digest="sha512",
        encoding="base64url",
        form="pairs",
        prefix=b"p",
        separator=b";",
        signature_key=b"s",
        timestamp_key=b"u",
        key_encoding="hex",
        key_prefix=b"k_",
        timestamp=Timestamp(b"x-time", True, 90.0),
    )


@pytest.mark.parametrize(
    ("table", "scheme"),
    [
        ({"scheme": "token", "header": "X-T"}, TokenScheme(Reference("header", "x-t"))),
        ({"scheme": "token", "query": "T"}, TokenScheme(Reference("query", "T"))),
        (
            {"scheme": "token", "prefix": "Bearer "},
            TokenScheme(Reference("header", "authorization"), b"Bearer "),
        ),
        ({"scheme": "basic-auth"}, BasicAuthScheme()),
        ({"scheme": "unverified"}, UnverifiedScheme()),
    ],
)
def test_a_table_of_another_scheme_becomes_it(table: dict[str, Any], scheme: object) -> None:
    assert built(table) == scheme


@pytest.mark.parametrize(
    "more",
    [
        {"message": "{ts}.{body}", "timestamp": {"header": "X-Time"}},
        {"message": "{header.x-TIME}.{body}", "timestamp": {"header": "X-Time"}},
        {"message": "{ts}.{body}", "timestamp": {}, "form": "pairs"},
    ],
)
def test_a_time_that_is_signed_is_allowed_wherever_it_stands(more: dict[str, Any]) -> None:
    assert built({"scheme": "signature", "header": "X", **more})


@pytest.mark.parametrize(
    "more",
    [
        {"message": "{ts}.{body}"},
        {"message": "{ts}.{body}", "timestamp": {}},
        {"message": "{body}", "timestamp": {"header": "X-Time"}},
        {"message": "{header.X-Other}.{body}", "timestamp": {"header": "X-Time"}},
        {"message": "{body}", "timestamp": {}, "form": "pairs"},
    ],
)
def test_a_time_that_is_nowhere_or_not_signed_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="time"):
        built({"scheme": "signature", "header": "X", **more})


def test_a_token_stands_in_one_place() -> None:
    with pytest.raises(ValidationError, match="header and query"):
        TokenVerify(scheme="token", header="X", query="t")


def test_a_handshake_table_becomes_a_handshake() -> None:
    table = {
        "method": "GET",
        "headers": {"X-A": "1"},
        "when_json": {"type": "t"},
        "signed": False,
        "echo": "{query.challenge}",
    }
    assert set(table) == set(HandshakeFile.model_fields), "a new key: give it another value here"
    assert HandshakeFile.model_validate(table).build() == Handshake(
        "GET", compile_template("{query.challenge}"), ((b"x-a", b"1"),), (("type", "t"),), False
    )


def test_an_acknowledgement_is_a_success_whatever_the_table_says() -> None:
    assert Acknowledge(status=202, body="ok").build() == Reply(202, b"ok")
    for status in (199, 300, 404, 500):
        with pytest.raises(ValidationError):
            Acknowledge(status=status)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), ("7d", 604800.0), (" 2 s ", 2.0)],
)
def test_reads_durations_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 sec", "1h30m", "1e3s", "5S", ".5s", "5.s", 5, None]
)
def test_refuses_durations_without_a_plain_number_and_unit(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
