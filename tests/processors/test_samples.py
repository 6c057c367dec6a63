"""The sample bodies: readable, true to their providers' id formats, each for a known preset."""

import json
import re
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway import samples
from gateway.catalogue import load_preset
from gateway.core.fields import Fields
from gateway.core.request import Headers, InboundRequest
from gateway.core.template import first

ALL = [(preset, each) for preset in samples.presets() for each in samples.types(preset)]
JSON = [(preset, each) for preset, each in ALL if not each.startswith("/")]
TYPED_BY_THE_BODY = [each for each in ALL if each[0] in ("slack", "standard-webhooks", "stripe")]
STRIPE_IDS = {
    "invoice": r"in_1\w{23}",
    "subscription": r"sub_1\w{23}",
    "payment_intent": r"pi_3\w{23}",
    "checkout.session": r"cs_test_a1\w{56}",
    "dispute": r"du_1\w{23}",
}
OURS = re.compile(
    r"([a-z]+\.)*example\.com|([a-z]+\.)*(github|githubusercontent|gitlab|slack|stripe|shopify)\.com"
    r"|fennwick-ceramics\.myshopify\.com"
)


def text_of(preset: str, event_type: str) -> str:
    return samples.load(preset, event_type).body.decode()


def payload_of(preset: str, event_type: str) -> Any:
    return json.loads(text_of(preset, event_type))


@pytest.mark.parametrize(("preset", "event_type"), JSON)
def test_every_json_sample_is_an_object(preset: str, event_type: str) -> None:
    sample = samples.load(preset, event_type)
    assert isinstance(json.loads(sample.body), dict)
    assert (sample.type, sample.content_type) == (event_type, "application/json")


@pytest.mark.parametrize("preset", samples.presets())
def test_every_folder_of_samples_is_named_like_a_preset(preset: str) -> None:
    assert files("gateway.presets").joinpath(f"{preset}.toml").is_file()


@pytest.mark.parametrize(("preset", "event_type"), TYPED_BY_THE_BODY)
def test_the_preset_finds_the_type_that_the_file_is_named_after(preset: str, event_type: str) -> None:
    sample = samples.load(preset, event_type)
    headers = Headers.of([(b"Content-Type", sample.content_type.encode())])
    request = InboundRequest("POST", "/", b"", headers, sample.body, None, 0.0)
    found = first(load_preset(preset).identity.build().event_type, Fields(request))
    assert found == event_type.encode()


@pytest.mark.parametrize(("preset", "event_type"), ALL)
def test_addresses_are_invented_or_the_providers_own(preset: str, event_type: str) -> None:
    found = re.findall(r"(?:https?://|git://|git@|[\w.]@)([\w.-]+)", text_of(preset, event_type))
    assert [host for host in found if not OURS.fullmatch(host)] == []


def test_no_two_samples_share_an_event_id() -> None:
    ids = [payload_of("stripe", each)["id"] for each in samples.types("stripe")]
    slack = [payload_of("slack", each) for preset, each in JSON if preset == "slack"]
    ids += [each["event_id"] for each in slack if "event_id" in each]
    ids += [
        payload_of("standard-webhooks", t)["data"]["id"] for t in samples.types("standard-webhooks")
    ]
    assert len(ids) == len(set(ids)) > 0
    assert len({samples.load(*each).body for each in ALL}) == len(ALL)


@pytest.mark.parametrize("event_type", samples.types("stripe"))
def test_a_stripe_sample_is_an_event_around_its_object(event_type: str) -> None:
    event = payload_of("stripe", event_type)
    about = event["data"]["object"]
    assert (event["object"], event["type"], event["livemode"]) == ("event", event_type, False)
    assert re.fullmatch(r"evt_1\w{23}", event["id"])
    assert re.fullmatch(STRIPE_IDS[about["object"]], about["id"])


def test_the_stripe_samples_tell_one_story() -> None:
    payment = payload_of("stripe", "payment_intent.succeeded")["data"]["object"]
    dispute = payload_of("stripe", "charge.dispute.created")["data"]["object"]
    session = payload_of("stripe", "checkout.session.completed")["data"]["object"]
    assert dispute["charge"] == payment["latest_charge"]
    assert dispute["payment_intent"] == session["payment_intent"] == payment["id"]


@pytest.mark.parametrize("event_type", samples.types("github"))
def test_a_github_sample_carries_repository_and_sender(event_type: str) -> None:
    payload = payload_of("github", event_type)
    assert payload["repository"]["full_name"] == "fennwick/orchard"
    assert payload["sender"]["type"] == "User"
    shas = re.findall(
        r'"(?:id|sha|before|after|head_sha|tree_id)": "(\w+)"', text_of("github", event_type)
    )
    assert all(re.fullmatch(r"[0-9a-f]{40}", each) for each in shas)


@pytest.mark.parametrize("event_type", ["app_mention", "message", "reaction_added"])
def test_a_slack_sample_is_an_envelope_around_its_event(event_type: str) -> None:
    envelope = payload_of("slack", event_type)
    assert (envelope["type"], envelope["event"]["type"]) == ("event_callback", event_type)
    assert re.fullmatch(r"Ev0[A-Z0-9]{9}", envelope["event_id"])
    assert re.fullmatch(r"T0[A-Z0-9]{9}", envelope["team_id"])
    assert str(envelope["event_time"]) == envelope["event"]["event_ts"].partition(".")[0]


def test_the_slash_command_is_a_form_without_a_newline() -> None:
    sample = samples.load("slack", "/deploy")
    assert sample.content_type == "application/x-www-form-urlencoded"
    assert parse_qs(sample.body.decode())["command"] == ["/deploy"]
    assert not sample.body.endswith(b"\n")


@pytest.mark.parametrize(
    ("event_type", "kind"), [("orders/create", "Order"), ("products/update", "Product")]
)
def test_a_shopify_sample_has_the_slash_of_its_topic_and_a_graphql_id(
    event_type: str, kind: str
) -> None:
    payload = payload_of("shopify", event_type)
    assert payload["admin_graphql_api_id"] == f"gid://shopify/{kind}/{payload['id']}"


@pytest.mark.parametrize("event_type", samples.types("gitlab"))
def test_a_gitlab_sample_is_of_the_kind_in_its_header(event_type: str) -> None:
    kind = payload_of("gitlab", event_type)["object_kind"]
    assert event_type == f"{kind.replace('_', ' ').title()} Hook"


@pytest.mark.parametrize("event_type", samples.types("standard-webhooks"))
def test_a_standard_webhooks_sample_has_type_timestamp_and_data(event_type: str) -> None:
    payload = payload_of("standard-webhooks", event_type)
    assert list(payload) == ["type", "timestamp", "data"]
    assert payload["type"] == event_type


@pytest.mark.parametrize("event_type", ["pull", "", "../github/push", "push.json"])
def test_an_unknown_sample_is_refused_with_those_that_exist(event_type: str) -> None:
    with pytest.raises(samples.UnknownSample, match="there are: check_run, issues, ping"):
        samples.load("github", event_type)


@pytest.mark.parametrize("preset", ["gitbuh", "", "..", ".", "__pycache__", "../presets"])
def test_a_preset_without_samples_is_refused_with_those_that_have_some(preset: str) -> None:
    with pytest.raises(samples.UnknownSample, match="some of: github, gitlab"):
        samples.types(preset)
