"""Keys and certificates read out of what a key source answered."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt.algorithms
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.key_request import KeyRequest
from gateway.core.key_source import KeyForm
from gateway.crypto.fetched import is_answer, read_keys
from gateway.crypto.public_key import public_key_algorithm

NOW = 1_700_000_000.0
RSA_KEY = rsa.generate_private_key(65537, 2048)
P256_KEY = ec.generate_private_key(ec.SECP256R1())
P384_KEY = ec.generate_private_key(ec.SECP384R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
FORMS: tuple[KeyForm, ...] = ("certificate", "jwks", "jwk", "pem", "text")


def asked(form: KeyForm, **given: Any) -> KeyRequest:
    return KeyRequest("me", "https://k.example.com/", form, "k.example.com", **given)


def pem_of(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def jwk_of(key: Any, **more: object) -> dict[str, Any]:
    algorithm: Any = {
        "RSAPrivateKey": jwt.algorithms.RSAAlgorithm,
        "ECPrivateKey": jwt.algorithms.ECAlgorithm,
        "Ed25519PrivateKey": jwt.algorithms.OKPAlgorithm,
    }[type(key).__name__.lstrip("_")]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **more}


def certificate(
    name: str = "sns.amazonaws.com", *others: str, days: tuple[int, int] = (-1, 1)
) -> bytes:
    """Its own issuer; valid from and to so many days around NOW."""
    moment = datetime.fromtimestamp(NOW, UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(each) for each in others or (name,)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(RSA_KEY.public_key())
        .serial_number(1)
        .not_valid_before(moment + timedelta(days=days[0]))
        .not_valid_after(moment + timedelta(days=days[1]))
        .add_extension(names, critical=False)
        .sign(RSA_KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "key", [RSA_KEY, P256_KEY, P384_KEY, ED_KEY], ids=["rsa", "p-256", "p-384", "ed25519"]
)
def test_a_jwk_becomes_the_same_key_in_pem(key: Any) -> None:
    assert read_keys(asked("jwk"), json.dumps(jwk_of(key)).encode(), NOW) == (pem_of(key),)


@pytest.mark.parametrize("algorithm", ["rsa-pkcs1v15-sha256", "ecdsa-p256-sha1", "ed25519"])
def test_every_form_of_a_key_verifies_what_its_other_half_has_signed(algorithm: str) -> None:
    key: Any = {"rsa": RSA_KEY, "ecd": P256_KEY, "ed2": ED_KEY}[algorithm[:3]]
    verifier = public_key_algorithm(algorithm)
    signature = verifier.sign(key, [b"a", b"b"])
    jwk = json.dumps(jwk_of(key)).encode()
    found = [*read_keys(asked("jwk"), jwk, NOW), *read_keys(asked("pem"), pem_of(key), NOW)]
    if key is RSA_KEY:
        found += read_keys(asked("certificate"), certificate(), NOW)
    for each in found:
        assert verifier.matches(verifier.load_key(each), [b"a", b"b"], [signature])


def test_a_set_gives_the_key_of_the_id_or_every_key() -> None:
    keys = [
        jwk_of(ED_KEY, kid="a"),
        jwk_of(P256_KEY, kid="b"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "c"},
    ]
    body = json.dumps({"keys": keys}).encode()
    assert read_keys(asked("jwks", key_id="b"), body, NOW) == (pem_of(P256_KEY),)
    assert read_keys(asked("jwks"), body, NOW) == (pem_of(ED_KEY), pem_of(P256_KEY))
    for none in ("c", "d"):
        assert read_keys(asked("jwks", key_id=none), body, NOW) == ()


def test_a_key_that_is_not_for_signatures_private_short_or_ended_is_none() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    p521 = ec.generate_private_key(ec.SECP521R1())
    unfit = [
        jwk_of(RSA_KEY, use="enc"),
        jwk_of(RSA_KEY, d="AQAB"),
        jwk_of(weak),
        jwk_of(p521),
        jwk_of(P256_KEY, crv="Ed25519", kty="OKP", x="AA"),
        jwk_of(P256_KEY, y=jwk_of(P256_KEY)["x"]),
        jwk_of(P256_KEY, expired_at=int(NOW)),
    ]
    for jwk in unfit:
        assert read_keys(asked("jwk"), json.dumps(jwk).encode(), NOW) == ()


def test_plaids_answer_is_read_by_path_and_only_for_the_id_that_was_asked() -> None:
    body = json.dumps({"key": jwk_of(P256_KEY, kid="k1", expired_at=None)}).encode()
    assert read_keys(asked("jwk", value="key", key_id="k1"), body, NOW) == (pem_of(P256_KEY),)
    assert read_keys(asked("jwk", value="key", key_id="k2"), body, NOW) == ()


def test_ebays_key_is_read_although_its_line_breaks_are_gone() -> None:
    body = json.dumps(
        {"algorithm": "ECDSA", "key": pem_of(P256_KEY).decode().replace("\n", "")}
    ).encode()
    assert read_keys(asked("pem", value="key"), body, NOW) == (pem_of(P256_KEY),)


def test_a_text_is_taken_as_it_is() -> None:
    assert read_keys(asked("text", value="signing_key"), b'{"signing_key": "s3 cret"}', NOW) == (
        b"s3 cret",
    )
    assert read_keys(asked("text"), b" s3cret\n", NOW) == (b"s3cret",)
    assert read_keys(asked("text", value="signing_key"), b'{"signing_key": ""}', NOW) == ()


def test_a_certificate_is_its_first_one_while_it_is_valid() -> None:
    first, second = certificate(), certificate("ca.example.com")
    sns = asked("certificate", subject=r"sns\.amazonaws\.com")
    assert read_keys(sns, first + second, NOW) == (first,)
    for days in ((1, 2), (-2, -1)):
        assert read_keys(sns, certificate(days=days), NOW) == ()


def test_a_certificate_of_somebody_else_is_none() -> None:
    sns = asked("certificate", subject=r"sns\.amazonaws\.com")
    assert read_keys(sns, certificate("evil.example"), NOW) == ()
    assert read_keys(sns, certificate("sns.amazonaws.com.evil.example"), NOW) == ()
    assert read_keys(sns, certificate("AWS", "SNS.amazonaws.com"), NOW) != ()
    assert read_keys(asked("certificate"), certificate("evil.example"), NOW) != ()


@pytest.mark.parametrize("form", FORMS)
@given(
    body=st.one_of(st.binary(max_size=200), st.sampled_from([b"{}", b"[]", b'{"keys": [1]}', b"null"]))
)
def test_whatever_the_answer_is_it_is_read_without_raising(form: KeyForm, body: bytes) -> None:
    for key_id, value in (("", ""), ("a", "key"), ("a", "keys.0")):
        request = asked(form, key_id=key_id, value=value)
        is_answer(request, body)
        keys = read_keys(request, body, NOW)
        assert form == "text" or keys == ()


@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "use", "kid"]), st.text(max_size=8)
    )
)
def test_whatever_a_jwk_says_it_is_read_without_raising(noise: dict[str, str]) -> None:
    for key in (RSA_KEY, P256_KEY, ED_KEY):
        read_keys(asked("jwk"), json.dumps({**jwk_of(key), **noise}).encode(), NOW)


def test_damaged_certificates_are_none() -> None:
    pem = certificate()
    der = bytearray(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    for place in range(0, len(der), 41):
        damaged = bytes(der[:place]) + b"\xff" + bytes(der[place + 1 :])
        text = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----" % base64.b64encode(damaged)
        read_keys(asked("certificate", subject="x"), text, NOW)


def test_a_page_is_no_answer() -> None:
    for form in ("certificate", "jwks", "jwk", "pem"):
        assert not is_answer(asked(form), b"<html>sorry</html>")
    assert is_answer(asked("jwks"), b'{"keys": []}')
    assert is_answer(asked("certificate"), certificate())
    assert not is_answer(asked("text", value="access_token"), b'{"error": "no"}')
