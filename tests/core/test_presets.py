"""What holds for every preset: its own requests are believed, and none that differs in anything."""

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.signature import SignatureScheme, Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.template import Reference
from gateway.core.verification import Scheme

from .examples import (
    BODY,
    NOW,
    SCHEMES,
    SIGNATURES,
    TIMED,
    header,
    keys,
    proof_header,
    request,
    secret,
    signed,
    verdict,
    with_header,
    without_header,
)

every_preset = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
every_signature = pytest.mark.parametrize("scheme", SIGNATURES.values(), ids=SIGNATURES)
every_timed = pytest.mark.parametrize("scheme", TIMED.values(), ids=TIMED)
NO_PROOF = (Refusal.MISSING_SIGNATURE, Refusal.MALFORMED_SIGNATURE, Refusal.SIGNATURE_MISMATCH)

# "schlüssel" in UTF-8, an Arabic digit, format strings, other providers' prefixes without a value
JUNK = [b"garbage", b" ", b"=", b",", b"\x00", b"\xff\xfe", b"schl\xc3\xbcssel", b"v1,=\xd9\xa3"]
JUNK += [
    b"0" * 64,
    b"A" * 5000,
    b"t=1,v1=zz",
    b"v0=",
    b"v1,",
    b"sha256=",
    b"sha256=0g",
    b"Basic ",
    b"%n",
]
ODD_TIMES = [b"soon", b"+1700000000", b"-1", b"1_700_000_000", b" 1700000000", b"1.7e9", b"0x6553f100"]
ODD_TIMES += [b"\xd9\xa1\xd9\xa2", b"1" * 16, b"1" * 3000, b"nan", b"1700000000.0", b"\xff"]


def time_of(scheme: SignatureScheme) -> Timestamp:
    assert scheme.timestamp is not None
    return scheme.timestamp


@every_preset
def test_accepts_what_it_signed(scheme: Scheme) -> None:
    assert verdict(scheme, signed(scheme)) == 0


@every_preset
def test_accepts_an_empty_body_and_bytes_that_are_no_text(scheme: Scheme) -> None:
    assert verdict(scheme, signed(scheme, body=b"")) == 0
    assert verdict(scheme, signed(scheme, body=bytes(range(256)))) == 0


@every_signature
@pytest.mark.parametrize("body", [BODY + b"\n", b" " + BODY, BODY[:-1], BODY.upper(), b""])
def test_refuses_a_body_changed_after_signing(scheme: Scheme, body: bytes) -> None:
    incoming = replace(signed(scheme), body=body)
    assert verdict(scheme, incoming) is Refusal.SIGNATURE_MISMATCH


@every_preset
def test_refuses_another_secret(scheme: Scheme) -> None:
    assert verdict(scheme, signed(scheme, number=2), 1) is Refusal.SIGNATURE_MISMATCH


@every_preset
def test_refuses_everything_when_there_is_no_secret(scheme: Scheme) -> None:
    assert scheme.verify(Fields(signed(scheme)), [], NOW) is Refusal.SIGNATURE_MISMATCH


@every_preset
def test_names_which_of_several_active_secrets_matched(scheme: Scheme) -> None:
    for index, number in enumerate((1, 2, 3)):
        assert verdict(scheme, signed(scheme, number=number), 1, 2, 3) == index


@every_preset
def test_tries_every_secret_even_after_a_match(scheme: Scheme, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        tried.append(compare(one, other))
        return tried[-1]

    incoming = signed(scheme)
    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert verdict(scheme, incoming, 1, 2, 3) == 0
    assert tried == [True, False, False]


@every_preset
def test_refuses_a_request_without_the_proof(scheme: Scheme) -> None:
    incoming = without_header(signed(scheme), proof_header(scheme))
    assert verdict(scheme, incoming) is Refusal.MISSING_SIGNATURE


@every_preset
def test_refuses_an_empty_proof(scheme: Scheme) -> None:
    incoming = with_header(signed(scheme), proof_header(scheme), b"")
    assert verdict(scheme, incoming) is Refusal.MISSING_SIGNATURE


@every_preset
@pytest.mark.parametrize("other", [b"", b"forged"])
def test_refuses_a_proof_that_is_there_twice_whichever_is_genuine(scheme: Scheme, other: bytes) -> None:
    good = signed(scheme)
    name = proof_header(scheme)
    for pairs in (((name, other), *good.headers.raw), (*good.headers.raw, (name, other))):
        incoming = replace(good, headers=Headers(pairs))
        assert verdict(scheme, incoming) is Refusal.DUPLICATED_SIGNATURE
    same = replace(good, headers=Headers((*good.headers.raw, (name, header(good, name)))))
    assert verdict(scheme, same) is Refusal.DUPLICATED_SIGNATURE


@every_preset
@pytest.mark.parametrize("junk", JUNK)
def test_refuses_junk_for_a_proof(scheme: Scheme, junk: bytes) -> None:
    incoming = with_header(signed(scheme), proof_header(scheme), junk)
    assert verdict(scheme, incoming) in (*NO_PROOF, Refusal.MISSING_TIMESTAMP)


@every_preset
def test_refuses_its_own_proof_with_anything_before_or_behind_it(scheme: Scheme) -> None:
    good = signed(scheme)
    name = proof_header(scheme)
    for value in (b"x" + header(good, name), header(good, name) + b"x", header(good, name) + b"\xff"):
        assert verdict(scheme, with_header(good, name, value)) in (*NO_PROOF, Refusal.MISSING_TIMESTAMP)


@every_signature
def test_refuses_a_header_longer_than_any_honest_one(scheme: SignatureScheme) -> None:
    good = signed(scheme)
    value = header(good, scheme.header)
    padding = {"pairs": b",x=" + b"0" * 4096, "list": scheme.separator + b"x" * 4096}
    incoming = with_header(good, scheme.header, value + padding.get(scheme.form, b"0" * 4096))
    assert verdict(scheme, incoming) is Refusal.MALFORMED_SIGNATURE


@every_signature
def test_accepts_a_signature_in_capital_hex_digits_but_no_second_spelling_of_base64(
    scheme: SignatureScheme,
) -> None:
    good = signed(scheme)
    value, size = header(good, scheme.header), hashlib.new(scheme.digest).digest_size
    length = size * 2 if scheme.encoding == "hex" else len(base64.b64encode(bytes(size)))
    before, digest = value[:-length], value[-length:]
    if scheme.encoding == "hex":
        shouted = with_header(good, scheme.header, before + digest.upper())
        assert verdict(scheme, shouted) == 0
    else:  # 32 bytes leave two unused bits: four spellings decode alike, one is canonical
        assert digest.endswith(b"=")
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        last = alphabet[alphabet.index(digest[-2]) + 1]
        for spelling in (digest[:-2] + bytes([last]) + b"=", digest[:-1], digest + b"="):
            incoming = with_header(good, scheme.header, before + spelling)
            assert verdict(scheme, incoming) is Refusal.MALFORMED_SIGNATURE


# The signed time


@every_timed
def test_accepts_to_the_second_what_is_as_old_or_as_early_as_the_tolerance(
    scheme: SignatureScheme,
) -> None:
    good, tolerance = signed(scheme), time_of(scheme).tolerance
    assert verdict(scheme, good, now=NOW + tolerance) == 0
    assert verdict(scheme, good, now=NOW - tolerance) == 0
    assert verdict(scheme, good, now=NOW + tolerance + 1) is Refusal.STALE_TIMESTAMP
    assert verdict(scheme, good, now=NOW - tolerance - 1) is Refusal.FUTURE_TIMESTAMP


@every_timed
def test_tells_only_the_genuine_sender_about_the_clock(scheme: SignatureScheme) -> None:
    forged = signed(scheme, number=2)
    assert verdict(scheme, forged, 1, now=NOW + 10_000) is Refusal.SIGNATURE_MISMATCH


@every_timed
def test_refuses_a_time_that_was_renewed_after_signing(scheme: SignatureScheme) -> None:
    renewed = _with_time(scheme, str(int(NOW) + 1000).encode())
    assert verdict(scheme, renewed, now=NOW + 1000) is Refusal.SIGNATURE_MISMATCH


@every_timed
@pytest.mark.parametrize("text", ODD_TIMES)
def test_refuses_a_time_that_is_not_plain_digits(scheme: SignatureScheme, text: bytes) -> None:
    assert verdict(scheme, _with_time(scheme, text)) is Refusal.MALFORMED_TIMESTAMP


@every_timed
def test_refuses_a_missing_empty_or_repeated_time(scheme: SignatureScheme) -> None:
    assert verdict(scheme, _with_time(scheme, b"")) is Refusal.MISSING_TIMESTAMP
    good, name = signed(scheme), time_of(scheme).header
    if name is not None:
        assert verdict(scheme, without_header(good, name)) is Refusal.MISSING_TIMESTAMP
        twice = replace(good, headers=Headers((*good.headers.raw, (name, header(good, name)))))
        assert verdict(scheme, twice) is Refusal.MISSING_TIMESTAMP


@every_signature
def test_refuses_when_another_signed_header_is_missing_or_repeated(scheme: SignatureScheme) -> None:
    good, time = signed(scheme), scheme.timestamp
    for part in scheme.message.references():
        name = part.name.encode()
        if part.kind == "header" and not (time and time.header == name):
            assert verdict(scheme, without_header(good, name)) is Refusal.MISSING_SIGNED_PART
            twice = replace(good, headers=Headers((*good.headers.raw, (name, b"value-1"))))
            assert verdict(scheme, twice) is Refusal.MISSING_SIGNED_PART


# Single providers


def test_github_ignores_the_sha1_twin_whether_good_or_bad() -> None:
    github, body = SCHEMES["github"], BODY
    name = b"x-hub-signature"
    sha1 = b"sha1=" + hmac.new(secret(github), body, hashlib.sha1).hexdigest().encode()
    assert verdict(github, request((name, sha1))) is Refusal.MISSING_SIGNATURE
    assert verdict(github, with_header(signed(github), name, b"sha1=00")) == 0
    as_sha256 = request((b"x-hub-signature-256", sha1))
    assert verdict(github, as_sha256) is Refusal.MALFORMED_SIGNATURE


def test_stripe_does_not_believe_the_test_mode_signature() -> None:
    stripe = SCHEMES["stripe"]
    good = signed(stripe)
    value = header(good, b"stripe-signature").replace(b"v1=", b"v0=")
    incoming = with_header(good, b"stripe-signature", value)
    assert verdict(stripe, incoming) is Refusal.MALFORMED_SIGNATURE


def test_stripe_refuses_two_times_one_of_which_is_signed() -> None:
    stripe = SCHEMES["stripe"]
    good = signed(stripe)
    value = header(good, b"stripe-signature")
    for doubled in (value + b",t=%d" % (NOW + 1000), b"t=%d," % (NOW + 1000) + value):
        incoming = with_header(good, b"stripe-signature", doubled)
        assert verdict(stripe, incoming, now=NOW + 1000) is Refusal.MISSING_TIMESTAMP


@pytest.mark.parametrize(
    ("name", "decoy"),
    [("stripe", b",v1=" + b"0" * 64), ("standard-webhooks", b" v1," + b"A" * 43 + b"=")],
)
def test_finds_the_genuine_one_of_eight_signatures_and_refuses_nine(name: str, decoy: bytes) -> None:
    scheme = SIGNATURES[name]
    good = signed(scheme)
    value = header(good, scheme.header)
    assert verdict(scheme, with_header(good, scheme.header, value + decoy * 7)) == 0
    nine = with_header(good, scheme.header, value + decoy * 8)
    assert verdict(scheme, nine) is Refusal.MALFORMED_SIGNATURE


def test_signatures_of_unknown_versions_neither_count_nor_disturb() -> None:
    scheme = SIGNATURES["standard-webhooks"]
    good = signed(scheme)
    value = b"v1a,xyz " * 20 + header(good, scheme.header) + b" v9,%% "
    assert verdict(scheme, with_header(good, scheme.header, value)) == 0


def test_gitlab_compares_a_token_and_does_not_cover_the_body() -> None:
    gitlab = SCHEMES["gitlab"]
    assert isinstance(gitlab, TokenScheme)
    assert gitlab.place == Reference("header", "x-gitlab-token")
    assert verdict(gitlab, replace(signed(gitlab), body=b"anything")) == 0
    truncated = with_header(signed(gitlab), b"x-gitlab-token", secret(gitlab)[:-1])
    assert verdict(gitlab, truncated) is Refusal.SIGNATURE_MISMATCH


def test_a_proof_for_one_provider_is_none_for_another() -> None:
    for name, scheme in SCHEMES.items():
        for other, foreign in SCHEMES.items():
            if other != name:
                assert isinstance(verdict(foreign, signed(scheme)), Refusal)


def test_no_key_shows_its_secret_in_its_repr() -> None:
    for scheme in SCHEMES.values():
        shown = repr(keys(scheme)) + repr(scheme)
        assert "the-secret" not in shown
        assert secret(scheme).decode() not in shown


def _with_time(scheme: SignatureScheme, text: bytes) -> InboundRequest:
    """A signed request whose time is then replaced by other text."""
    good, time = signed(scheme), time_of(scheme)
    if time.header is not None:
        return with_header(good, time.header, text)
    value = header(good, scheme.header)
    stamp = scheme.timestamp_key + b"=" + str(int(NOW)).encode()
    return with_header(good, scheme.header, value.replace(stamp, scheme.timestamp_key + b"=" + text))
