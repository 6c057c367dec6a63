"""The family of a proof of origin, and the providers that stayed out."""

import pytest
from pydantic import TypeAdapter

from gateway.catalogue import Verify, load_preset, preset_names
from gateway.catalogue.family import FAMILIES, family_of
from gateway.catalogue.left_out import left_out, why_left_out

VERIFY: TypeAdapter[Verify] = TypeAdapter(Verify)
BARE = ("token", "basic-auth", "jwt", "hmac-fields")


def family(scheme: str = "signature", **keys: object) -> str:
    at = {"header": "X-S"} if scheme in ("signature", "jwt") else {}
    return family_of(VERIFY.validate_python({"scheme": scheme, **at, **keys}))


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("{body}", "hmac-body"),
        ("{body | sha256 | hex}", "hmac-body"),
        ("{header.X-Id}.{body}", "hmac-template"),
        ("{canonical.jcs}{header.X-Time}", "hmac-template"),
        ("{url}{body}", "hmac-url"),
        (["{body}", "{canonical.url_with_port}{body}"], "hmac-url"),
        ("{canonical.plivo_v3}", "hmac-url"),
        ("{canonical.sorted_form}", "hmac-form"),
        ("{form.payload}", "hmac-form"),
        ("{json.id}:{query.token}", "hmac-fields"),
    ],
)
def test_what_is_signed_decides_about_keyed_hashes(message: object, word: str) -> None:
    assert family(message=message) == word


@pytest.mark.parametrize("form", ["list", "pairs", "positional"])
def test_a_signature_beside_others_is_structured(form: str) -> None:
    assert family(form=form) == "hmac-structured"


def test_the_algorithm_goes_before_what_is_signed() -> None:
    assert family(algorithm="hash-sha256", message="{secret}{body}", form="list") == "hash"
    assert family(algorithm="ed25519", message="{url}{body}") == "public-key"
    assert family(algorithm_by_prefix={"sha1=": "hmac-sha1"}) == "hmac-body"


def test_a_key_that_is_fetched_goes_before_everything() -> None:
    keys = {"url": "https://keys.example.com/jwks", "form": "jwks"}
    assert family(algorithm="ed25519", key_source=keys) == "fetched-key"
    assert family("jwt", algorithms=["RS256"], key_source=keys) == "fetched-key"


def test_a_token_with_a_hash_of_the_body_is_told_from_one_without() -> None:
    assert family("jwt", algorithms=["HS256"], claims={"sub": "{url}"}) == "jwt"
    assert family("jwt", algorithms=["HS256"], claims={"h": "{body | sha256 | hex}"}) == "jwt-body-hash"


def test_the_other_schemes_are_their_own_families() -> None:
    assert family("token") == "token"
    assert family("basic-auth") == "basic-auth"
    assert family("http-message-signature", algorithm="ed25519") == "http-message-signature"
    assert family("unverified") == "unverified"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_of_a_family_that_is_explained(name: str) -> None:
    preset = load_preset(name)
    word = family_of(preset.verify)
    assert word in FAMILIES
    assert not (word in BARE and preset.body_signed), f"{name}: {word} does not cover the body"


def test_who_stayed_out_has_no_preset_and_stands_there_once() -> None:
    names = [name for each in left_out() for name in each.providers]
    assert len(names) == len(set(names))
    shipped = sorted({*names} & {*preset_names()})
    assert not shipped, f"shipped by now: take {shipped} out of gateway/catalogue/left-out.toml"


def test_who_stayed_out_is_told_why_and_what_to_do() -> None:
    for each in left_out():
        assert each.why.endswith(".")
        assert each.instead.endswith(".")
        for name in each.providers:
            assert each.why in why_left_out(name)
    assert why_left_out("nobody-in-particular") == ""
