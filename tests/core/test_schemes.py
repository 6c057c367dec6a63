"""What the presets do not show of the schemes: forms, encodings, tokens, and keys that do not load."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.encoding import DECODERS, ENCODERS, decode_key
from gateway.core.outcomes import Refusal
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.signature_places import SignaturePlaces
from gateway.core.schemes.timestamp import Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference, reference_of
from gateway.core.verification import SecretError

from .examples import BODY, NOW, header, judged, keys, request, signed, templates, verdict, with_header

X_SIGNATURE = (Reference("header", "x-signature"),)
MISMATCH, MALFORMED = Refusal.SIGNATURE_MISMATCH, Refusal.MALFORMED_SIGNATURE


def scheme(
    *messages: str, algorithm: str = "hmac-sha256", timed: bool = False, **places: Any
) -> SignatureScheme:
    at = SignaturePlaces(places.pop("places", X_SIGNATURE), **places)
    time = Timestamp(None) if timed else None
    return SignatureScheme(
        ALGORITHMS[algorithm], at, templates(*messages or ("{body}",)), timestamp=time
    )


# Encodings


@given(st.binary(min_size=1, max_size=80), st.sampled_from(sorted(ENCODERS)))
def test_every_encoding_reads_what_it_wrote(value: bytes, encoding: str) -> None:
    assert DECODERS[encoding](ENCODERS[encoding](value)) == value


@given(st.binary(max_size=60), st.sampled_from(sorted(DECODERS)))
def test_decoding_answers_bytes_or_none(text: bytes, encoding: str) -> None:
    value = DECODERS[encoding](text)
    assert value is None or value


@given(st.text(st.sampled_from("AQgw01=+/-_ \n"), max_size=9))
def test_a_value_has_one_spelling(text: str) -> None:
    for name, spell in (("base64", ENCODERS["base64"]), ("base64url", ENCODERS["base64url"])):
        value = DECODERS[name](text.encode())
        if value is not None:
            padding = b"=" * (-len(spell(value)) % 4)
            assert text.encode() in (spell(value), spell(value) + padding)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("hex", b""),
        ("hex", b"0"),
        ("hex", b"0x00"),
        ("hex", b"00 11"),
        ("hex", b"00\n"),
        ("hex", b"0g"),
        ("hex", b"\xd9\xa1\xd9\xa1"),
        ("base64", b""),
        ("base64", b"aGl"),
        ("base64", b"aGl="),  # decodes like aGk=
        ("base64", b"aGk=="),
        ("base64", b"aGk=\n"),
        ("base64", b" aGk="),
        ("base64", b"aG-_"),
        ("base64", b"aGk=aGk="),
        ("base64", b"\xff\xff\xff\xff"),
        ("base64url", b"aG+/"),
        ("base64url", b"aGl"),
        ("base64url", b"aGk=="),
        ("base64url", b"aGk======"),
        ("base64url", b"===="),
    ],
)
def test_refuses_a_loose_spelling(encoding: str, text: bytes) -> None:
    assert DECODERS[encoding](text) is None


def test_reads_base64url_with_and_without_padding() -> None:
    assert DECODERS["base64url"](b"-_8") == DECODERS["base64url"](b"-_8=") == b"\xfb\xff"


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_accepts_a_signature_in_capital_hex_digits_but_no_second_spelling_of_base64(
    encoding: str,
) -> None:
    of = scheme(encoding=encoding)
    good = signed(of)
    value = header(good, b"x-signature")
    if encoding == "hex":
        assert verdict(of, with_header(good, b"x-signature", value.upper())) == 0
        return
    bare = value.rstrip(b"=")
    # 32 bytes leave two unused bits: four spellings decode alike, one is canonical
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    alphabet += b"+/" if encoding == "base64" else b"-_"
    spare = bare[:-1] + alphabet[alphabet.index(bare[-1]) + 1 :][:1]
    for other in (spare, spare + b"=", bare + b"==", b" " + bare):
        assert verdict(of, with_header(good, b"x-signature", other)) is MALFORMED


# Forms


@pytest.mark.parametrize("form", ["single", "list", "pairs", "positional"])
@pytest.mark.parametrize("encoding", sorted(ENCODERS))
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_form_encoding_and_algorithm_accepts_what_it_signed(
    form: str, encoding: str, algorithm: str
) -> None:
    timed = form in ("pairs", "positional")
    message = ("{ts}." if timed else "") + "{body}" + "{secret}" * algorithm.startswith("hash-")
    of = scheme(
        message, algorithm=algorithm, timed=timed, form=form, encoding=encoding, prefix=b"v1:",
        separator=b";",
    )  # fmt: skip
    assert verdict(of, signed(of), 2, 1) == 1
    assert verdict(of, signed(of), 2) is MISMATCH
    assert verdict(of, with_header(signed(of), b"x-signature", b"v1:")) in (
        MALFORMED,
        Refusal.MISSING_TIMESTAMP,
    )


@pytest.mark.parametrize(
    ("form", "decoy"), [("pairs", b",v1=" + b"0" * 64), ("list", b"," + b"0" * 64)]
)
def test_finds_the_genuine_one_of_eight_signatures_and_refuses_nine(form: str, decoy: bytes) -> None:
    of = scheme("{ts}.{body}" if form == "pairs" else "{body}", timed=form == "pairs", form=form)
    value = header(signed(of), b"x-signature")
    assert verdict(of, with_header(signed(of), b"x-signature", value + decoy * 7)) == 0
    assert verdict(of, with_header(signed(of), b"x-signature", decoy[1:] + b"," + value)) == 0
    assert verdict(of, with_header(signed(of), b"x-signature", value + decoy * 8)) is MALFORMED


def test_signatures_of_unknown_versions_neither_count_nor_disturb() -> None:
    of = scheme(form="list", separator=b" ", prefix=b"v1,", encoding="base64")
    value = b"v1a,xyz " * 20 + header(signed(of), b"x-signature") + b" v9,%% "
    assert verdict(of, with_header(signed(of), b"x-signature", value)) == 0


@pytest.mark.parametrize("more", [b",t=1700000000", b",t=1700001000", b",t="])
def test_two_times_in_a_pair_list_are_none_even_when_equal(more: bytes) -> None:
    of = scheme("{ts}.{body}", timed=True, form="pairs")
    value = header(signed(of), b"x-signature")
    for pairs in (value + more, more[1:] + b"," + value):
        doubled = with_header(signed(of), b"x-signature", pairs)
        assert verdict(of, doubled) is Refusal.MISSING_TIMESTAMP


def test_a_prefix_may_be_left_out_only_where_the_provider_leaves_it_out() -> None:
    strict, lax = scheme(prefix=b"sha256="), scheme(prefix=b"sha256=", prefix_optional=True)
    good = signed(strict)
    bare = with_header(good, b"x-signature", header(good, b"x-signature").removeprefix(b"sha256="))
    assert verdict(strict, bare) is MALFORMED
    assert verdict(lax, bare) == verdict(lax, good) == 0


def test_of_several_places_each_counts_and_none_twice() -> None:
    of = scheme(places=(Reference("header", "x-first"), Reference("header", "x-second")))
    good = header(signed(of), b"x-first")
    assert verdict(of, request((b"x-second", good))) == 0
    assert verdict(of, request((b"x-first", b"00"), (b"x-second", good))) == 0
    assert verdict(of, request((b"x-first", b"00"), (b"x-second", b"11"))) is MISMATCH
    twice = request((b"x-second", good), (b"x-second", good))
    assert verdict(of, twice) is Refusal.DUPLICATED_SIGNATURE
    assert verdict(of, request()) is Refusal.MISSING_SIGNATURE


def test_a_header_whose_name_ends_in_a_star_is_every_header_that_begins_so() -> None:
    of = scheme(places=(Reference("header", "x-sig-*"),))
    good = signed(of)
    value = header(good, b"x-sig-1")
    assert verdict(of, request((b"x-sig-1", b"00"), (b"x-sig-2", value))) == 0
    assert verdict(of, request((b"x-signature", value))) is Refusal.MISSING_SIGNATURE
    many = [(b"x-sig-%d" % number, b"00") for number in range(9)]
    assert verdict(of, request(*many)) is MALFORMED


@pytest.mark.parametrize("place", ["query.the sig", "form.sig", "json.proof.sig", "form_json.data.sig"])
def test_a_signature_may_stand_outside_the_headers(place: str) -> None:
    kind = b"application/x-www-form-urlencoded" if place.startswith("form") else b"application/json"
    of = scheme("{header.x-id}", places=(reference_of(place),))
    body = b"" if kind.endswith(b"urlencoded") else b'{"a": 1}'
    unsigned = request((b"content-type", kind), (b"x-id", b"1"), body=body)
    good = of.sign(unsigned, keys(of)[0], NOW)
    assert verdict(of, unsigned) is Refusal.MISSING_SIGNATURE
    assert verdict(of, good) == 0
    assert verdict(of, with_header(good, b"x-id", b"2")) is MISMATCH


def test_several_groups_in_one_header_are_judged_each_with_its_own_time() -> None:
    of = scheme("{ts}.{body}", timed=True, form="pairs", groups=b"|")
    mine = header(signed(of), b"x-signature")
    other = header(signed(of, number=2), b"x-signature").replace(b"1700000000", b"1600000000")
    for value in (mine + b"|" + other, other + b"|" + mine):
        assert verdict(of, with_header(signed(of), b"x-signature", value)) == 0
    assert verdict(of, with_header(signed(of), b"x-signature", other + b"|" + other)) is MISMATCH


@pytest.mark.parametrize("form", ["single", "list", "pairs", "positional"])
def test_refuses_a_header_longer_than_any_honest_one(form: str) -> None:
    of = scheme(form=form)
    value = header(signed(of), b"x-signature")
    assert verdict(of, with_header(signed(of), b"x-signature", value + b"," * 4096)) is MALFORMED


# What is signed


def test_each_of_several_messages_may_be_what_was_signed() -> None:
    of, first, second = scheme("a{body}", "b{body}"), scheme("a{body}"), scheme("b{body}")
    assert verdict(of, signed(first)) == verdict(of, signed(second)) == 0
    assert verdict(of, signed(scheme("c{body}"))) is MISMATCH


def test_a_message_that_cannot_be_rendered_leaves_the_others() -> None:
    of = scheme("{header.x-id}{body}", "{body}")
    assert verdict(of, signed(scheme("{body}"))) == 0
    needs_both = scheme("{header.x-id}{body}", "{header.x-other}{body}")
    incoming = signed(scheme("{body}"))
    assert verdict(needs_both, incoming) is Refusal.MISSING_SIGNED_PART


def test_nothing_is_signed_when_a_part_is_missing() -> None:
    of = scheme("{header.x-id}.{body}")
    with pytest.raises(ValueError, match="x-id"):
        of.sign(request(), of.load_key(b"a-secret-of-some-length"), NOW)


def test_a_plain_hash_has_its_secret_where_the_message_says() -> None:
    of = scheme("{body}:{secret}", algorithm="hash-sha1")
    expected = hashlib.sha1(BODY + b":" + b"user:the-long-and-random-secret-1-of-").hexdigest().encode()
    assert header(signed(of), b"x-signature") == expected


def test_what_must_be_said_beside_the_signature_is_asked_for_exactly() -> None:
    plain = scheme()
    (version,) = templates("{header.x-version}")
    of = SignatureScheme(
        plain.algorithm, plain.places, plain.messages, require=((version, (b"1", b"2")),)
    )
    for value, expected in ((b"1", 0), (b"2", 0), (b"3", MALFORMED), (b"", MALFORMED)):
        assert verdict(of, with_header(signed(plain), b"x-version", value)) == expected
    assert verdict(of, signed(plain)) is MALFORMED


# Keys


@pytest.mark.parametrize(
    ("encoding", "text", "key"),
    [
        ("utf8", b"whsec_text", b"whsec_text"),
        ("utf8", b"\xff\x00", b"\xff\x00"),
        ("hex", b"00fF", b"\x00\xff"),
        ("hex", b"no hex", None),
        ("base64", b"aGk=", b"hi"),
        ("base64", b"aGk", b"hi"),  # some providers leave the padding out
        ("base64", b"aGl=", b"hi"),  # spare bits are no forgery in a key of ours
        ("base64", b"a b=", None),
        ("base64", b"a", None),
        ("base64", b"\xff", None),
    ],
)
def test_reads_a_key_as_the_provider_writes_it(encoding: str, text: bytes, key: bytes | None) -> None:
    assert decode_key(text, encoding) == key


@pytest.mark.parametrize(
    ("form", "text", "key"),
    [
        (KeyFormat(), b"text", b"text"),
        (KeyFormat("base64", b"whsec_"), b"whsec_aGk=", b"hi"),
        (KeyFormat("base64", b"whsec_"), b"aGk=", b"hi"),  # copied without its prefix
        (KeyFormat("hex", suffix=b"&"), b"6869", b"hi&"),
        (KeyFormat(derive="sha1"), b"hi", hashlib.sha1(b"hi").digest()),
        (KeyFormat(derive="sha256", suffix=b"!"), b"hi", hashlib.sha256(b"hi!").digest()),
        (KeyFormat(normalize="NFC"), "u\u0308".encode(), "ü".encode()),
        (KeyFormat(normalize="NFKD"), "ü".encode(), "u\u0308".encode()),
    ],
)
def test_a_key_format_says_how_a_secret_becomes_a_key(form: KeyFormat, text: bytes, key: bytes) -> None:
    assert form.decode(text) == key


def test_a_secret_that_is_to_be_normalised_must_be_text() -> None:
    with pytest.raises(SecretError, match="UTF-8"):
        KeyFormat(normalize="NFC").decode(b"\xff")


@given(st.binary(min_size=1, max_size=40), st.sampled_from(["utf8", "hex", "base64"]))
def test_a_key_format_reads_what_it_wrote(key: bytes, encoding: str) -> None:
    form = KeyFormat(encoding, b"whsec_")
    assert form.decode(form.encode(key)) == key


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_%%%%", b"", b"whsec_not base64 at all"])
def test_refuses_a_key_that_does_not_decode_without_showing_it(secret: bytes) -> None:
    plain = scheme()
    of = SignatureScheme(plain.algorithm, plain.places, plain.messages, KeyFormat("base64", b"whsec_"))
    with pytest.raises(SecretError) as error:
        of.load_key(secret)
    assert "%%%%" not in str(error.value)
    assert "not base64 at all" not in str(error.value)


@pytest.mark.parametrize("secret", [b"", b"user", b"user:", b":password-of-sixteen"])
def test_refuses_credentials_that_lack_a_half_without_showing_them(secret: bytes) -> None:
    with pytest.raises(SecretError) as error:
        BasicAuthScheme().load_key(secret)
    assert "sixteen" not in str(error.value)


def test_refuses_an_empty_secret() -> None:
    for of in (TokenScheme(X_SIGNATURE), scheme(), scheme(algorithm="hash-sha1")):
        with pytest.raises(SecretError):
            of.load_key(b"")


# Tokens


def test_a_bearer_token_needs_its_prefix() -> None:
    of = TokenScheme((Reference("header", "authorization"),), b"Bearer ")
    good = signed(of)
    assert verdict(of, good) == 0
    bare = header(good, b"authorization").removeprefix(b"Bearer ")
    for value in (bare, b"bearer" + bare, b"Basic " + bare):
        assert verdict(of, with_header(good, b"authorization", value)) is MALFORMED
    assert verdict(of, with_header(good, b"authorization", b"Bearer ")) is MISMATCH


@pytest.mark.parametrize("token", [b"a&b=c+d e%20f#g", b"\xff\x00\x80 and more", "schlüssel".encode()])
def test_a_token_in_the_query_survives_its_own_signs(token: bytes) -> None:
    of = TokenScheme((Reference("query", "the token"),))
    key = of.load_key(token)
    for query in (b"", b"a=1", b"the+token=wrong"):
        outgoing = of.sign(request(query=query), key, NOW)
        assert outgoing.query.startswith(query)
        assert judged(of, outgoing, [key]) == 0
    for query in (b"", b"the%20token=", b"the%20token", b"a=" + token):
        assert judged(of, request(query=query), [key]) is Refusal.MISSING_SIGNATURE
    assert judged(of, request(query=b"the+token=other"), [key]) is MISMATCH


def test_the_first_place_where_something_stands_counts() -> None:
    of = TokenScheme((Reference("header", "x-token"), Reference("query", "token")))
    good = header(signed(of), b"x-token")
    assert verdict(of, request((b"x-token", good))) == 0
    assert verdict(of, request(query=b"token=" + good)) == 0
    assert verdict(of, request((b"x-token", b"wrong"), query=b"token=" + good)) is MISMATCH


def test_a_token_that_several_values_must_be_is_each_of_them() -> None:
    of = TokenScheme((reference_of("json.value.*.clientState"),))
    (key,) = keys(of)
    good = of.sign(request(body=b'{"value": [{"id": 1}, {"id": 2}]}'), key, NOW)
    assert good.body.count(key.token) == 2
    assert verdict(of, good) == 0
    token = key.token.decode()
    for others in ('{"clientState": "wrong"}', '{"clientState": null}', '{"clientState": 7}'):
        body = f'{{"value": [{{"clientState": "{token}"}}, {others}]}}'.encode()
        assert verdict(of, request(body=body)) is MISMATCH
    for body in (b"{}", b'{"value": []}', b'{"value": {}}', b"[]", b"no json"):
        assert verdict(of, request(body=body)) is Refusal.MISSING_SIGNATURE


# Basic authentication


def test_reads_basic_credentials_whatever_the_case_of_the_word() -> None:
    of = BasicAuthScheme()
    text = base64.b64encode(b"user:the-long-and-random-secret-1-of-")
    for word in (b"Basic ", b"basic ", b"BASIC  "):
        assert verdict(of, request((b"authorization", word + text))) == 0


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        (b"Bearer dXNlcg==", MALFORMED),
        (b"Basic", MALFORMED),
        (b"Basic user:password", MALFORMED),
        (b"Basic dXNlcjpwYXNz", MISMATCH),
        (b"Basic " + base64.b64encode(b"user:the-long-and-random-secret-1-of- "), MISMATCH),
        (b"Basic " + base64.b64encode(b"User:the-long-and-random-secret-1-of-"), MISMATCH),
    ],
)
def test_refuses_other_credentials(value: bytes, refusal: Refusal) -> None:
    assert verdict(BasicAuthScheme(), request((b"authorization", value))) is refusal


def test_refuses_missing_and_repeated_credentials() -> None:
    of = BasicAuthScheme()
    good = signed(of).headers.raw
    assert verdict(of, request()) is Refusal.MISSING_SIGNATURE
    assert verdict(of, request(*good)) == 0
    assert verdict(of, request(*good, *good)) is Refusal.DUPLICATED_SIGNATURE


def test_a_password_may_hold_colons() -> None:
    key = BasicAuthScheme().load_key(b"user:pass:word:with:colons")
    outgoing = BasicAuthScheme().sign(request(), key, NOW)
    assert base64.b64decode(header(outgoing, b"authorization")[6:]).count(b":") == 4


def test_signing_touches_nothing_but_the_proof() -> None:
    for of in (BasicAuthScheme(), TokenScheme(X_SIGNATURE), scheme()):
        before = request((b"x-a", b"1"), (b"x-a", b"2"), query=b"q=1")
        after = of.sign(before, keys(of)[0], NOW)
        assert (after.method, after.path, after.query, after.body) == ("POST", "/hooks/x", b"q=1", BODY)
        assert after.headers.all(b"x-a") == [b"1", b"2"]
