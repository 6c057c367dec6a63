"""What holds for every preset: its own requests are believed, and none that differs in anything."""

import binascii
import hmac
import json
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import preset_names
from gateway.core.fields import Fields
from gateway.core.identity import identify
from gateway.core.json_slices import slices
from gateway.core.outcomes import Refusal
from gateway.core.placing import is_form, put
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.template import Reference
from gateway.core.verification import Scheme, VerifiedRequest, verify

from .examples import NOW, public_algorithm
from .providers import Provider, proof, proof_place, provider, unsigned
from .reading import LOOKED_UP, limits, proof_places, signed_names

every_preset = pytest.mark.parametrize("name", preset_names())
MISSING, MALFORMED = Refusal.MISSING_SIGNATURE, Refusal.MALFORMED_SIGNATURE
# There are many presets: an eighth of what other rules get.
EXAMPLES = max(settings.default.max_examples // 8, 5) if settings.default else 5
CHANGED = (Refusal.SIGNATURE_MISMATCH, Refusal.CLAIM_MISMATCH, Refusal.MISSING_SIGNED_PART)
NO_PROOF = {MISSING, MALFORMED, Refusal.SIGNATURE_MISMATCH, Refusal.MISSING_TIMESTAMP}
NO_PROOF |= {Refusal.ALGORITHM_NOT_ALLOWED, Refusal.MISSING_SIGNED_PART}


def proving(name: str) -> Provider:
    found = provider(name)
    if not found.proves:
        pytest.skip("proves nothing, and says so")
    return found


@every_preset
def test_accepts_what_it_signed(name: str) -> None:
    found = provider(name)
    assert found.verdict(found.signed()) == 0


@every_preset
def test_says_whether_the_whole_body_is_signed(name: str) -> None:
    found = provider(name)
    good = found.signed()
    verdicts = {
        found.verdict(replace(good, body=forged(found, good.body, body))) for body in added_to(good)
    }
    assert 0 in verdicts if not found.preset.body_signed else verdicts <= set(CHANGED)


@every_preset
def test_refuses_a_signed_field_changed_after_signing(name: str) -> None:
    found = proving(name)
    good = found.signed()
    for place in signed_places(found.scheme):
        value = Fields(good).lookup(place.kind, place.name) or b""
        assert found.verdict(put(good, place, value + b"0")) in (*CHANGED, MALFORMED), place


@every_preset
def test_refuses_a_signed_header_that_is_missing_or_repeated(name: str) -> None:
    found = proving(name)
    good = found.signed()
    for place in signed_places(found.scheme):
        if place.kind == "header":
            kept = [pair for pair in good.headers.raw if pair[0] != place.name.encode()]
            pair = (place.name.encode(), Fields(good).lookup("header", place.name) or b"")
            for pairs in (kept, [*good.headers.raw, pair]):
                verdict = found.verdict(replace(good, headers=Headers(tuple(pairs))))
                assert verdict in (*CHANGED, MALFORMED, Refusal.MISSING_TIMESTAMP), place


@every_preset
def test_refuses_another_url_where_the_url_is_signed(name: str) -> None:
    found = proving(name)
    good = found.signed()
    kinds = {each.kind for each in signed_names(found.scheme)}
    if kinds & {"url", "url.base"}:
        assert found.verdict(replace(good, url=good.url + "x")) in CHANGED
    if "url" in kinds:
        query = good.query + b"&" * bool(good.query) + b"added=1"
        assert found.verdict(replace(good, query=query)) in CHANGED
    if "method" in kinds:
        assert found.verdict(replace(good, method="PUT")) in CHANGED


@every_preset
def test_accepts_as_old_or_early_as_the_tolerance_and_nothing_beyond(name: str) -> None:
    found = proving(name)
    early, late = limits(found.scheme)
    if early is None or late is None:
        pytest.skip("names no tolerance")
    good = found.signed()
    assert found.verdict(good, now=NOW + late) == 0
    assert found.verdict(good, now=NOW - early) == 0
    assert found.verdict(good, now=NOW + late + 1) is Refusal.STALE_TIMESTAMP
    assert found.verdict(good, now=NOW - early - 1) is Refusal.FUTURE_TIMESTAMP


@every_preset
def test_tells_only_the_genuine_sender_about_the_clock(name: str) -> None:
    found = proving(name)
    forged = found.signed(number=2)
    assert found.verdict(forged, 1, now=NOW + 1e6) is Refusal.SIGNATURE_MISMATCH


@every_preset
def test_names_which_of_two_secrets_matched_and_refuses_all_others(name: str) -> None:
    found = proving(name)
    good = found.signed()
    assert found.verdict(good, 1, 2) == 0
    assert found.verdict(good, 2, 1) == 1
    assert found.verdict(good, 2) is Refusal.SIGNATURE_MISMATCH
    assert isinstance(found.scheme.verify(Fields(good), [], NOW), Refusal)


@every_preset
def test_tries_every_secret_even_after_a_match(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key is secret: how long it takes must not say which one it was."""
    found = proving(name)
    if public_algorithm(found.scheme) or isinstance(found.scheme, JwtScheme):
        pytest.skip("its keys are public, or its claims are compared as well")
    good, loaded = found.signed(), found.keys(1, 2, 3)
    tried: list[bool] = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        tried.append(compare(one, other))
        return tried[-1]

    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert not isinstance(found.scheme.verify(Fields(good), loaded[:1], NOW), Refusal)
    with_one = len(tried)
    assert not isinstance(found.scheme.verify(Fields(good), loaded, NOW), Refusal)
    assert len(tried) == with_one * 4


@every_preset
def test_refuses_a_request_whose_proof_is_missing_or_empty(name: str) -> None:
    found = proving(name)
    good = found.signed()
    assert found.verdict(unsigned(found)) in (MISSING, MALFORMED)
    for place in proof_places(found.scheme):
        good = put(good, place, b"")
    assert found.verdict(good) in (MISSING, MALFORMED)


@every_preset
def test_refuses_a_proof_that_is_there_twice_whichever_is_genuine(name: str) -> None:
    found = proving(name)
    good = found.signed()
    place = proof_place(found)
    if place.kind != "header" or "*" in place.name:
        pytest.skip("a value of the body or the query stands there as its reader finds it")
    key, value = place.name.encode(), Fields(good).lookup("header", place.name) or b""
    for other in (value, b"", b"forged"):
        for pairs in (((key, other), *good.headers.raw), (*good.headers.raw, (key, other))):
            verdict = found.verdict(replace(good, headers=Headers(pairs)))
            assert verdict is Refusal.DUPLICATED_SIGNATURE


@every_preset
def test_refuses_a_proof_that_is_cut_or_has_anything_before_or_behind_it(name: str) -> None:
    found = proving(name)
    good = found.signed()
    place = proof_place(found)
    value = proof(found, good)
    for other in (value[:-1], value[: len(value) // 2], value[1:], b"x" + value, value + b"x"):
        assert found.verdict(put(good, place, other)) in NO_PROOF | {Refusal.MALFORMED_TIMESTAMP}


@every_preset
def test_refuses_junk_for_a_proof(name: str) -> None:
    found = proving(name)
    place = proof_place(found)
    for junk in (b"garbage", b"=", b",", b"\x00", b"0" * 64, b"A" * 5000, b"t=1,v1=zz"):
        assert found.verdict(put(found.signed(), place, junk)) in NO_PROOF


@every_preset
def test_a_proof_for_one_provider_is_none_for_another(name: str) -> None:
    """Their secrets differ: twins in all else do not believe each other."""
    found = proving(name)
    good = found.signed()
    for other in map(provider, preset_names()):
        if other.proves and other is not found and not _share_a_key(found, other):
            assert isinstance(other.verdict(good), Refusal), other.name


@every_preset
def test_finds_an_id_and_a_type_in_a_request_that_has_them(name: str) -> None:
    found = provider(name)
    rules = found.identity()
    verified = verify(found.signed(), found.scheme, found.keys(), NOW)
    assert isinstance(verified, VerifiedRequest)
    (event, *_) = identify(verified, name, rules)
    if rules.batch and slices(verified.request.body, rules.batch):
        rules = rules.of_items()
    if any("jwt_id" not in each.text for each in rules.event_id):  # tokens of ours have none
        assert event.provider_id
    if rules.event_type:
        assert event.type


@every_preset
def test_admits_it_when_the_id_is_not_covered_by_the_proof(name: str) -> None:
    """An unsigned id stops a sender's retries, but not somebody who replays a recorded request."""
    found = proving(name)
    good = found.signed()
    names = {each for template in found.identity().event_id for each in template.references()}
    changed = {
        each: with_another(found, good, each) for each in names if each.kind in (*LOOKED_UP, "item")
    }
    if all(other == good for other in changed.values()):
        pytest.skip("has no id of the provider's that a request of ours could carry")
    open_to_change = [
        each for each, other in changed.items() if other != good and found.verdict(other) == 0
    ]
    assert found.preset.identity.event_id_signed is not bool(open_to_change), open_to_change


@every_preset
def test_no_key_shows_its_secret_in_its_repr(name: str) -> None:
    found = proving(name)
    assert "random-secret" not in repr(found.keys(1)) + repr(found.scheme)


@every_preset
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_never_raises_and_never_believes_a_stranger(name: str, data: st.DataObject) -> None:
    found = proving(name)
    strange = by_a_stranger(found)
    pieces = st.sampled_from([*PIECES, *proof(found, strange).split(b"=")])
    values = st.binary(max_size=40) | st.lists(pieces, max_size=8).map(b"".join)
    names = sorted({pair[0] for pair in strange.headers.raw})
    headers = data.draw(st.lists(st.tuples(st.sampled_from(names), values), max_size=6))
    body = data.draw(values | st.sampled_from([unsigned(found).body, b"[{}]", b"{}"]))
    incoming = InboundRequest(
        "POST", "/", data.draw(values), Headers.of(headers), body, None, NOW, "https://a.example/b"
    )
    now = data.draw(st.floats(-1e12, 1e15))
    assert isinstance(found.scheme.verify(Fields(incoming), found.keys(1, 2), now), Refusal)
    assert isinstance(found.scheme.verify(Fields(incoming), [], now), Refusal)


# Pieces of well-formed values: random bytes alone would never get past the first comma.
PIECES = [b"t=", b"v1=", b"v1,", b"sha256=", b",", b" ", b"=", b".", b"1700000000", b"a" * 64]
PIECES += [b"A" * 43 + b"=", b"Basic ", b"Bearer ", b"dXNlcjpwYXNz", b"\xff", b"\x00", b"9" * 400]


# What the rules above are asked of


@cache
def by_a_stranger(of: Provider) -> InboundRequest:
    """Signed with a secret that nobody believes, once: some signatures differ each time."""
    return of.signed(number=3)


def added_to(good: InboundRequest) -> list[bytes]:
    """The body with something added that its reader would see."""
    if is_form(good):
        return [good.body + b"&" * bool(good.body) + b"added=1"]
    data = json.loads(good.body)
    if not data:
        return [b'{"added": "1"}']
    more = b', {"added": "1"}]' if isinstance(data, list) else b', "added": "1"}'
    return [good.body.rstrip()[:-1] + more]


def signed_places(scheme: Scheme) -> list[Reference]:
    kinds = ("header", "query", "form", "json")
    found = [each for each in signed_names(scheme) if each.kind in kinds]
    return sorted(set(found) - set(proof_places(scheme)), key=lambda each: each.name)


def with_another(of: Provider, good: InboundRequest, name: Reference) -> InboundRequest:
    """The request in which what `name` resolves to is something else, wherever it stands."""
    value = (
        Fields(good).lookup(name.kind, name.name) if name.kind != "item" else b"1." + name.name.encode()
    )
    if not value:
        return good
    other = value[:-1] + bytes([value[-1] ^ 1])
    headers = Headers(tuple((key, text.replace(value, other)) for key, text in good.headers.raw))
    body, query = (text.replace(value, other) for text in (good.body, good.query))
    return replace(good, headers=headers, body=forged(of, good.body, body), query=query)


def forged(of: Provider, good: bytes, body: bytes) -> bytes:
    """`body`; where only its CRC-32 is signed, with four bytes more that give it that of `good`."""
    messages = of.scheme.messages if isinstance(of.scheme, SignatureScheme) else ()
    if body == good or not any("crc32" in each.text for each in messages):
        return body
    wanted = binascii.crc32(good) ^ 0xFFFFFFFF
    table = [binascii.crc32(bytes([index]), 0xFFFFFFFF) ^ 0xFFFFFFFF for index in range(256)]
    for _ in range(4):
        index = next(each for each, value in enumerate(table) if value >> 24 == wanted >> 24)
        wanted = ((wanted ^ table[index]) << 8) & 0xFFFFFFFF | index
    return body + (wanted ^ binascii.crc32(body) ^ 0xFFFFFFFF).to_bytes(4, "little")


def _share_a_key(one: Provider, other: Provider) -> bool:
    """RSA keys take too long to make for every provider to have its own."""
    algorithms = [public_algorithm(each.scheme) for each in (one, other)]
    return all(each and each[1].family == "rsa" for each in algorithms)
