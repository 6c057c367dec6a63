"""HTTP message signatures: the RFC's examples, what must be covered, and what proves nothing."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.components import signature_base
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.message_signature import RFC_ALGORITHMS, MessageSignatureScheme
from gateway.core.schemes.structured import byte_sequences, inner_lists
from gateway.core.verification import Match, SecretError
from gateway.crypto.public_key import public_key_algorithm

SIGNED_AT = 1618884473  # when the RFC's examples were signed
NOW = float(SIGNED_AT)
SECRET = b"a-shared-secret-of-some-length"
URL = "https://example.com/foo"
# RFC 9421, appendices B.1.4 and B.1.5
SHARED = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
ED25519 = base64.urlsafe_b64decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs=")


def request(*headers: tuple[bytes, bytes], url: str = URL) -> InboundRequest:
    """The RFC's test request, with the signature's headers."""
    digest = b"WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew=="
    pairs = [
        (b"Host", b"example.com"),
        (b"Date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
        (b"Content-Type", b"application/json"),
        (b"Content-Digest", b"sha-512=:" + digest + b":"),
        (b"Content-Length", b"18"),
        *headers,
    ]
    query, body = b"param=Value&Pet=dog", b'{"hello": "world"}'
    return InboundRequest("POST", "/foo", query, Headers.of(pairs), body, None, NOW, url)


def scheme(name: str = "hmac-sha256", **options: Any) -> MessageSignatureScheme:
    ours = RFC_ALGORITHMS[name]
    algorithm = ALGORITHMS.get(ours) or public_key_algorithm(ours)
    return MessageSignatureScheme(algorithm, name, **options)


def signed(of: MessageSignatureScheme, now: float = NOW, **options: Any) -> InboundRequest:
    return of.sign(request(**options), of.load_key(SECRET), now)


def verdict(of: MessageSignatureScheme, incoming: InboundRequest, now: float = NOW) -> Match | Refusal:
    return of.verify(Fields(incoming), [of.load_key(SECRET)], now)


def covering(components: str, params: str = f";created={SIGNED_AT}", url: str = URL) -> InboundRequest:
    """Genuinely signed with SECRET, whatever it covers."""
    text = f"({components}){params}".encode()
    covered = (inner_lists(b"a=" + text) or {})[b"a"]
    incoming = request(url=url)
    base = signature_base(incoming, covered)
    hmac = ALGORITHMS["hmac-sha256"]
    proof = base64.b64encode(hmac.sign(hmac.load_key(SECRET), [base or b""]))
    return request((b"Signature-Input", b"a=" + text), (b"Signature", b"a=:" + proof + b":"), url=url)


def base_of(components: str, incoming: InboundRequest) -> list[str] | None:
    base = signature_base(incoming, (inner_lists(f"a=({components})".encode()) or {})[b"a"])
    return base.decode().split("\n")[:-1] if base is not None else None


# Published


B25 = (
    b'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    b"sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
)
B26 = (
    b'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    b';created=1618884473;keyid="test-key-ed25519"',
    b"sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
)


@pytest.mark.parametrize("url", [URL, ""])
def test_accepts_the_rfcs_examples(url: str) -> None:
    for name, (covered, proof), secret in (
        ("hmac-sha256", B25, base64.b64decode(SHARED)),
        ("ed25519", B26, ED25519),
    ):
        of = scheme(name, required=("date",))
        keys = [of.load_key(secret)]
        good = request((b"Signature-Input", covered), (b"Signature", proof), url=url)
        assert of.verify(Fields(good), keys, NOW) == Match(0)
        other = replace(good, headers=good.headers.with_(b"date", b"Tue, 20 Apr 2021 02:07:56 GMT"))
        assert of.verify(Fields(other), keys, NOW) is Refusal.SIGNATURE_MISMATCH
        whole = scheme(name)  # the examples leave the body out
        assert whole.verify(Fields(good), keys, NOW) is Refusal.MISSING_SIGNED_PART


@pytest.mark.parametrize(
    ("components", "lines"),
    [
        ('"@method"', ['"@method": POST']),
        ('"@target-uri"', ['"@target-uri": https://example.com/foo?param=Value&Pet=dog']),
        ('"@authority"', ['"@authority": example.com']),
        ('"@scheme"', ['"@scheme": https']),
        ('"@request-target"', ['"@request-target": /foo?param=Value&Pet=dog']),
        ('"@path" "@query"', ['"@path": /foo', '"@query": ?param=Value&Pet=dog']),
        ('"@query-param";name="Pet"', ['"@query-param";name="Pet": dog']),
        ('"@query-param";name="pet"', None),
        ('"@query-param"', None),
        ('"@query-param";name=Pet', None),
        ('"@method";req', None),
        ('"@status"', None),
        ('"@signature-params"', None),
        ('"Date"', None),
        ('"x-absent"', None),
        ('"content-digest";sf', None),
        ('""', None),
    ],
)
def test_knows_the_components_of_a_request(components: str, lines: list[str] | None) -> None:
    assert base_of(components, request()) == lines


def test_the_url_is_the_configured_one_and_the_callers_only_when_there_is_none() -> None:
    names = '"@authority" "@path" "@request-target"'
    moved = request(url="HTTPS://Hooks.Example:443/in/x")
    assert base_of(names, moved) == [
        '"@authority": hooks.example',
        '"@path": /in/x',
        '"@request-target": /in/x?param=Value&Pet=dog',
    ]
    assert base_of('"@authority"', request(url="http://a:8080/")) == ['"@authority": a:8080']
    assert base_of('"@path"', request(url="http://a")) == ['"@path": /']
    assert base_of('"@authority" "@path"', request(url="")) == [
        '"@authority": example.com',
        '"@path": /foo',
    ]
    assert base_of('"@scheme"', request(url="")) is None
    assert base_of('"@target-uri"', request(url="")) is None


def test_a_query_value_is_encoded_again_as_the_rfc_has_it() -> None:
    incoming = replace(
        request(), query=b"var=this%20is+a%20big~%0Avalue&fa%C3%A7ade=something&a=1&a=2&b"
    )
    assert base_of('"@query-param";name="var"', incoming) == [
        '"@query-param";name="var": this%20is%20a%20big%7E%0Avalue'
    ]
    named = '"@query-param";name="fa%C3%A7ade"'
    assert base_of(named, incoming) == [f"{named}: something"]
    assert base_of('"@query-param";name="b"', incoming) == ['"@query-param";name="b": ']
    assert base_of('"@query-param";name="a"', incoming) is None  # which of the two?


def test_a_repeated_field_is_signed_as_one_list() -> None:
    incoming = request((b"X-A", b" 1 "), (b"X-B", b""), (b"x-a", b"2"))
    assert base_of('"x-a" "x-b"', incoming) == ['"x-a": 1, 2', '"x-b": ']
    assert base_of('"x-a"', request((b"x-a", b'1\n"@method": GET'))) is None


# What is covered


def private_key(name: str) -> Any:
    match name.partition("-")[0], name:
        case "hmac", _:
            return None
        case "ed25519", _:
            return ed25519.Ed25519PrivateKey.generate()
        case "ecdsa", "ecdsa-p256-sha256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ecdsa", _:
            return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("name", RFC_ALGORITHMS)
def test_accepts_what_it_signed_and_nothing_changed_after(name: str) -> None:
    of = scheme(name, required=("content-digest", "@method", "@target-uri"))
    private = private_key(name)
    secret = SECRET
    if private:
        public = private.public_key()
        secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = of.load_key(secret)
    good = of.sign(request(), private or key, NOW)

    def judged(incoming: InboundRequest, now: float = NOW) -> Match | Refusal:
        return of.verify(Fields(incoming), [key], now)

    assert judged(good) == Match(0)
    assert judged(replace(good, body=b"{}")) is Refusal.CLAIM_MISMATCH
    changes: list[Any] = [{"method": "PUT"}, {"query": b"a=1"}, {"url": "https://example.org/foo"}]
    for changed in changes:
        assert judged(replace(good, **changed)) is Refusal.SIGNATURE_MISMATCH
    digest = b"sha-256=:" + base64.b64encode(hashlib.sha256(b"{}").digest()) + b":"
    both = replace(good, body=b"{}", headers=good.headers.with_(b"content-digest", digest))
    assert judged(both) is Refusal.SIGNATURE_MISMATCH
    assert judged(good, NOW + 301) is Refusal.STALE_TIMESTAMP


def test_a_body_that_is_not_covered_proves_nothing() -> None:
    assert verdict(scheme(), covering('"content-digest"')) == Match(0)
    for names in (
        "",
        '"date"',
        '"content-digest";sf',
        '"content-digest";req',
        '"content-length" "date"',
    ):
        assert verdict(scheme(), covering(names)) is Refusal.MISSING_SIGNED_PART
    of = scheme(required=("content-digest", "@method"))
    assert verdict(of, covering('"content-digest"')) is Refusal.MISSING_SIGNED_PART


SHA256 = base64.b64encode(hashlib.sha256(b'{"hello": "world"}').digest()).decode()
SHA512 = base64.b64encode(hashlib.sha512(b'{"hello": "world"}').digest()).decode()
WRONG = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("digest", "accepted"),
    [
        (f"sha-256=:{SHA256}:", True),
        (f"sha-256=:{SHA256}:, sha-512=:{SHA512}:", True),
        (f"md5=:AAAA:,\tsha-512=:{SHA512}:", True),
        (f"sha-256=:{SHA256}:, sha-512=:{WRONG}:", False),
        (f"sha-256=:{WRONG}:, sha-512=:{SHA512}:", False),
        (f"sha-256=:{WRONG}:, sha-256=:{SHA256}:", False),
        (f"sha-512=:{SHA256}:", False),
        (f"sha-256={SHA256}", False),
        ("md5=:AAAA:", False),
        ("sha-256=::", False),
        ("", False),
    ],
)
def test_every_known_digest_must_be_the_bodys(digest: str, accepted: bool) -> None:
    of = scheme()
    text = b'("content-digest");created=%d' % SIGNED_AT
    incoming = replace(request(), headers=request().headers.with_(b"content-digest", digest.encode()))
    base = signature_base(incoming, (inner_lists(b"a=" + text) or {})[b"a"]) or b""
    proof = base64.b64encode(of.algorithm.sign(of.load_key(SECRET), [base]))
    headers = incoming.headers.with_(b"signature-input", b"a=" + text)
    incoming = replace(incoming, headers=headers.with_(b"signature", b"a=:" + proof + b":"))
    assert verdict(of, incoming) == (Match(0) if accepted else Refusal.CLAIM_MISMATCH)


# Parameters


@pytest.mark.parametrize(
    ("params", "now", "expected"),
    [
        (";created=1000;nonce=\"a\\\"b\";tag=\"x\"", 1000, Match(0)),
        (";created=1000", 1300, Match(0)),
        (";created=1000", 1301, Refusal.STALE_TIMESTAMP),
        (";created=1000", 699, Refusal.FUTURE_TIMESTAMP),
        (";created=1000;expires=1010", 1010, Match(0)),
        (";created=1000;expires=1010", 1011, Refusal.STALE_TIMESTAMP),
        ("", 1000, Refusal.MISSING_TIMESTAMP),
        (";expires=2000", 1000, Refusal.MISSING_TIMESTAMP),
        (';created="1000"', 1000, Refusal.MALFORMED_TIMESTAMP),
        (";created", 1000, Refusal.MALFORMED_TIMESTAMP),
        (";created=1000;expires=?1", 1000, Refusal.MALFORMED_TIMESTAMP),
        (';created=1000;alg="hmac-sha256"', 1000, Match(0)),
        (';created=1000;alg="ed25519"', 1000, Refusal.ALGORITHM_NOT_ALLOWED),
        (";created=1000;alg=hmac-sha256", 1000, Refusal.ALGORITHM_NOT_ALLOWED),
        (';created=1000;alg=""', 1000, Refusal.ALGORITHM_NOT_ALLOWED),
    ],
)  # fmt: skip
def test_parameters_are_signed_and_judged(params: str, now: float, expected: Match | Refusal) -> None:
    assert verdict(scheme(), covering('"content-digest"', params), now) == expected


def test_time_may_be_left_out_where_the_provider_says_none() -> None:
    of = scheme(tolerance=None)
    assert verdict(of, covering('"content-digest"', "")) == Match(0)
    assert verdict(of, covering('"content-digest"', ";created=1")) == Match(0)
    assert verdict(of, covering('"content-digest"', ";expires=1")) is Refusal.STALE_TIMESTAMP


def test_a_parameter_changed_after_signing_is_noticed() -> None:
    good = covering('"content-digest"', f';created={SIGNED_AT};keyid="a"')
    text = good.headers.one(b"signature-input") or b""
    for changed in (text.replace(b'"a"', b'"b"'), text + b";expires=9999999999", text[:-10]):
        incoming = replace(good, headers=good.headers.with_(b"signature-input", changed))
        assert verdict(scheme(), incoming) is Refusal.SIGNATURE_MISMATCH


def test_spaces_that_a_proxy_put_in_do_no_harm() -> None:
    good = covering('"content-digest" "date"')
    loose = b'  a=(  "content-digest"   "date" );  created=%d ' % SIGNED_AT
    assert verdict(
        scheme(), replace(good, headers=good.headers.with_(b"signature-input", loose))
    ) == Match(0)


# Several signatures


def test_one_signature_that_holds_is_enough() -> None:
    good = covering('"content-digest"')
    inputs, proofs = (good.headers.one(name) or b"" for name in (b"signature-input", b"signature"))
    junk = b":" + base64.b64encode(bytes(32)) + b":"
    both = good.headers.with_(b"signature-input", b'proxy=("date"), ' + inputs)
    incoming = replace(good, headers=both.with_(b"signature", b"proxy=" + junk + b"," + proofs))
    assert verdict(scheme(), incoming) == Match(0)
    forged = replace(good, headers=both.with_(b"signature", b"proxy=" + junk + b",a=" + junk))
    assert verdict(scheme(), forged) is Refusal.SIGNATURE_MISMATCH
    alone = replace(good, headers=both.with_(b"signature", b"proxy=" + junk))
    assert verdict(scheme(), alone) is Refusal.MISSING_SIGNED_PART
    other = replace(good, headers=good.headers.with_(b"signature", b"b=" + junk))
    assert verdict(scheme(), other) is Refusal.MISSING_SIGNATURE


def test_signatures_are_counted() -> None:
    good = covering('"content-digest"')
    inputs, proofs = (good.headers.one(name) or b"" for name in (b"signature-input", b"signature"))
    more = b"".join(b', b%d=("date")' % number for number in range(4))
    crowded = replace(good, headers=good.headers.with_(b"signature-input", inputs + more))
    assert verdict(scheme(), crowded) is Refusal.MALFORMED_SIGNATURE
    twice = request(*[(b"signature-input", inputs)] * 2, (b"signature", proofs))
    assert verdict(scheme(), twice) is Refusal.DUPLICATED_SIGNATURE
    many = " ".join(f'"x-{number}"' for number in range(40))
    assert verdict(scheme(), covering(f'"content-digest" {many}')) is Refusal.MALFORMED_SIGNATURE
    assert (
        verdict(scheme(), covering('"content-digest" "content-digest"')) is Refusal.MALFORMED_SIGNATURE
    )
    assert verdict(scheme(), request()) is Refusal.MISSING_SIGNATURE


def test_every_key_is_tried() -> None:
    of = scheme(key=KeyFormat("base64"))
    keys = [of.load_key(base64.b64encode(text)) for text in (b"another secret", SECRET)]
    assert of.verify(Fields(signed(scheme())), keys, NOW) == Match(1)
    assert of.verify(Fields(signed(scheme())), [], NOW) is Refusal.SIGNATURE_MISMATCH
    with pytest.raises(SecretError):
        of.load_key(b"%%")


def test_nothing_is_signed_when_a_component_is_missing() -> None:
    with pytest.raises(ValueError, match="x-absent"):
        signed(scheme(required=("content-digest", "x-absent")))


# Structured fields


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a",
        b"a=",
        b"a=()x",
        b"a=();",
        b"a=();b=",
        b"a=();b=1;b=1",
        b"a=();b=1.5",
        b"a=();b=1e5",
        b"a=();b=" + b"9" * 16,
        b"a=(),",
        b"a=(),a=()",
        b"A=()",
        b'a=("x"',
        b'a=("x""y")',
        b'a=("x";a;a)',
        b'a=("\\x")',
        b'a=("\xff")',
        b'a=("\n")',
        b"a=(x)",
        b"a=:AA==:",
    ],
)
def test_reads_no_list_of_another_form(text: bytes) -> None:
    assert inner_lists(text) is None


@pytest.mark.parametrize(
    "text", [b"", b"a", b"a=AA", b"a=:AB==:", b"a=:AA:", b"a=:AA==:;x", b"a=::", b"a=()"]
)
def test_reads_no_bytes_of_another_form(text: bytes) -> None:
    assert byte_sequences(text) is None


PIECES = [b"sig1=", b"a=", b"(", b")", b'"content-digest"', b'"@method"', b'"@query-param";name="Pet"']
PIECES += [
    b" ",
    b";",
    b",",
    b"created=1618884473",
    b";alg=",
    b'"ed25519"',
    b'"',
    b"\\",
    b":AAAA:",
    b"\xff",
]
PIECES += [
    b'("content-digest");created=1618884473',
    b":" + b"A" * 88 + b":",
    b"; " * 900,
    b'"x" ' * 900,
]
texts = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join))


@given(texts, texts, texts, st.floats(-1e12, 1e15))
@example(b'a=("content-digest")', b"a=:AAAA:", b"sha-256=::", NOW)
@example(b"a=(" + b'"x" ' * 2000, b"a=:AAAA:", b"", NOW)
def test_any_bytes_are_judged_and_never_believed(
    covered: bytes, proof: bytes, digest: bytes, now: float
) -> None:
    headers = request((b"signature-input", covered), (b"signature", proof)).headers
    for incoming in (
        replace(request(), headers=headers),
        replace(request(url=""), headers=headers.with_(b"content-digest", digest), path="\udcff"),
    ):
        for name, secret in (("hmac-sha256", SECRET), ("ed25519", ED25519)):
            of = scheme(name)
            keys = [of.load_key(secret)]
            assert isinstance(of.verify(Fields(incoming), keys, now), Refusal)


@given(
    st.sampled_from([b"signature-input", b"signature", b"content-digest"]),
    st.integers(0, 200),
    st.binary(max_size=3),
)
def test_a_changed_header_is_noticed(name: bytes, position: int, change: bytes) -> None:
    good = signed(scheme())
    text = good.headers.one(name) or b""
    start = position % len(text)
    changed = text[:start] + change + text[start + 1 :]
    if changed.translate(None, b" \t") != text.translate(None, b" \t"):  # spaces are nobody's
        headers = good.headers.with_(name, changed)
        assert isinstance(verdict(scheme(), replace(good, headers=headers)), Refusal)
