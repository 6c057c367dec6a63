"""Nothing personal is left in a fixture, and it is still the same event to whoever reads it."""

import json
import re
import string
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway import samples
from gateway.catalogue import load_preset, preset_names
from gateway.core.capture import Captured
from gateway.core.harmless import Harmless, kept_path
from gateway.core.masking import Pairs
from gateway.core.pseudonyms import Pseudonyms, shares
from gateway.core.redaction import Redactor, likely_kinds, survivors
from gateway.core.source import Source
from gateway.core.template import compile_template
from gateway.core.verification import SecretError
from gateway.crypto import ExtraMissing
from gateway.fixture import Fixture, events_of, signed_fixture, whole_batch
from gateway.plugins import Event, Registry
from gateway.redaction import RedactionError, check, redact, redactor_for
from gateway.signing import Draft, signed_request
from tests.core.made_up import unsigned_request

SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_795_000_000.0
PSEUDONYMS = Pseudonyms(b"seed")
JSON = ((b"content-type", b"application/json"),)


def source_of(preset: str, name: str = "shop") -> Source:
    found = load_preset(preset)
    options = dict.fromkeys(found.options, b"an option")
    scheme = found.verify.build()
    rules = found.identity.build(options)
    url = f"https://hooks.example.com/hooks/{name}"
    return Source(name, f"/hooks/{name}", name, scheme, (), preset=preset, url=url, identity=rules)


SHOP = source_of("stripe")


def captured_of(body: Any, headers: Pairs = JSON) -> Captured:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Captured("POST", "/in", headers, raw, len(raw), NOW, "shop")


def redacted(value: Any, *keep: str, seed: str = "seed", source: Source = SHOP) -> Any:
    redactor = redactor_for(source, seed, keep, ())
    return json.loads(redact(captured_of(value), source, redactor).body)


# Canaries: no five letters of what is personal are left.

VOWELS, REST = "aeiouyAEIOU", "bcdfghjkmnpqrstvwxzBCDFGHKLMN0123456789"


@st.composite
def secrets_of_four(draw: st.DrawFn) -> str:
    """Vowels among the rest: replacements have none, so that they meet only where something is left."""
    pairs = draw(st.lists(st.tuples(st.sampled_from(VOWELS), st.sampled_from(REST)), min_size=3))
    return "".join(vowel + other for vowel, other in pairs)


LETTERS = st.text("aeioutrns", min_size=6, max_size=14).filter(lambda text: "a" in text)
CANARY = secrets_of_four()
LEAVES = st.one_of(
    CANARY,
    st.builds("{}@{}.io".format, LETTERS, CANARY),
    st.builds("https://{}:{}@{}.net/{}?key={}#{}".format, *[CANARY] * 6),
    st.builds("{} {}, {} Avenue\n+44 (0) {}".format, CANARY, CANARY, CANARY, CANARY),
    st.builds("cus_{}".format, CANARY),
    st.builds("{}/{}.{}".format, CANARY, CANARY, CANARY),
    st.builds('{{"{}": "{}"}}'.format, LETTERS, CANARY),
    st.uuids().map(str),
    st.ip_addresses(v=6).map(str),
)
NAMES = st.sampled_from(["id", "name", "type", "status", "email", "created_at", "text", "token", "x"])
BODIES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner, min_size=1), max_leaves=12
).map(lambda value: {"object": value})


def grams(text: str) -> set[str]:
    """Every five letters or digits in a row."""
    runs = re.findall(r"[^\W_]{5,}", text.casefold())
    return {run[at : at + 5] for run in runs for at in range(len(run) - 4)}


def leaves(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield str(value)


@given(BODIES)
def test_no_five_letters_of_a_value_are_left(body: Any) -> None:
    source, redactor = SHOP, redactor_for(SHOP, "seed", (), ())
    made = redact(captured_of(body), source, redactor)
    fixture, believed = signed_fixture(Fixture(made, "x", redacted=True), source)
    assert believed
    public = grams(replace(fixture, captured=captured_of({"object": 0})).to_toml())
    public |= grams("example avenue https shop application stripe signature")
    canaries = set().union(*(grams(json.dumps(each)) for each in leaves(body)))
    kept = grams(" ".join(['"' + "email status token created object", *redactor.kept]))
    ours = {gram for gram in canaries - public - kept if not set(gram) <= set(string.hexdigits)}
    assert not ours & grams(fixture.to_toml())
    check(fixture.to_toml(), redactor, [fixture.own_words, "stripe signature application shop"])


@given(st.text(string.ascii_letters + string.digits + "äßéЖ東", min_size=1, max_size=80))
def test_a_word_shares_no_five_letters_with_its_replacement(word: str) -> None:
    made = PSEUDONYMS.word(word)
    assert len(made) == len(word)
    assert not shares(word, made) or word == "0"  # of 0.5


def test_a_place_where_something_was_left_is_named() -> None:
    redactor = Redactor(PSEUDONYMS)
    redactor.value({"customer": {"name": "Okonkwo"}})
    assert survivors(redactor, "a letter to okonkwo", ()) == [("customer", "name")]
    with pytest.raises(RedactionError, match=r"customer\.name") as caught:
        check("a letter to Okonkwo", redactor, ())
    assert "Okonkwo" not in str(caught.value)


def test_what_proves_origin_and_what_is_no_use_is_not_among_the_headers() -> None:
    headers = (
        *JSON,
        (b"x-github-event", b"push"),
        (b"x-github-delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        (b"x-hub-signature-256", b"sha256=abcdef0123456789"),
        (b"authorization", b"Bearer canary-canary"),
        (b"x-forwarded-for", b"203.0.113.77"),
    )
    source = source_of("github")
    made = redact(captured_of({}, headers), source, redactor_for(source, "seed", (), ()))
    kept = dict(made.headers)
    assert list(kept) == [b"content-type", b"x-github-event", b"x-github-delivery"]
    assert kept[b"x-github-event"] == b"push"
    assert b"72d3162e" not in kept[b"x-github-delivery"]
    asked = redactor_for(source, "seed", ["header.x-forwarded-for"], ())
    assert dict(redact(captured_of({}, headers), source, asked).headers)[b"x-forwarded-for"]


def test_the_time_of_arrival_moves_with_the_times_in_the_body() -> None:
    redactor = redactor_for(SHOP, "seed", (), ())
    made = redact(captured_of({"created": int(NOW)}), SHOP, redactor)
    assert json.loads(made.body)["created"] == made.received_at
    assert (made.received_at or NOW) < NOW - 200 * 86400


# The same stands for the same.


def test_the_same_value_is_replaced_the_same_everywhere() -> None:
    made = redacted({"a": "Nell", "b": ["nell", {"c": "nell@fennwick.io"}], "d": "https://x.io/nell"})
    nell = made["b"][0]
    assert (made["a"], made["b"][1]["c"].split("@")[0]) == (nell.capitalize(), nell)
    assert made["d"].endswith(f"/{nell}")


def test_fixtures_of_one_seed_fit_together_and_others_do_not() -> None:
    first, second = redacted({"id": "cus_9sKd82Jf"}), redacted({"customer": "cus_9sKd82Jf"})
    assert first["id"] == second["customer"]
    assert redacted({"id": "cus_9sKd82Jf"}, seed="another") != first


def test_a_number_and_the_same_number_as_text_stay_the_same() -> None:
    made = redacted({"id": 912399001, "url": "https://x.io/u/912399001", "text": "912399001"})
    assert str(made["id"]) == made["text"] == made["url"].rpartition("/")[2] != "912399001"


def test_times_keep_their_distance() -> None:
    body = {"started_at": "2026-11-19T10:41:07+01:00", "ended_at": "2026-11-19T10:42:07+01:00"}
    made = redacted(
        {**body, "created": 1795095687, "updated": 1795095690000, "ts": "1795095687.384719"}
    )
    assert made["started_at"][:4] in ("2024", "2025", "2026")
    assert made["ended_at"] != body["ended_at"]
    assert made["updated"] - made["created"] * 1000 == 3000
    assert made["ts"].startswith(f"{made['created']}.")
    assert len(made["ts"]) == 17


# What stays as it is: structure, types, formats.

FORMATS = [
    ("nell.okonkwo@fennwick.io", r"[a-z]{4}\.[a-z]{7}@[a-z]{8}\.example\.com"),
    ("https://me:pw@fennwick.io:8443/a?b=c", r"https://\w{2}:\w{2}@\w+\.example\.com:8443/\w\?b=\w"),
    (
        "893e586c-72cb-4839-ad64-c85b746e4a49",
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a.{16}",
    ),
    ("cus_TTqoPhN5D6qDsm", r"cus_[A-Z]{2}[a-z]{2}[A-Z][a-z][A-Z]\d[A-Z]\d[a-z][A-Z][a-z]{2}"),
    ("sk_live_4eC39HqLyjWDarjt", r"sk_live_\d[a-z][A-Z]\w{13}"),
    ("224ae0a168d84e456072742560918c8ea593a9c0", r"[0-9a-f]{40}"),
    ("U0RLIE46COK", r"U[A-Z0-9]{10}"),
    ("+1 (415) 555-0199", r"\+1 \(555\) 01\d-\d{4}"),
    ("198.51.100.14", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}"),
    ("fe80::1ff:fe23:4567:890a", r"2001:db8::[0-9a-f]{4}"),
    ("12 Kiln Lane, York", r"\d\d [A-Z][a-z]{3} [A-Z][a-z]{3}, [A-Z][a-z]{3}"),
    ("GB29 NWBK 6016", r"[A-Z]{2}\d\d [A-Z]{4} \d{4}"),
    ("2026-11-19", r"202[456]-\d\d-\d\d"),
    ("4900", r"[1-9]\d{3}"),
    ("refs/heads/main", r"refs/heads/main"),
    ("refs/heads/nells-secret", r"refs/heads/[a-z]{5}-[a-z]{6}"),
    ("🎉 東京", r"\* [a-z]{2}"),
]


@pytest.mark.parametrize(("text", "shape"), FORMATS, ids=[text for text, _ in FORMATS])
def test_a_text_keeps_its_format(text: str, shape: str) -> None:
    made = redacted({"x": text})["x"]
    assert re.fullmatch(shape, made), made
    assert (made == text) is (shape == text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_any_json_keeps_its_structure_and_types(value: Any) -> None:
    redactor = Redactor(PSEUDONYMS)
    made = redactor.value(value)
    json.dumps(made)
    assert shape_of(made) == shape_of(value)


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):  # two odd keys may become one
        return dict
    return [shape_of(each) for each in value] if isinstance(value, list) else type(value)


def test_small_numbers_flags_and_words_of_every_program_stay() -> None:
    body = {"quantity": 12, "ratio": 0.5, "livemode": False, "none": None, "status": "paid", "e": ""}
    assert redacted({**body, "currency": "gbp", "locale": "en-GB"}) == {
        **body,
        "currency": "gbp",
        "locale": "en-GB",
    }


def test_larger_numbers_are_replaced_by_others_as_long() -> None:
    made = redacted({"amount": 4900, "balance": -12034, "rate": 123.45, "amount_due": 4900})
    assert made["amount"] == made["amount_due"] != 4900
    assert 1000 <= made["amount"] < 10000
    assert -100000 < made["balance"] < -9999
    assert 100 <= made["rate"] < 1000


def test_a_name_that_is_somebodys_address_is_replaced_too() -> None:
    made = redacted({"members": {"nell@fennwick.io": "admin", "cus_9sKd82Jf1": 1, "address_line1": 2}})
    assert list(made["members"])[2] == "address_line1"
    assert "fennwick" not in json.dumps(made)
    assert "9sKd82" not in json.dumps(made)


def test_a_field_that_is_asked_for_stays_with_what_is_below() -> None:
    body = {
        "a": {"plan": "gold-tier"},
        "items": [{"sku": "kiln-9", "name": "kiln-9"}],
        "plan": {"x": 2345},
    }
    made = redacted(body, "plan", "items.0.sku")
    assert (made["a"], made["plan"]) == (body["a"], body["plan"])
    assert made["items"][0]["sku"] == "kiln-9" != made["items"][0]["name"]
    assert kept_path("items.0.sku") == ("items", "*", "sku")


def test_words_that_processors_compare_with_stay() -> None:
    registry = Registry()

    class Order(BaseModel):
        size: Literal["gigantic", "tiny"]

    @registry.processor(source="shop", when={"field": "colour", "equals": "vermilion"})
    def pack(event: Event, order: Order) -> None: ...

    redactor = redactor_for(SHOP, "seed", (), registry.processors)
    body = {"size": "gigantic", "colour": "vermilion", "other": "turquoise"}
    made = redactor.value(body)
    assert (made["size"], made["colour"]) == ("gigantic", "vermilion")
    assert made["other"] != "turquoise"


def test_what_may_have_been_a_word_of_a_list_is_told_by_its_place() -> None:
    redactor = Redactor(PSEUDONYMS)
    redactor.value({"a": [{"refund_status": "clawed_back"}], "name": "nell", "type": "paid"})
    assert likely_kinds(redactor.replaced) == ["a.*.refund_status"]


def test_a_redactor_prints_neither_its_key_nor_what_it_replaced() -> None:
    redactor = redactor_for(SHOP, "the seed", (), ())
    redactor.value({"name": "canary"})
    assert "canary" not in repr(redactor)
    assert repr(redactor.pseudonyms.key) not in repr(redactor)


# Forms, batches, and what is neither.


def test_a_form_keeps_its_names_and_the_json_in_it() -> None:
    body = b"token=canarycanary&command=%2Fdeploy&payload=%7B%22user%22%3A%22canary%22%7D&text="
    source = source_of("slack")
    made = redact(
        captured_of(body, ((b"content-type", b"application/x-www-form-urlencoded"),)),
        source,
        redactor_for(source, "seed", (), ()),
    ).body
    assert re.fullmatch(
        rb"token=\w{12}&command=%2Fdeploy&payload=%7B%22user%22%3A%22\w+%22%7D&text=", made
    )
    assert b"canary" not in made


@pytest.mark.parametrize("body", [b"<name>Nell</name>", b"\xff\xfe", b"Nell, York", b"[" * 50_000])
def test_a_body_that_cannot_be_read_is_refused_with_a_mend(body: bytes) -> None:
    with pytest.raises(RedactionError, match="without --redact"):
        redact(captured_of(body), SHOP, redactor_for(SHOP, "seed", (), ()))


def test_json_nested_too_deeply_is_refused_with_a_mend() -> None:
    deep = 900 if sys.version_info < (3, 12) else 2000  # where C's calls count, and where they do not
    body = b'{"a":' * deep + b"1" + b"}" * deep
    with pytest.raises(RedactionError, match="without --redact"):
        redact(captured_of(body), SHOP, redactor_for(SHOP, "seed", (), ()))


@pytest.mark.parametrize(("path", "whole"), [("$", [{"a": 1}]), ("x.y", {"x": {"y": [{"a": 1}]}})])
def test_an_item_of_a_batch_becomes_a_batch_of_one(path: str, whole: Any) -> None:
    rules = replace(SHOP.identity, batch=path)
    request = captured_of({"a": 1}).request()
    assert json.loads(whole_batch(request, rules).body) == whole
    again = whole_batch(whole_batch(request, rules), rules)
    assert json.loads(again.body) == whole


# The same event to the gateway.

SAMPLES = [(preset, kind) for preset in samples.presets() for kind in samples.types(preset)]


@pytest.mark.parametrize(("preset", "kind"), SAMPLES)
def test_a_redacted_sample_is_believed_and_has_its_type(preset: str, kind: str) -> None:
    sample, found = samples.load(preset, kind), source_of(preset)
    keyed = replace(found, keys=(found.scheme.load_key(SECRET),))
    draft = Draft(sample.body, sample.content_type, kind, "evt_0a1b2c3d4e5f")
    arrived = Captured.of(signed_request(keyed, draft, NOW), "shop")
    made = redact(arrived, found, redactor_for(found, "seed", (), ()))
    fixture, believed = signed_fixture(Fixture(made, kind, preset=preset, redacted=True), found)
    assert believed
    (event,) = events_of(fixture, found)
    assert event.type == kind
    assert event.provider_id != "evt_0a1b2c3d4e5f"
    assert SECRET.decode() not in fixture.to_toml()


def test_fixtures_of_nearly_every_preset_can_be_signed_anew() -> None:
    """Those that cannot sign with a private key, or each item of the body by itself."""
    refused = []
    for preset in preset_names():
        try:
            source = source_of(preset)
            unsigned = unsigned_request(source.scheme, source.identity)
        except (SecretError, ExtraMissing):
            continue
        found = replace(Captured.of(replace(unsigned, received_at=NOW), "shop"), url=source.url)
        if not signed_fixture(Fixture(found, "x"), source)[1]:
            refused.append(preset)
    assert len(refused) < 0.15 * len(preset_names()), refused


def test_the_type_stays_wherever_the_rules_find_it() -> None:
    rules = replace(SHOP.identity, event_type=(compile_template("{json.what.kind}:{json.topic}"),))
    source = replace(SHOP, identity=rules)
    made = redacted({"what": {"kind": "canary", "x": "canary"}, "topic": "canary"}, source=source)
    assert (made["what"]["kind"], made["topic"]) == ("canary", "canary")
    assert made["what"]["x"] != "canary"


def test_harmless_words_are_of_their_own_name_only() -> None:
    harmless = Harmless(seen=frozenset({("billing_reason", "subscription_cycle")}))
    assert harmless.word(("data", "billing_reason"), "subscription_cycle")
    assert not harmless.word(("data", "name"), "subscription_cycle")
