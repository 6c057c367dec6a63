"""Events that a `when` keeps out: who gets none, what is stored, counted, logged and answered."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.http.lasting import Lasting
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.application import Application
from gateway.conditions import parse_condition
from gateway.configuration import load_config
from gateway.core.condition import Condition
from gateway.core.event import Event
from gateway.core.fields import parse_json
from gateway.core.identity import IdentityRules
from gateway.core.judging import Comparison
from gateway.core.routing import Routing
from gateway.core.template import compile_template
from gateway.diagnosis.filters import filters, masked
from gateway.faults import ConfigError
from gateway.plugins import Event as PluginEvent
from gateway.plugins import Registry
from gateway.routes import build_router
from gateway.signing import Draft, signed_request
from gateway.sources import SourceFile
from gateway.sources import when as form
from gateway.wiring import build_deployment
from tests.adapters.edge_rig import RIGHT, SHOP, Rig

registry = Registry()
BIG: Condition = parse_condition({"field": "amount", "greater": 100})


@registry.processor(source="shop", events=["order.*"])
def archive(event: PluginEvent) -> None: ...


@registry.processor(source="shop", events=["order.paid"], when={"field": "amount", "greater": 100})
def book(event: PluginEvent) -> None: ...


@registry.processor(source="shop", events=["star"], when={"field": "amount", "exists": True})
def shine(event: PluginEvent) -> None: ...


@registry.processor(
    source="shop",
    events=["order.paid"],
    order_by="customer",
    when={"not": {"field": "customer", "equals": "canary"}},
)
def ship(event: PluginEvent) -> None: ...


PROCESSORS = {each.name: each for each in registry.processors}
LIVE = parse_condition({"field": "live", "not_equals": False})
router = build_router(PROCESSORS, {"shop": LIVE})


def an_event(type_: str = "order.paid", **body: Any) -> Event:
    return Event("evt_1", "shop", type_, "", (), json.dumps(body).encode(), 0.0)


def test_a_processor_whose_condition_does_not_hold_gets_no_delivery() -> None:
    assert router(an_event(amount=500)).processors == ("archive", "book", "ship")
    routing = router(an_event(amount=5))
    assert (routing.processors, routing.filtered) == (("archive", "ship"), ("book: amount greater",))


def test_an_event_that_is_too_much_for_a_condition_is_let_through_and_told() -> None:
    body = b"[" * 300 + b"]" * 300
    own = parse_condition("payload[0] == 'other'")
    event = replace(an_event(), body=body)
    routing = build_router({"archive": PROCESSORS["archive"]}, {"shop": own})(event)
    assert routing.processors == ("archive",)
    assert routing.filtered == ("source: expression (too much to evaluate: let through)",)
    picky = replace(PROCESSORS["archive"], when=own)
    routing = build_router({"archive": picky}, {})(event)
    assert routing.processors == ("archive",)
    assert routing.filtered == ("archive: expression (too much to evaluate: let through)",)


def test_a_source_whose_condition_does_not_hold_gives_nobody_anything() -> None:
    assert router(an_event(amount=500, live=False)) == Routing(
        (), filtered=("source: live not_equals",)
    )


def test_a_turn_is_numbered_among_those_that_get_the_event() -> None:
    (turn,) = router(an_event(amount=5, customer="c")).turns
    assert turn.number == 2
    assert router(an_event(amount=5, customer="canary")).turns == ()


def test_the_body_is_read_only_where_a_wanted_condition_needs_it() -> None:
    asked: list[str] = []

    def parsed() -> Any:
        asked.append("parsed")
        return {"amount": 500}

    plain = build_router({"archive": PROCESSORS["archive"], "shine": PROCESSORS["shine"]})
    assert plain(an_event("order.made"), parsed).processors == ("archive",)
    assert router(an_event("nobody's"), parsed) == Routing(())  # not even the source's own is asked
    by_type = build_router(
        PROCESSORS, {"shop": parse_condition({"field": "type", "equals": "order.made"})}
    )
    assert by_type(an_event("order.made"), parsed).processors == ("archive",)
    assert asked == []
    assert router(an_event(), parsed).processors == ("archive", "book", "ship")
    assert asked == ["parsed"]


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b'{"amount": "500"}', b"\xff", b"[" * 100_000]
)
def test_any_body_is_routed(body: bytes) -> None:
    routing = router(replace(an_event(), body=body))
    assert routing.processors == ("archive", "ship")


# What the edge makes of it.

TYPED = replace(SHOP, identity=IdentityRules(event_type=(compile_template("{json.type}"),)))
BATCH = replace(SHOP, identity=IdentityRules(event_type=(compile_template("{item.type}"),), batch="$"))


class Filtering(Rig):
    def _route(self, event: Event, parsed: Callable[[], Any] | None = None) -> Routing:
        return router(event, parsed)


def test_what_everybody_filters_out_is_answered_counted_and_logged_but_not_stored() -> None:
    rig = Filtering([TYPED])
    body = b'{"type": "star", "canary": "canary"}'
    assert (rig.call(RIGHT, body=body).status, rig.events) == (200, [])
    assert "ledger" not in rig.asked
    assert rig.counted() == {"shop|ignored|filtered": 1}
    (line,) = rig.lines
    assert (line["event"], line["reason"]) == ("request.ignored", "filtered")
    assert line["filtered"] == ["shine: amount exists"]
    assert "canary" not in str(line)


def test_what_one_filters_out_is_stored_for_the_others_and_the_line_says_so() -> None:
    rig = Filtering([TYPED])
    assert rig.call(RIGHT, body=b'{"type": "order.paid", "amount": 1}').status == 200
    assert rig.counted() == {"shop|accepted|accepted": 1}
    assert rig.lines[0]["filtered"] == ["book: amount greater"]
    assert len(rig.events) == 1


def test_what_nobody_takes_by_its_type_is_not_called_filtered() -> None:
    rig = Filtering([TYPED])
    rig.call(RIGHT, body=b'{"type": "unknown"}')
    assert rig.counted() == {"shop|ignored|": 1}
    assert rig.lines[0]["filtered"] is None


def test_a_body_that_was_read_for_the_type_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def counted(body: bytes) -> Any:
        read.append(body)
        return parse_json(body)

    monkeypatch.setattr("gateway.core.fields.parse_json", counted)
    monkeypatch.setattr("gateway.core.json_path.parse_json", counted)
    body = b'{"type": "order.paid", "amount": 500}'
    assert Filtering([TYPED]).call(RIGHT, body=body).status == 200
    assert read == [body]


def test_each_event_of_a_batch_is_filtered_by_itself() -> None:
    rig = Filtering([BATCH])
    items = [{"type": "order.made", "live": live} for live in (True, False, True)]
    rig.call(RIGHT, body=json.dumps(items).encode())
    assert len(rig.events) == 2
    assert rig.lines[0]["filtered"] == ["source: live not_equals"]


# From the files.


def deploy(folder: Path, when: str, name: str = "shop") -> Path:
    (folder / "sources").mkdir(exist_ok=True)
    text = f'secrets = ["env:SECRET"]\n{when}\n[verify]\nscheme = "token"\nheader = "x-token"\n'
    (folder / "sources" / f"{name}.toml").write_text(text)
    return folder


SECRET = {"SECRET": "a-secret-of-some-length-0123"}


def test_a_sources_file_says_its_condition(tmp_path: Path) -> None:
    when = 'when = {all = [{field = "amount", greater = 100}, "payload.live"]}'
    (source,) = load_config(deploy(tmp_path, when), SECRET).sources
    assert str(source.when) == "amount greater 100 and payload.live"


def test_a_deployment_asks_the_condition_of_a_sources_file(tmp_path: Path) -> None:
    config = load_config(deploy(tmp_path, 'when = {field = "live", equals = true}'), SECRET)
    nowhere = "redis://127.0.0.1:1"
    lasting = Lasting.of(async_client(nowhere, 0.1), Keys())
    served = build_deployment(Application(config, PROCESSORS), nowhere, lasting)
    assert served.ingest.route(an_event()).filtered == ("source: live equals",)


def test_every_fault_of_a_condition_is_told_with_file_and_key(tmp_path: Path) -> None:
    directory = deploy(tmp_path, 'when = {any = [{field = "a..b", equals = 1}, {field = "n"}]}')
    with pytest.raises(ConfigError) as error:
        load_config(directory, SECRET)
    found = [(fault.file, fault.key) for fault in error.value.faults]
    file = str(directory / "sources" / "shop.toml")
    assert found == [(file, "when.any[0].field"), (file, "when.any[1]")]


def test_editors_know_every_word_of_a_condition() -> None:
    from gateway.core.condition import FIELD, GROUPS
    from gateway.core.operators import OPERATORS

    fields = form.Condition.model_fields
    assert {each.alias or name for name, each in fields.items()} == {FIELD, *GROUPS, *OPERATORS}
    properties = SourceFile.model_json_schema()["properties"]
    assert properties["when"]["anyOf"][0] == {"$ref": "#/$defs/Condition"}


# What an operator is told.


def test_explains_by_every_condition_who_gets_an_event() -> None:
    source = replace(TYPED, when=LIVE)
    draft = Draft(b'{"type": "order.paid", "amount": 5}', "application/json", None, "1")
    (found,) = filters(signed_request(source, draft, 0.0), source, PROCESSORS)
    assert (found.takers, found.processors) == (("archive", "book", "ship"), ("archive", "ship"))
    assert [(each.of, each.holds) for each in found.tried] == [
        ("source", True),
        ("book", False),
        ("ship", True),
    ]
    assert (found.reasons, found.is_filtered) == (("book: amount greater",), False)


def test_explains_each_event_of_a_batch_and_one_that_was_stored_of_it() -> None:
    for body in (b'[{"type": "star"}, {"type": "order.made"}]', b'{"type": "star"}'):
        request = signed_request(BATCH, Draft(body, "application/json", None, "1"), 0.0)
        first, *_ = filters(request, BATCH, PROCESSORS)
        assert (first.type, first.is_filtered) == ("star", True)


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("amount", 5),
        ("api_token", "*** (6 characters)"),
        ("header:x-token", "*** (5 bytes)"),
        ("header:user-agent", "curl"),
    ],
)
def test_shows_an_operator_what_the_masking_rules_allow(field: str, shown: Any) -> None:
    source = replace(TYPED, when=parse_condition({"field": field, "equals": "other"}))
    body = b'{"type": "star", "amount": 5, "api_token": "canary"}'
    request = signed_request(source, Draft(body, "application/json", None, "1"), 0.0)
    request = replace(request, headers=request.headers.with_(b"user-agent", b"curl"))
    request = replace(request, headers=request.headers.with_(b"x-token", b"right"))
    (found,) = filters(request, source, PROCESSORS)
    (finding,) = found.tried[0].findings
    assert masked(finding, source) == (shown,)


def test_shows_nothing_of_a_body_that_is_the_proof() -> None:
    from gateway.core.schemes.token import TokenScheme
    from gateway.core.template import Reference

    source = replace(TYPED, scheme=TokenScheme((Reference("json", "door"),)))
    (finding,) = BIG.findings(subject_of(b'{"amount": 12345}'))
    assert masked(finding, source) == ("*** (5 characters)",)


def subject_of(body: bytes) -> Any:
    from gateway.core.json_path import Subject

    return Subject(an_event(), lambda: parse_json(body))


def test_a_comparison_is_a_value() -> None:
    assert isinstance(BIG, Comparison)
    assert parse_condition({"field": "amount", "greater": 100}) == BIG
