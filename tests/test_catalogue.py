"""The presets: provider facts that load, build, and name the event that a provider means."""

import json
import re
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
    Options,
    Preset,
    SignatureVerify,
    Verify,
    load_preset,
    preset_names,
)
from gateway.catalogue.strict import NO_OPTIONS
from gateway.core.handshake import Condition, Handshake, Proof
from gateway.core.identity import identify
from gateway.core.reply import Reply, ReplyTemplate
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.combined import AnyOf, EachItem
from gateway.core.schemes.jwt import Claim, JwtScheme
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.signature_places import SignaturePlaces
from gateway.core.schemes.timestamp import Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference, compile_template
from gateway.core.verification import VerifiedRequest, verify
from gateway.units import parse_duration

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PRESETS = Path(__file__).parent.parent / "gateway" / "presets"
FILES = sorted(PRESETS.glob("*.toml"))
every_preset = pytest.mark.parametrize("name", preset_names())


def request(headers: Mapping[str, str], body: bytes) -> InboundRequest:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return InboundRequest("POST", "/", b"", Headers.of(pairs), body, None, 0.0)


def test_a_preset_is_named_as_its_file_and_nothing_else_is_one() -> None:
    assert preset_names() == tuple(sorted(path.stem for path in FILES))
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
def test_a_preset_without_a_proof_says_why(name: str) -> None:
    preset = load_preset(name)
    if not preset.verify.build().needs_secret:
        assert preset.notes
        assert not preset.body_signed


@every_preset
def test_a_preset_file_is_finished(name: str) -> None:
    """What was noted down while it was written says nothing to who reads it."""
    text = (PRESETS / f"{name}.toml").read_text(encoding="utf-8")
    for scratch in ("TODO", "FIXME", "# catalogue", "# sources", "(M)", "(T)"):
        assert scratch not in text


@every_preset
def test_a_preset_asks_for_the_options_that_it_names_and_no_others(name: str) -> None:
    preset, text = load_preset(name), (PRESETS / f"{name}.toml").read_text(encoding="utf-8")
    named = {
        name
        for expression in re.findall(r"\{[^{}]*\}", text)
        for name in re.findall(r"\bconfig\.([A-Za-z0-9_]+)", expression)
    }
    assert named == set(preset.options)
    for option in preset.options.values():
        assert option.about


@every_preset
def test_every_template_of_a_preset_names_what_can_be_there(name: str) -> None:
    """A name of an item means something in a batch only, or where each item is signed."""
    preset = load_preset(name)
    kinds = {
        reference.kind
        for template in (*preset.identity.build().event_id, *preset.identity.build().event_type)
        for reference in template.references()
    }
    assert preset.identity.batch or "item" not in kinds


def test_a_mistyped_key_in_a_preset_is_refused() -> None:
    data = tomllib.loads(FILES[0].read_text(encoding="utf-8"))
    data["verify"]["tolerence"] = "5m"
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
    (event,) = identify(verified, name, load_preset(name).identity.build())
    assert (event.provider_id, event.type) == (event_id, event_type)


def test_slacks_deadline_is_the_shortest_and_githubs_body_the_largest() -> None:
    assert load_preset("slack").sender.deadline == 3.0
    assert load_preset("github").source.max_body == 25 * 1024 * 1024
    assert load_preset("github").source.revive_dead is True
    assert load_preset("stripe").source.dedup_window == 15 * 86400.0


# What a [verify] table becomes


def built(table: dict[str, Any], options: Options = NO_OPTIONS) -> object:
    adapter: TypeAdapter[Any] = TypeAdapter(Verify)
    return adapter.validate_python(table).build(options)


def test_every_key_of_a_signature_table_reaches_the_scheme() -> None:
    messages = ["{ts}|{body}{secret}", "{ts}{body}{secret}{config.id}"]
    table = {
        "scheme": "signature",
        "header": "X-Sig",
        "at": ["query.sig"],
        "algorithm": "hash-sha512",
        "message": messages,
        "encoding": "base64url",
        "form": "pairs",
        "prefix": "p",
        "prefix_optional": True,
        "separator": ";",
        "pair_separator": ":",
        "signature_key": "s-{config.id}",
        "timestamp_key": "u",
        "groups": "|",
        "key_encoding": "hex",
        "key_prefix": "k_",
        "key_suffix": "&",
        "key_digest": "sha1",
        "key_normalize": "NFC",
        "timestamp": {"header": "X-Time", "unit": "ms", "tolerance": "90s"},
        "require": {"{header.X-Version}": "1,{config.id}"},
    }
    # Those that make another scheme of it, or are no matter of the scheme's, are tested below.
    others = {"algorithm_by_prefix", "each", "key_source"}
    fields = set(SignatureVerify.model_fields)
    assert set(table) == fields - others, "a new key: give it another value here"
    assert built(table, {"id": b"7"}) == SignatureScheme(
        algorithm=ALGORITHMS["hash-sha512"],
        places=SignaturePlaces(
            places=(Reference("header", "x-sig"), Reference("query", "sig")),
            form="pairs",
            encoding="base64url",
            prefix=b"p",
            prefix_optional=True,
            separator=b";",
            pair_separator=b":",
            signature_key=b"s-7",
            timestamp_key=b"u",
            groups=b"|",
        ),
        messages=tuple(compile_template(text).bind({"id": b"7"}) for text in messages),
        key_format=KeyFormat("hex", b"k_", b"&", "sha1", "NFC"),
        timestamp=Timestamp(Reference("header", "x-time"), "ms", 90.0),
        require=((compile_template("{header.X-Version}"), (b"1", b"7")),),
    )


def test_a_table_of_algorithms_or_of_items_becomes_a_scheme_made_of_schemes() -> None:
    table = {"scheme": "signature", "header": "X", "algorithm_by_prefix": {"a=": "hmac-md5"}}
    one = built(table)
    assert isinstance(one, SignatureScheme)
    assert (one.places.prefix, one.algorithm) == (b"a=", ALGORITHMS["hmac-md5"])
    both = built(table | {"algorithm_by_prefix": {"a=": "hmac-md5", "b=": "hmac-sha1"}, "each": "l.*"})
    assert isinstance(both, EachItem)
    assert both.path == "l.*"
    assert isinstance(both.scheme, AnyOf)
    assert [each.places.prefix for each in both.scheme.schemes] == [b"a=", b"b="]  # type: ignore[attr-defined]


def test_a_signature_table_has_defaults_that_most_providers_need() -> None:
    assert built({"scheme": "signature", "header": "X"}) == SignatureScheme(
        ALGORITHMS["hmac-sha256"],
        SignaturePlaces((Reference("header", "x"),)),
        (compile_template("{body}"),),
    )


def test_a_time_without_a_tolerance_is_of_any_age() -> None:
    time = {"tolerance": "none", "at": "json.t", "unit": "auto"}
    table = {"scheme": "signature", "header": "X", "message": "{json.t}.{json.a}", "timestamp": time}
    found = built(table)
    assert isinstance(found, SignatureScheme)
    assert found.timestamp == Timestamp(Reference("json", "t"), "auto", None)


X = (Reference("header", "x-t"),)


@pytest.mark.parametrize(
    ("table", "scheme"),
    [
        ({"scheme": "token", "header": "X-T"}, TokenScheme(X)),
        ({"scheme": "token", "at": "query.T"}, TokenScheme((Reference("query", "T"),))),
        (
            {"scheme": "token", "at": ["header.X-T", "json.l.*.t"]},
            TokenScheme((*X, Reference("json", "l.*.t"))),
        ),
        (
            {"scheme": "token", "prefix": "Bearer "},
            TokenScheme((Reference("header", "authorization"),), b"Bearer "),
        ),
        ({"scheme": "basic-auth"}, BasicAuthScheme()),
        ({"scheme": "unverified"}, UnverifiedScheme()),
        (
            {
                "scheme": "jwt",
                "header": "X-T",
                "prefix": "Bearer ",
                "prefix_optional": True,
                "algorithms": ["HS256"],
                "claims": {"iss": "me", "body?": "{body | sha256 | hex}"},
                "leeway": "10s",
                "max_age": "5m",
                "key_encoding": "base64",
            },
            JwtScheme(
                place=X[0],
                algorithms={"HS256": ALGORITHMS["hmac-sha256"]},
                prefix=b"Bearer ",
                prefix_optional=True,
                key=KeyFormat("base64"),
                claims=(
                    Claim("iss", compile_template("me")),
                    Claim("body", compile_template("{body | sha256 | hex}"), True),
                ),
                leeway=10.0,
                max_age=300.0,
            ),
        ),
        (
            {
                "scheme": "http-message-signature",
                "algorithm": "hmac-sha256",
                "required": ["@method"],
                "tolerance": "1m",
            },
            MessageSignatureScheme(
                ALGORITHMS["hmac-sha256"], "hmac-sha256", required=("@method",), tolerance=60.0
            ),
        ),
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
        {"message": "{ts}.{body}", "timestamp": {}, "form": "positional"},
        {"message": "{body}", "timestamp": {"at": "json.time"}},
        {"message": "{json.time}", "timestamp": {"at": "json.time"}},
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
        {"message": ["{ts}.{body}", "{body}"], "timestamp": {"header": "X-Time"}},
        {"message": "{header.X-Other}.{body}", "timestamp": {"header": "X-Time"}},
        {"message": "{body}", "timestamp": {}, "form": "pairs"},
        {"message": "{body}", "timestamp": {"at": "query.time"}},
    ],
)
def test_a_time_that_is_nowhere_or_not_signed_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="time"):
        built({"scheme": "signature", "header": "X", **more})


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"scheme": "signature"}, "names no place"),
        ({"scheme": "signature", "header": "X", "message": "{secret}{body}"}, "hash-"),
        ({"scheme": "signature", "header": "X", "algorithm": "hash-md5"}, "no proof"),
        ({"scheme": "signature", "header": "X", "algorithm": "md5"}, "hmac-md5"),
        ({"scheme": "signature", "header": "X", "message": "{bodi}"}, "unknown name"),
        ({"scheme": "signature", "header": "a b"}, "pattern"),
        ({"scheme": "signature", "at": "cookie.a"}, "write a place"),
        (
            {"scheme": "signature", "header": "X", "algorithm": "ed25519"}
            | {"algorithm_by_prefix": {"a": "ed25519"}},
            "one of the two",
        ),
        ({"scheme": "token", "header": "X", "at": "query.t"}, "header and at"),
        ({"scheme": "jwt", "algorithms": ["HS256"]}, "no place"),
        ({"scheme": "jwt", "header": "X", "at": "query.t", "algorithms": ["HS256"]}, "or two"),
        ({"scheme": "jwt", "header": "X", "algorithms": []}, "at least 1"),
        ({"scheme": "jwt", "header": "X", "algorithms": ["none"]}, "HS256"),
    ],
)  # fmt: skip
def test_a_table_that_would_let_nobody_in_or_anybody_is_refused(
    table: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        built(table)


# What a handshake becomes


def test_a_handshake_table_becomes_a_handshake() -> None:
    table = {
        "method": "GET",
        "headers": {"X-A": "1"},
        "query": {"mode": "subscribe"},
        "when_json": {"type": "t"},
        "has": ["query.challenge"],
        "matches": {"header.X-Kind": "a+"},
        "proof": "armed",
        "require": {"{query.token}": "{config.token}"},
        "otherwise": 403,
        "learn": "header.X-Secret",
        "reply": {
            "status": 202,
            "json": {"c": ["{query.challenge}", 1]},
            "content_type": "application/x+json",
            "headers": {"X-Echo": "{query.challenge}"},
        },
    }
    visits = {"visit", "visit_hosts"}  # only for what is signed: see below
    assert set(table) == set(HandshakeFile.model_fields) - visits, "a new key: give it a value here"
    (echo,) = (compile_template("{query.challenge}"),)
    assert HandshakeFile.model_validate(table).build({"token": b"mine"}) == Handshake(
        when=Condition(
            "GET",
            (("x-a", b"1"),),
            (("mode", b"subscribe"),),
            (("type", "t"),),
            (Reference("query", "challenge"),),
            ((Reference("header", "x-kind"), "a+"),),
        ),
        reply=ReplyTemplate(
            202,
            json={"c": [echo, 1]},
            content_type="application/x+json",
            headers=(("X-Echo", echo),),
        ),
        proof=Proof.ARMED,
        require=(
            (
                compile_template("{query.token}"),
                compile_template("{config.token}").bind({"token": b"mine"}),
            ),
        ),
        otherwise=403,
        learn=Reference("header", "x-secret"),
    )
    visiting = HandshakeFile(visit="{json.url}", visit_hosts=("a",)).build()
    assert (visiting.visit, visiting.visit_hosts) == (compile_template("{json.url}"), ("a",))


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"learn": "header.X-Secret"}, "armed"),
        ({"learn": "header.X-Secret", "proof": "none"}, "armed"),
        ({"visit": "{json.url}"}, "visit_hosts"),
        ({"visit": "{json.url}", "visit_hosts": ["a"], "proof": "none"}, "signed"),
        ({"otherwise": 200}, "400"),
        ({"reply": {"status": 500}}, "299"),
        ({"reply": {"body": "a", "json": {}}}, "keep one"),
        ({"reply": {"body": "a", "echo": "{query.a}"}}, "keep one"),
        ({"reply": {"body": "{query.a}"}}, "write it as echo"),
        ({"reply": {"content_type": "a\nb"}}, "pattern"),
        ({"reply": {"headers": {"a b": "c"}}}, "pattern"),
        ({"method": "DELETE"}, "POST"),
    ],
)
def test_a_handshake_that_would_serve_anybody_is_refused(table: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        HandshakeFile.model_validate(table)


def test_an_acknowledgement_is_a_success_whatever_the_table_says() -> None:
    assert Acknowledge(status=202, body="ok").build().settled() == Reply(202, b"ok")
    echo = Acknowledge(echo="[{query.a}]").build()
    assert echo.body == compile_template("[{query.a}]")
    for status in (199, 300, 404, 500):
        with pytest.raises(ValidationError):
            Acknowledge(status=status)


def test_a_body_is_given_as_it_is_whatever_signs_it_holds() -> None:
    for text in ("[accepted]", "<Response/>", '{"ok": true}', "a | b"):
        assert Acknowledge(body=text).build().settled() == Reply(200, text.encode())


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
