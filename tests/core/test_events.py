"""Ids: the same webhook always has the same one, and no two webhooks share one."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import load_preset
from gateway.core.event import Event, delivery_id, event_id, event_of
from gateway.core.fields import Fields
from gateway.core.identity import MAX_BATCH, IdentityRules, identify, readable
from gateway.core.request import InboundRequest
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.source import Source
from gateway.core.verification import VerifiedRequest, verify

from .examples import NOW, keys, request, rules

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)
triples = st.tuples(names, st.sampled_from(["id", "body"]), st.binary(max_size=20))
GITHUB = rules(["{header.X-GitHub-Delivery}"], ["{header.X-GitHub-Event}"])
DIGEST = "a" * 26
STRIPE = rules(["{json.id}"], ["{json.type}"])


def identified(incoming: InboundRequest, found: IdentityRules, source: str = "x") -> Event:
    verified = verify(incoming, UnverifiedScheme(), [], NOW)
    assert isinstance(verified, VerifiedRequest)
    (event,) = identify(verified, source, found)
    return event


@given(triples, triples)
def test_two_things_share_an_id_only_when_they_are_the_same(
    one: tuple[str, str, bytes], other: tuple[str, str, bytes]
) -> None:
    assert (event_id(*one) == event_id(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "id", b"b"), ("a", "body", b"b")),
        (("a", "id", b"b"), ("ai", "d", b"b")),
        (("a", "id", b"\x00b"), ("a", "id", b"b")),
        (("a", "id", b"b"), ("a", "id", b"b\x00")),
        (("a", "id", b"id\x00b"), ("a", "id", b"b")),
        (("a-b", "id", b"c"), ("a", "id", b"b-c")),
        (("a", "id", b""), ("a", "body", b"")),
    ],
)
def test_no_delimiter_inside_a_value_makes_two_things_alike(
    one: tuple[str, str, bytes], other: tuple[str, str, bytes]
) -> None:
    assert event_id(*one) != event_id(*other)


def test_an_id_never_changes_between_versions() -> None:
    """Stored idempotency records carry it: another way to make it would process all again."""
    assert event_id("stripe", "id", b"evt_1") == "evt_lgtnmcsab577ddhukxfyzntwai"


def test_a_provider_id_is_the_key_whatever_the_body() -> None:
    one = identified(request((b"x-github-delivery", b"1"), body=b"{}"), GITHUB)
    repeat = identified(request((b"x-github-delivery", b"1"), body=b"{ }"), GITHUB)
    other = identified(request((b"x-github-delivery", b"2"), body=b"{}"), GITHUB)
    assert one.id == repeat.id != other.id
    assert one.provider_id == "1"


def test_without_a_provider_id_the_body_is_the_key() -> None:
    one = identified(request(body=b"a"), GITHUB)
    assert one.id == identified(request(body=b"a"), GITHUB).id
    assert one.id != identified(request(body=b"b"), GITHUB).id
    assert one.provider_id == ""
    assert one.type == ""


def test_an_empty_or_repeated_id_is_none() -> None:
    name = b"x-github-delivery"
    by_body = identified(request(body=b"a"), GITHUB).id
    assert identified(request((name, b""), body=b"a"), GITHUB).id == by_body
    assert identified(request((name, b"1"), (name, b"2"), body=b"a"), GITHUB).id == by_body


def test_a_body_cannot_pose_as_an_id() -> None:
    body = b"some body"
    digest = hashlib.sha256(body).digest()
    assert event_id("x", "id", digest) != identified(request(body=body), GITHUB).id


def test_the_same_id_from_another_source_is_another_event() -> None:
    incoming = request((b"x-github-delivery", b"1"))
    assert identified(incoming, GITHUB, "a").id != identified(incoming, GITHUB, "b").id


def test_ids_that_look_alike_to_people_are_still_two() -> None:
    pairs = [("\\ud800", "\\ud801"), ("a", "a\\u0000"), ("\\u202e", "\\ufffd"), ("a" * 300, "a" * 301)]
    for one, other in pairs:
        events = [
            identified(request(body=b'{"id": "%s"}' % text.encode()), STRIPE) for text in (one, other)
        ]
        assert events[0].id != events[1].id


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_is_no_id(number: bytes) -> None:
    one = identified(request(body=b'{"id": %s, "n": 1}' % number), STRIPE)
    other = identified(request(body=b'{"id": %s, "n": 2}' % number), STRIPE)
    assert one.id != other.id


def test_numbers_and_truths_can_be_ids() -> None:
    for text, shown in ((b"17", "17"), (b"1.5", "1.5"), (b"true", "true"), (b'"x"', "x")):
        assert identified(request(body=b'{"id": %s}' % text), STRIPE).provider_id == shown


def test_an_event_keeps_body_headers_and_time_as_they_came() -> None:
    incoming = request((b"X-A", b"1"), (b"x-a", b"\xff"), body=b"\x00\xff")
    event = identified(incoming, STRIPE, "x")
    assert (event.source, event.body, event.received_at) == ("x", b"\x00\xff", NOW)
    assert event.headers == ((b"x-a", b"1"), (b"x-a", b"\xff"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"invoice.paid", "invoice.paid"),
        ("Zahlung über 5 €".encode(), "Zahlung über 5 €"),
        ("party 🎉".encode(), "party 🎉"),
        (b"a\nb", "a\ufffdb"),
        (b"\x1b[31mred", "\ufffd[31mred"),
        (b"\x00", "\ufffd"),
        (b"\xff", "\ufffd"),
        ("\u202eexe.txt".encode(), "\ufffdexe.txt"),  # turns the reading direction around
        ("a\u2028b\u2029c".encode(), "a\ufffdb\ufffdc"),  # line breaks to JavaScript and to splitlines
        ("\u200b\ufeff\xad".encode(), "\ufffd\ufffd\ufffd"),
        (b"a" * 1000, "a" * 200),
        ("€".encode() * 300, "€" * 200),
    ],
)
def test_outside_text_is_made_fit_for_people(text: bytes, shown: str) -> None:
    assert readable(text) == shown


@given(triples, st.integers(1, 999_999_999))
def test_a_delivery_id_leads_back_to_its_event(triple: tuple[str, str, bytes], number: int) -> None:
    event = event_id(*triple)
    assert event_of(delivery_id(event, number)) == (event, number)
    assert delivery_id(event, number).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dlv_",
        f"dlv_{DIGEST}",
        f"dlv_{DIGEST}-",
        f"dlv_{DIGEST}-0",
        f"dlv_{DIGEST}-01",
        f"dlv_{DIGEST}-\N{ARABIC-INDIC DIGIT ONE}",
        f"dlv_{DIGEST}-1-2",
        f"dlv_{DIGEST}-1\n",
        f" dlv_{DIGEST}-1",
        f"dlv_{DIGEST}-{'9' * 5000}",
        f"dlv_{DIGEST[1:]}-1",
        f"dlv_{DIGEST.upper()}-1",
        f"evt_{DIGEST}-1",
    ],
)
def test_what_is_no_delivery_id_is_told(text: str) -> None:
    assert event_of(text) is None


def test_a_source_never_shows_its_keys_and_takes_post() -> None:
    scheme = load_preset("gitlab").verify.build()
    source = Source("a", "/hooks/a", "a", scheme, tuple(keys(scheme)))
    assert "the-secret" not in repr(source)
    assert "keys" not in repr(source)
    assert source.methods == ("POST",)


PROVEN = (b"signed-1",)
UNSIGNED = replace(GITHUB, id_proven=False)


def proof_of(found: IdentityRules, *headers: tuple[bytes, bytes], signed: tuple[bytes, ...]) -> bytes:
    incoming = request(*headers)
    proven = VerifiedRequest(incoming, Fields(incoming), 0, signed)
    return identify(proven, "x", found)[0].proof


def github(guid: bytes, kind: bytes = b"push") -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-github-delivery", guid), (b"x-github-event", kind))


def test_the_same_signed_bytes_with_another_unsigned_id_have_one_proof() -> None:
    first = proof_of(UNSIGNED, *github(b"1"), signed=PROVEN)
    assert first
    assert first == proof_of(UNSIGNED, *github(b"2"), signed=PROVEN)
    assert first != proof_of(UNSIGNED, *github(b"1"), signed=(b"signed-2",))


def test_a_proof_has_128_bits_so_that_no_two_events_share_one_by_accident() -> None:
    """What has a proof that is known already is taken for a repeat, and not stored."""
    found = {proof_of(UNSIGNED, *github(b"1"), signed=(b"%d" % number,)) for number in range(5000)}
    assert len(found) == 5000
    assert {len(each) for each in found} == {16}


def test_one_body_for_two_types_is_two_proofs() -> None:
    """Shopify sends one body as orders/create and as orders/paid: neither may be lost."""
    paid = proof_of(UNSIGNED, *github(b"2", b"orders/paid"), signed=PROVEN)
    assert paid != proof_of(UNSIGNED, *github(b"1", b"orders/create"), signed=PROVEN)


def test_no_boundary_between_signed_parts_makes_two_proofs_alike() -> None:
    one = proof_of(UNSIGNED, *github(b"1"), signed=(b"ab", b"c"))
    assert one != proof_of(UNSIGNED, *github(b"1"), signed=(b"a", b"bc"))


def test_a_signed_id_a_missing_id_and_a_token_need_no_proof() -> None:
    assert not proof_of(GITHUB, *github(b"1"), signed=PROVEN)
    assert not proof_of(UNSIGNED, signed=PROVEN)
    assert not proof_of(UNSIGNED, *github(b"1"), signed=())


BATCH = replace(rules(["{item.id}", "{json.id}"], ["{item.type}", "{json.type}"]), batch="events")


def batch(body: bytes, found: IdentityRules = BATCH) -> tuple[Event, ...]:
    verified = verify(request(body=body), UnverifiedScheme(), [], NOW)
    assert isinstance(verified, VerifiedRequest)
    return identify(verified, "x", found)


def test_an_item_has_its_own_bytes_id_and_type() -> None:
    found = batch(b'{"type": "many", "events": [{"id":"a", "n": 1.10}, {"id" : "b", "type": "t"}]}')
    assert [(each.provider_id, each.type, each.body) for each in found] == [
        ("a", "many", b'{"id":"a", "n": 1.10}'),
        ("b", "t", b'{"id" : "b", "type": "t"}'),
    ]


def test_the_requests_own_id_never_makes_one_event_of_its_items() -> None:
    found = batch(b'{"id": "request-1", "events": [{"n": 1}, {"n": 2}, {"n": 1}]}')
    assert [each.provider_id for each in found] == ["", "", ""]
    assert found[0].id == found[2].id != found[1].id


@pytest.mark.parametrize("body", [b'{"id": "r"}', b'{"id": "r", "events": 3}', b"no json", b""])
def test_what_is_no_batch_is_one_event_as_it_is(body: bytes) -> None:
    (event,) = batch(body)
    assert event.body == body
    assert event.provider_id == ("r" if body.startswith(b"{") else "")


def test_a_batch_beyond_all_bounds_is_one_event_as_it_is() -> None:
    body = b'{"events": [%b]}' % b",".join([b"1"] * (MAX_BATCH + 1))
    assert [each.body for each in batch(body)] == [body]


def test_an_empty_batch_has_no_events() -> None:
    assert batch(b'{"events": []}') == ()
