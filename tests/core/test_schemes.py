"""What the presets do not show of the schemes: forms, encodings, tokens, and keys that do not load."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.encoding import DECODERS, ENCODERS, decode_key
from gateway.core.schemes.signature import SignatureScheme, Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference, compile_template
from gateway.core.verification import SecretError, VerifiedRequest, verify

from .examples import BODY, NOW, keys, request, signed, verdict, with_header

BODY_ONLY = compile_template("{body}")
TIMED = compile_template("{ts}.{body}")


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


@pytest.mark.parametrize("form", ["single", "list", "pairs"])
@pytest.mark.parametrize("encoding", sorted(ENCODERS))
@pytest.mark.parametrize("digest", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_every_form_encoding_and_digest_accepts_what_it_signed(
    form: str, encoding: str, digest: str
) -> None:
    scheme = SignatureScheme(
        header=b"x-signature",
        message=TIMED if form == "pairs" else BODY_ONLY,
        digest=digest,
        encoding=encoding,
        form=form,
        prefix=b"v1:",
        separator=b";",
        timestamp=Timestamp(None, False, 300) if form == "pairs" else None,
    )
    assert verdict(scheme, signed(scheme), 2, 1) == 1
    assert verdict(scheme, signed(scheme), 2) is Refusal.SIGNATURE_MISMATCH


def test_reads_times_in_milliseconds() -> None:
    scheme = SignatureScheme(
        header=b"x-signature", message=TIMED, timestamp=Timestamp(b"x-time", True, 1.5)
    )
    good = signed(scheme)
    assert good.headers.one(b"x-time") == b"1700000000000"
    assert verdict(scheme, good, now=NOW + 1.5) == 0
    assert verdict(scheme, good, now=NOW + 1.6) is Refusal.STALE_TIMESTAMP
    assert verdict(scheme, good, now=NOW - 1.6) is Refusal.FUTURE_TIMESTAMP


def test_two_times_in_a_pair_list_are_none_even_when_equal() -> None:
    scheme = SignatureScheme(
        header=b"x-signature", message=TIMED, form="pairs", timestamp=Timestamp(None, False, 300)
    )
    value = signed(scheme).headers.one(b"x-signature") or b""
    for pairs in (value + b",t=1700000000", b"t=1700000000," + value, b"t=," + value):
        assert verdict(scheme, with_header(signed(scheme), b"x-signature", pairs)) is (
            Refusal.MISSING_TIMESTAMP
        )


def test_nothing_is_signed_when_a_part_is_missing() -> None:
    scheme = SignatureScheme(header=b"x-signature", message=compile_template("{header.x-id}.{body}"))
    with pytest.raises(ValueError, match="x-id"):
        scheme.sign(request(), scheme.load_key(b"a-secret-of-some-length"), NOW)


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


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_%%%%", b"", b"whsec_not base64 at all"])
def test_refuses_a_key_that_does_not_decode_without_showing_it(secret: bytes) -> None:
    scheme = SignatureScheme(b"x", BODY_ONLY, key_encoding="base64", key_prefix=b"whsec_")
    with pytest.raises(SecretError) as error:
        scheme.load_key(secret)
    assert "%%%%" not in str(error.value)
    assert "not base64 at all" not in str(error.value)


@pytest.mark.parametrize("secret", [b"", b"user", b"user:", b":password-of-sixteen"])
def test_refuses_credentials_that_lack_a_half_without_showing_them(secret: bytes) -> None:
    with pytest.raises(SecretError) as error:
        BasicAuthScheme().load_key(secret)
    assert "sixteen" not in str(error.value)


def test_refuses_an_empty_token() -> None:
    with pytest.raises(SecretError):
        TokenScheme(Reference("header", "x")).load_key(b"")


# Tokens


def test_a_bearer_token_needs_its_prefix() -> None:
    scheme = TokenScheme(Reference("header", "authorization"), b"Bearer ")
    good = signed(scheme)
    assert verdict(scheme, good) == 0
    bare = (good.headers.one(b"authorization") or b"").removeprefix(b"Bearer ")
    for value in (bare, b"bearer" + bare, b"Basic " + bare):
        incoming = with_header(good, b"authorization", value)
        assert verdict(scheme, incoming) is Refusal.MALFORMED_SIGNATURE
    nothing = with_header(good, b"authorization", b"Bearer ")
    assert verdict(scheme, nothing) is Refusal.SIGNATURE_MISMATCH


@pytest.mark.parametrize("token", [b"a&b=c+d e%20f#g", b"\xff\x00\x80 and more", "schlüssel".encode()])
def test_a_token_in_the_query_survives_its_own_signs(token: bytes) -> None:
    scheme = TokenScheme(Reference("query", "the token"))
    key = scheme.load_key(token)
    for query in (b"", b"a=1", b"the+token=wrong"):
        outgoing = scheme.sign(request(query=query), key, NOW)
        assert outgoing.query.startswith(query)
        assert verdict_of(scheme, outgoing, key) == 0
    for query in (b"", b"the%20token=", b"the%20token", b"a=" + token):
        assert verdict_of(scheme, request(query=query), key) is Refusal.MISSING_SIGNATURE
    assert verdict_of(scheme, request(query=b"the+token=other"), key) is Refusal.SIGNATURE_MISMATCH


def verdict_of(scheme: TokenScheme, incoming: InboundRequest, key: object) -> int | Refusal:
    found = verify(incoming, scheme, [key], NOW)
    return found.key_index if isinstance(found, VerifiedRequest) else found


# Basic authentication


def test_reads_basic_credentials_whatever_the_case_of_the_word() -> None:
    scheme = BasicAuthScheme()
    text = base64.b64encode(b"user:the-secret-that-is-number-1")
    for word in (b"Basic ", b"basic ", b"BASIC  "):
        assert verdict(scheme, request((b"authorization", word + text))) == 0


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        (b"Bearer dXNlcg==", Refusal.MALFORMED_SIGNATURE),
        (b"Basic", Refusal.MALFORMED_SIGNATURE),
        (b"Basic user:password", Refusal.MALFORMED_SIGNATURE),
        (b"Basic dXNlcjpwYXNz", Refusal.SIGNATURE_MISMATCH),
        (
            b"Basic " + base64.b64encode(b"user:the-secret-that-is-number-1 "),
            Refusal.SIGNATURE_MISMATCH,
        ),
        (b"Basic " + base64.b64encode(b"User:the-secret-that-is-number-1"), Refusal.SIGNATURE_MISMATCH),
    ],
)
def test_refuses_other_credentials(value: bytes, refusal: Refusal) -> None:
    assert verdict(BasicAuthScheme(), request((b"authorization", value))) is refusal


def test_refuses_missing_and_repeated_credentials() -> None:
    scheme = BasicAuthScheme()
    good = signed(scheme).headers.raw
    assert verdict(scheme, request()) is Refusal.MISSING_SIGNATURE
    assert verdict(scheme, request(*good)) == 0
    assert verdict(scheme, request(*good, *good)) is Refusal.DUPLICATED_SIGNATURE


def test_a_password_may_hold_colons() -> None:
    key = BasicAuthScheme().load_key(b"user:pass:word:with:colons")
    outgoing = BasicAuthScheme().sign(request(), key, NOW)
    assert base64.b64decode((outgoing.headers.one(b"authorization") or b"")[6:]).count(b":") == 4


def test_signing_touches_nothing_but_the_proof() -> None:
    for scheme in (BasicAuthScheme(), TokenScheme(Reference("header", "x-token"))):
        before = request((b"x-a", b"1"), (b"x-a", b"2"), query=b"q=1")
        after = scheme.sign(before, keys(scheme)[0], NOW)
        assert (after.method, after.path, after.query, after.body) == ("POST", "/hooks/x", b"q=1", BODY)
        assert after.headers.all(b"x-a") == [b"1", b"2"]
