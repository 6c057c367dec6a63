"""Tokens that describe a request: what they may say, who may have made them, and what they are not."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.algorithms import ALGORITHMS, Algorithm
from gateway.core.schemes.jws import JWS_ALGORITHMS
from gateway.core.schemes.jwt import Claim, JwtScheme
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.template import Reference, compile_template
from gateway.core.verification import Match, SecretError
from gateway.crypto.public_key import public_key_algorithm

NOW = 1_700_000_000.0
BODY = b'{"id": "evt_1"}'
PLACE = Reference("header", "x-token")
SECRET = b"a-shared-secret-of-some-length-and-then-some-more-for-the-longest-of-them"
BODY_HASH = Claim("body", compile_template("{body | sha256 | hex}"))
PUBLIC = ("RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA")
SHARED = ("HS256", "HS384", "HS512")


def request(*headers: tuple[bytes, bytes]) -> InboundRequest:
    return InboundRequest("POST", "/in/x", b"", Headers.of(headers), BODY, None, NOW)


def algorithms(*names: str) -> Mapping[str, Algorithm]:
    def one(name: str) -> Algorithm:
        ours = JWS_ALGORITHMS[name]
        return ALGORITHMS[ours] if name.startswith("HS") else public_key_algorithm(ours)

    return {name: one(name) for name in names}


def scheme(*names: str, **options: Any) -> JwtScheme:
    options = {"claims": (BODY_HASH,), "leeway": 0, **options}
    return JwtScheme(PLACE, algorithms(*names or ("HS256",)), **options)


@cache
def private_key(name: str) -> Any:
    match name:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        case "ES256":
            return ec.derive_private_key(1234567, ec.SECP256R1())
        case "ES384":
            return ec.derive_private_key(1234567, ec.SECP384R1())
    return rsa.generate_private_key(65537, 2048)


def signer(name: str) -> Any:
    """What signs, and for PyJWT too."""
    return SECRET if name.startswith("HS") else private_key("RS" if name.startswith("RS") else name)


def secret(name: str) -> bytes:
    """What verifies, as a user configures it."""
    if name.startswith("HS"):
        return SECRET
    public = signer(name).public_key()
    return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def signed(of: JwtScheme, name: str = "HS256", now: float = NOW) -> InboundRequest:
    key = of.load_key(SECRET) if name.startswith("HS") else {name: signer(name)}
    return of.sign(request(), key, now)


def verdict(
    of: JwtScheme, incoming: InboundRequest, *secrets: bytes, now: float = NOW
) -> Match | Refusal:
    """Which key, or why not; what was signed is always the token, less its signature."""
    keys = [of.load_key(each) for each in secrets or (SECRET,)]
    found = of.verify(Fields(incoming), keys, now)
    if isinstance(found, Refusal):
        return found
    assert len(found.signed) == 1
    assert found.signed[0].count(b".") == 1
    return Match(found.key_index)


def token(incoming: InboundRequest) -> bytes:
    return incoming.headers.one(b"x-token") or b""


def part(value: Any) -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def forged(header: Any, claims: Any = None, key: bytes = SECRET) -> InboundRequest:
    """A token with a sound HS256 signature, whatever its parts say."""
    claims = {"body": hashlib.sha256(BODY).hexdigest()} if claims is None else claims
    text = part(header) + b"." + part(claims)
    hmac = ALGORITHMS["hmac-sha256"]
    proof = hmac.sign(hmac.load_key(key), [text])
    return request((b"x-token", text + b"." + part(proof)))


def saying(**claims: Any) -> InboundRequest:
    return forged({"alg": "HS256"}, {"body": hashlib.sha256(BODY).hexdigest(), **claims})


# Who made it


@pytest.mark.parametrize("name", JWS_ALGORITHMS)
def test_accepts_what_it_signed_and_nothing_changed_after(name: str) -> None:
    of = scheme(name)
    good = signed(of, name)
    assert verdict(of, good, secret(name)) == Match(0)
    assert verdict(of, replace(good, body=BODY + b" "), secret(name)) is Refusal.CLAIM_MISMATCH
    head, claims, proof = token(good).split(b".")
    more = part({**json.loads(base64.urlsafe_b64decode(claims + b"==")), "admin": True})
    changed = request((b"x-token", b".".join((head, more, proof))))
    assert verdict(of, changed, secret(name)) is Refusal.SIGNATURE_MISMATCH


@pytest.mark.parametrize("name", JWS_ALGORITHMS)
def test_agrees_with_pyjwt_in_both_directions(name: str) -> None:
    of = scheme(name)
    claims = {"body": hashlib.sha256(BODY).hexdigest(), "iat": int(NOW), "exp": int(NOW) + 9}
    theirs = request((b"x-token", pyjwt.encode(claims, signer(name), name).encode()))
    assert verdict(of, theirs, secret(name)) == Match(0)
    ours = token(signed(of, name)).decode()
    checks = {"verify_exp": False, "verify_iat": False}
    read = pyjwt.decode(ours, secret(name).decode(), [name], options=checks)  # type: ignore[arg-type]  # a dict of flags
    assert read == {**claims, "exp": int(NOW) + 300}


def test_every_key_is_tried_and_the_matching_one_named() -> None:
    of = scheme("HS256", "EdDSA")
    assert verdict(of, signed(of), b"another-secret", secret("EdDSA"), SECRET) == Match(2)
    assert verdict(of, signed(of, "EdDSA"), b"another-secret", secret("EdDSA"), SECRET) == Match(1)
    assert verdict(of, signed(of), b"another-secret", secret("EdDSA")) is Refusal.SIGNATURE_MISMATCH
    assert of.verify(Fields(signed(of)), [], NOW) is Refusal.SIGNATURE_MISMATCH


@pytest.mark.parametrize(
    "name", ["none", "None", "", "HS512", "hs256", "RS256", None, 1, ["HS256"], {}]
)
def test_a_token_adds_no_algorithm_to_the_list(name: Any) -> None:
    assert verdict(scheme(), forged({"alg": name})) is Refusal.ALGORITHM_NOT_ALLOWED
    bare = request((b"x-token", part({"alg": name}) + b"." + part({}) + b"."))
    assert verdict(scheme(), bare) is Refusal.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_key_is_no_shared_secret(name: str) -> None:
    """The classic confusion: whoever knows the public key would sign with it."""
    of = scheme("HS256", name)
    text = secret(name)
    for known in (text, text.strip(), der(name), base64.b64encode(der(name))):
        assert verdict(of, forged({"alg": "HS256"}, key=known), text) is Refusal.SIGNATURE_MISMATCH
        assert set(of.load_key(known)) == {name}
        with pytest.raises(SecretError, match="is a public key"):
            scheme("HS256").load_key(known)


def der(name: str) -> bytes:
    return bytes(
        signer(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize("names", [("HS256", "EdDSA"), ("EdDSA", "HS256")])
def test_a_shared_secret_as_long_as_a_public_key_stays_a_shared_secret(names: tuple[str, str]) -> None:
    of = scheme(*names)
    text = b"32-letters-long-is-a-shared-text"
    assert set(of.load_key(text)) == {"HS256"}
    raw = signer("EdDSA").public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert set(of.load_key(raw)) == {"EdDSA"}


@given(st.binary(min_size=1, max_size=80).filter(lambda key: b"-----BEGIN" not in key))
@example(b"0\x81\xff0" + bytes(40))
@example(b"0\x82\x00\x000" + bytes(40))
@example(b"0\x080" + bytes(40))
def test_random_bytes_serve_as_a_shared_secret(key: bytes) -> None:
    assert set(scheme("HS256", "HS512").load_key(key)) == {"HS256", "HS512"}


def test_a_der_signature_is_none_of_es256() -> None:
    of, key = scheme("ES256"), private_key("ES256")
    text = b".".join(token(signed(of, "ES256")).split(b".")[:2])
    proof = key.sign(text, ec.ECDSA(SHA256()))
    incoming = request((b"x-token", text + b"." + part(proof)))
    assert verdict(of, incoming, secret("ES256")) is Refusal.SIGNATURE_MISMATCH


# What it says


def test_claims_are_compared_by_their_words() -> None:
    claims = (
        Claim("iss", compile_template("sender")),
        Claim("aud", compile_template("{url}")),
        Claim("email_verified", compile_template("true")),
        Claim("sub", compile_template("{header.x-sub}"), optional=True),
    )
    of = scheme(claims=claims)
    said = {"iss": "sender", "aud": "https://example.com/in/x", "email_verified": True}

    def judged(**changes: Any) -> Match | Refusal:
        incoming = forged({"alg": "HS256"}, {**said, **changes})
        return verdict(of, replace(incoming, url="https://example.com/in/x"))

    assert judged() == Match(0)
    assert judged(aud=["https://other.example", said["aud"]]) == Match(0)
    wrongs: list[Any] = [None, "", "https://example.com/in/xy", ["x"], [], {}, [[said["aud"]]], 1, True]
    for wrong in wrongs:
        assert judged(aud=wrong) is Refusal.CLAIM_MISMATCH
    assert judged(iss="Sender") is Refusal.CLAIM_MISMATCH
    assert judged(email_verified=False) is Refusal.CLAIM_MISMATCH
    assert judged(sub="x") is Refusal.MISSING_SIGNED_PART
    assert verdict(of, forged({"alg": "HS256"}, said)) is Refusal.MISSING_SIGNED_PART  # no URL known


def test_an_optional_claim_counts_when_it_is_there() -> None:
    of = scheme(claims=(replace_optional(BODY_HASH),))
    assert verdict(of, forged({"alg": "HS256"}, {})) == Match(0)
    assert verdict(of, saying()) == Match(0)
    for wrong in (None, "", "0" * 64):
        assert verdict(of, saying(body=wrong)) is Refusal.CLAIM_MISMATCH
    assert verdict(scheme(), forged({"alg": "HS256"}, {})) is Refusal.CLAIM_MISMATCH


def replace_optional(claim: Claim) -> Claim:
    return claim._replace(optional=True)


@pytest.mark.parametrize("function", ["base64", "base64url"])
def test_a_digest_in_base64_is_compared_without_its_padding(function: str) -> None:
    of = scheme(claims=(Claim("body", compile_template(f"{{body | sha256 | {function}}}")),))
    raw = hashlib.sha256(BODY).digest()
    text = base64.b64encode(raw) if function == "base64" else base64.urlsafe_b64encode(raw)
    for spelled in (text, text.rstrip(b"=")):
        assert verdict(of, saying(body=spelled.decode())) == Match(0)
    assert verdict(of, saying(body=text[:-2].decode())) is Refusal.CLAIM_MISMATCH
    assert verdict(of, saying(body="=")) is Refusal.CLAIM_MISMATCH


def test_a_claim_of_nothing_is_never_met() -> None:
    of = scheme(claims=(Claim("sub", compile_template("{header.x-sub}")),))
    nothings: list[Any] = ["", None, {}, [], [None]]
    for nothing in nothings:
        incoming = forged({"alg": "HS256"}, {"sub": nothing})
        empty = replace(incoming, headers=incoming.headers.with_(b"x-sub", b""))
        assert verdict(of, empty) is Refusal.CLAIM_MISMATCH


def test_padding_counts_everywhere_else() -> None:
    assert (
        verdict(scheme(), saying(body=hashlib.sha256(BODY).hexdigest() + "=")) is Refusal.CLAIM_MISMATCH
    )


@pytest.mark.parametrize(
    ("claims", "leeway", "expected"),
    [
        ({"exp": NOW + 1}, 0, None),
        ({"exp": NOW}, 0, Refusal.STALE_TIMESTAMP),
        ({"exp": NOW - 9}, 10, None),
        ({"exp": NOW - 10}, 10, Refusal.STALE_TIMESTAMP),
        ({"exp": 0}, 0, Refusal.STALE_TIMESTAMP),
        ({"nbf": NOW}, 0, None),
        ({"nbf": NOW + 1}, 0, Refusal.FUTURE_TIMESTAMP),
        ({"nbf": NOW + 1}, 1, None),
        ({"iat": NOW + 1}, 0, Refusal.FUTURE_TIMESTAMP),
        ({"iat": 0}, 0, None),
    ],
)
def test_a_token_has_its_time(claims: dict[str, Any], leeway: float, expected: Refusal | None) -> None:
    assert verdict(scheme(leeway=leeway), saying(**claims)) == (expected or Match(0))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [None, "1700000001", True, -1, 1e300, 10**400, [], {}], ids=range(8))
def test_a_time_is_a_number_of_seconds(name: str, value: Any) -> None:
    assert verdict(scheme(), saying(**{name: value})) is Refusal.MALFORMED_TIMESTAMP


def test_a_token_must_not_be_older_than_it_may() -> None:
    of = scheme(max_age=300, leeway=60)
    assert verdict(of, saying(iat=NOW - 300)) == Match(0)
    assert verdict(of, saying(iat=NOW - 301)) is Refusal.STALE_TIMESTAMP
    assert verdict(of, saying(iat=NOW + 61)) is Refusal.FUTURE_TIMESTAMP
    assert verdict(of, saying()) is Refusal.MISSING_TIMESTAMP


def test_time_is_told_to_the_genuine_sender_only() -> None:
    stale = saying(exp=1)
    assert verdict(scheme(), stale) is Refusal.STALE_TIMESTAMP
    assert verdict(scheme(), stale, b"another-secret") is Refusal.SIGNATURE_MISMATCH
    assert verdict(scheme(), replace(stale, body=b"")) is Refusal.CLAIM_MISMATCH


# What it looks like


@pytest.mark.parametrize(
    "text",
    [
        b".",
        b"..",
        b"a.b.c",
        b"....",
        part({"alg": "HS256"}),
        part({"alg": "HS256"}) + b"." + part({}),
        part({"alg": "HS256"}) + b"." + part({}) + b".",
        part({"alg": "HS256"}) + b"." + part({}) + b".====",
        part(["HS256"]) + b"." + part({}) + b"." + part(b"x"),
        part(b'{"alg":"none","alg":"HS256"}') + b"." + part({}) + b"." + part(b"x"),
        part(b'{"alg":"HS256","x":NaN}') + b"." + part({}) + b"." + part(b"x"),
        part('{"alg":"HS256"}'.encode("utf-16")) + b"." + part({}) + b"." + part(b"x"),
        part({"alg": "HS256", "crit": ["b64"], "b64": False}) + b"." + part({}) + b"." + part(b"x"),
        part(b"[" * 9000) + b"." + part({}) + b"." + part(b"x"),
        part({"alg": "HS256"}) + b"." + part({}) + b"." + b"A" * 16384,
    ],
)
def test_refuses_what_is_no_token(text: bytes) -> None:
    assert verdict(scheme(), request((b"x-token", text))) is Refusal.MALFORMED_SIGNATURE


@pytest.mark.parametrize(
    "claims", [[], "x", b'{"a":1,"a":2}', b"{", b"\xff", b"[" * 5000, b'{"a":-Infinity}']
)
def test_refuses_claims_that_two_readers_would_read_differently(claims: Any) -> None:
    assert verdict(scheme(), forged({"alg": "HS256"}, claims)) is Refusal.MALFORMED_SIGNATURE


def test_a_token_has_one_spelling() -> None:
    good = token(signed(scheme()))
    head, _, rest = good.partition(b".")
    for text in (good + b"=", good + b".", b" " + good, good + b"\n", head + b"=." + rest, b"." + good):
        assert verdict(scheme(), request((b"x-token", text))) is Refusal.MALFORMED_SIGNATURE
    assert verdict(scheme(), request()) is Refusal.MISSING_SIGNATURE
    twice = request((b"x-token", good), (b"x-token", good))
    assert verdict(scheme(), twice) is Refusal.DUPLICATED_SIGNATURE


def test_a_token_stands_behind_its_prefix_or_in_the_query() -> None:
    prefixed = scheme(prefix=b"Bearer ")
    good = signed(prefixed)
    assert token(good).startswith(b"Bearer ")
    assert verdict(prefixed, good) == Match(0)
    assert verdict(prefixed, signed(scheme())) is Refusal.MALFORMED_SIGNATURE
    of = replace(scheme(), place=Reference("query", "the token"))
    assert verdict(of, signed(of)) == Match(0)
    with pytest.raises(ValueError, match="json"):
        signed(replace(scheme(), place=Reference("json", "token")))


def test_nothing_is_signed_when_a_part_is_missing() -> None:
    claim = Claim("sub", compile_template("{header.x-sub}"))
    with pytest.raises(ValueError, match="x-sub"):
        signed(scheme(claims=(claim,)))
    assert verdict(scheme(claims=(replace_optional(claim),)), signed(scheme())) == Match(0)


def test_reads_a_header_before_it_is_proven() -> None:
    of = scheme()
    assert of.unverified_header(Fields(forged({"alg": "ES256", "kid": "k1"}))) == {
        "alg": "ES256",
        "kid": "k1",
    }
    assert of.unverified_claims(Fields(saying(jti="1"))) == {
        "body": hashlib.sha256(BODY).hexdigest(),
        "jti": "1",
    }
    for text in (b"", b"a.b.c", b"junk"):
        assert of.unverified_header(Fields(request((b"x-token", text)))) is None
        assert of.unverified_claims(Fields(request((b"x-token", text)))) is None


def test_decodes_its_secret_as_the_provider_writes_it() -> None:
    of = scheme(key=KeyFormat("base64"))
    assert verdict(of, saying(), base64.b64encode(SECRET)) == Match(0)
    with pytest.raises(SecretError):
        of.load_key(b"%%%")


PIECES = [part({"alg": "HS256"}), part({"alg": "none"}), part({"alg": "ES256", "kid": "1"}), part({})]
PIECES += [b".", b"..", b"=", part(b"x" * 32), part(b"x" * 64), b"\xff", b"A" * 4000, part(b"[" * 3000)]
texts = st.one_of(st.binary(max_size=80), st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join))


@given(texts, st.floats(-1e12, 1e15))
@example(b"Bearer ", NOW)
def test_any_bytes_are_judged_and_never_believed(text: bytes, now: float) -> None:
    of = scheme("HS256", "ES256", "EdDSA", "RS256", claims=())
    keys = [of.load_key(SECRET), of.load_key(secret("ES256")), of.load_key(secret("EdDSA"))]
    fields = Fields(request((b"x-token", text)))
    assert isinstance(of.verify(fields, keys, now), Refusal)
    of.unverified_header(fields)
    of.unverified_claims(fields)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position: int, change: int) -> None:
    of = scheme()
    text = bytearray(token(signed(of)))
    text[position % len(text)] ^= change
    assert isinstance(verdict(of, request((b"x-token", bytes(text)))), Refusal)
