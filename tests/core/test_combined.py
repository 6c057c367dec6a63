"""Schemes made of schemes: one of several algorithms, and items that are each signed."""

import json
from typing import Any

import pytest

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.combined import MAX_ITEMS, AnyOf, EachItem
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.signature_places import SignaturePlaces
from gateway.core.template import Reference
from gateway.core.verification import Match, SecretError

from .examples import NOW, header, keys, outcome, request, signed, templates, verdict, with_header

MISMATCH, MALFORMED, MISSING = (
    Refusal.SIGNATURE_MISMATCH,
    Refusal.MALFORMED_SIGNATURE,
    Refusal.MISSING_SIGNATURE,
)


def prefixed(name: str, form: KeyFormat = KeyFormat()) -> SignatureScheme:  # noqa: B008 - a value
    places = SignaturePlaces((Reference("header", "x-hub-signature"),), prefix=f"{name}=".encode())
    return SignatureScheme(ALGORITHMS[f"hmac-{name}"], places, templates("{body}"), form)


WEBSUB = AnyOf((prefixed("sha1"), prefixed("sha256"), prefixed("sha512")))
PLACE = SignaturePlaces((Reference("item", "data.sign"),), encoding="base64")
ITEM = SignatureScheme(ALGORITHMS["hmac-sha256"], PLACE, templates("{item.id}:[{item.amount.value}]"))
ADYEN = EachItem(ITEM, "items.*.entry")


# One of several


def test_the_sender_chooses_among_the_algorithms_that_are_allowed() -> None:
    for each in WEBSUB.schemes:
        assert isinstance(each, SignatureScheme)
        assert verdict(WEBSUB, signed(each)) == 0
        assert verdict(WEBSUB, signed(each), 2, 1) == 1
        assert verdict(WEBSUB, signed(each), 2) is MISMATCH
    assert verdict(WEBSUB, signed(prefixed("md5"))) is MALFORMED


def test_the_refusal_that_came_furthest_is_told() -> None:
    assert verdict(WEBSUB, request()) is MISSING
    assert verdict(WEBSUB, request((b"x-hub-signature", b"sha3=00"))) is MALFORMED
    assert verdict(WEBSUB, request((b"x-hub-signature", b"sha512=00"))) is MISMATCH
    good = header(signed(WEBSUB), b"x-hub-signature")
    twice = request((b"x-hub-signature", good), (b"x-hub-signature", good))
    assert verdict(WEBSUB, twice) is Refusal.DUPLICATED_SIGNATURE


def test_a_digest_of_one_algorithm_under_the_name_of_another_is_refused() -> None:
    value = header(signed(prefixed("sha256")), b"x-hub-signature").replace(b"sha256", b"sha512")
    assert verdict(WEBSUB, with_header(request(), b"x-hub-signature", value)) is MISMATCH


def test_signs_as_the_first_that_the_secret_fits() -> None:
    assert header(signed(WEBSUB), b"x-hub-signature").startswith(b"sha1=")
    only_hex = AnyOf((prefixed("sha1", KeyFormat("hex")), prefixed("sha256")))
    key = only_hex.load_key(b"no hex at all")
    good = only_hex.sign(request(), key, NOW)
    assert header(good, b"x-hub-signature").startswith(b"sha256=")
    assert outcome(only_hex, good, [only_hex.load_key(b"ff"), key]) == Match(1, (request().body,))


def test_refuses_a_secret_that_none_can_use() -> None:
    only_hex = AnyOf((prefixed("sha1", KeyFormat("hex")), prefixed("sha256", KeyFormat("hex"))))
    with pytest.raises(SecretError, match="is not hex"):
        only_hex.load_key(b"no hex at all")
    assert only_hex.needs_secret


# Every item


def body_of(*items: Any) -> InboundRequest:
    return request(body=json.dumps({"items": [{"entry": each} for each in items]}).encode())


def signed_item(number: int = 1, **values: Any) -> Any:
    """An item with its signature."""
    key = keys(ITEM, number)[0]
    parts = ITEM.messages[0].render(Fields(request()).of_item(values))
    assert parts is not None
    return values | {"data": {"sign": PLACE.write(ITEM.algorithm.sign(key, parts), b"").decode()}}


GOOD = [signed_item(id="1", amount={"value": 5}), signed_item(id="2")]


def test_every_item_must_carry_its_own_signature() -> None:
    assert verdict(ADYEN, body_of(*GOOD)) == 0
    assert verdict(ADYEN, body_of(*GOOD), 2, 1) == 1
    assert verdict(ADYEN, body_of(*GOOD), 2) is MISMATCH
    for other in (signed_item(2, id="3"), GOOD[0] | {"id": "3"}, GOOD[0] | {"amount": {"value": 6}}):
        assert verdict(ADYEN, body_of(*GOOD, other)) is MISMATCH
        assert verdict(ADYEN, body_of(other, *GOOD)) is MISMATCH
    assert verdict(ADYEN, body_of(*GOOD, {"id": "3"})) is MISSING


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"items": []}', b'{"items": {}}', b'{"items": [{}]}', b"[]", b"no json"]
)
def test_a_body_without_items_proves_nothing(body: bytes) -> None:
    assert verdict(ADYEN, request(body=body)) is MISSING


@pytest.mark.parametrize("item", [None, 7, "text", [], {}, {"data": None}, {"data": {"sign": 7}}])
def test_an_item_of_any_shape_is_judged(item: Any) -> None:
    assert verdict(ADYEN, body_of(*GOOD, item)) in (MISSING, MALFORMED, MISMATCH)


def test_items_are_counted() -> None:
    assert verdict(ADYEN, body_of(*([GOOD[0]] * MAX_ITEMS))) == 0
    assert verdict(ADYEN, body_of(*([GOOD[0]] * (MAX_ITEMS + 1)))) is MALFORMED


def test_such_a_body_is_signed_by_who_makes_it() -> None:
    assert ADYEN.needs_secret
    with pytest.raises(ValueError, match="signature of its own"):
        ADYEN.sign(body_of(*GOOD), keys(ADYEN)[0], NOW)
