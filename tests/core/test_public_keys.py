"""Public-key algorithms: keys in every form, published signatures, and other libraries as oracles."""

import base64
import builtins
import datetime
from functools import cache
from typing import Any

import nacl.signing
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.verification import SecretError
from gateway.crypto import ExtraMissing
from gateway.crypto.public_key import PUBLIC_KEY_ALGORITHMS, public_key_algorithm

NAMES = sorted(PUBLIC_KEY_ALGORITHMS)
MESSAGE = [b"1700000000.", b'{"id": "evt_1"}']


@cache
def private_key(family: str) -> Any:
    match family:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        case "p256":
            return ec.derive_private_key(1234567, ec.SECP256R1())
        case "p384":
            return ec.derive_private_key(1234567, ec.SECP384R1())
    return rsa.generate_private_key(65537, 2048)


@cache
def other_key(family: str) -> Any:
    match family:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
        case "p256" | "p384":
            return ec.derive_private_key(7654321, private_key(family).curve)
    return rsa.generate_private_key(65537, 1024)


def pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def der(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def private_pem(key: Any, encoding: Encoding = Encoding.PEM) -> bytes:
    return bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def certificate(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sender.example")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(1))
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest)


# Signing and matching


@pytest.mark.parametrize("name", NAMES)
def test_accepts_what_the_private_key_signed_and_nothing_else(name: str) -> None:
    algorithm = public_key_algorithm(name)
    signer = private_key(algorithm.family)
    key, stranger = (
        algorithm.load_key(pem(signer)),
        algorithm.load_key(pem(other_key(algorithm.family))),
    )
    proof = algorithm.sign(signer, MESSAGE)
    assert algorithm.matches(key, MESSAGE, [proof])
    assert algorithm.matches(key, [b"".join(MESSAGE)], [b"junk", proof])
    assert not algorithm.matches(key, [*MESSAGE, b" "], [proof])
    assert not algorithm.matches(key, [], [proof])
    assert not algorithm.matches(stranger, MESSAGE, [proof])
    assert not algorithm.matches(key, MESSAGE, [])


@pytest.mark.parametrize("name", NAMES)
def test_an_algorithm_believes_no_signature_of_another_one(name: str) -> None:
    algorithm = public_key_algorithm(name)
    signer = private_key(algorithm.family)
    key = algorithm.load_key(pem(signer))
    for other in set(NAMES) - {name}:
        proof = PUBLIC_KEY_ALGORITHMS[other].sign(
            private_key(PUBLIC_KEY_ALGORITHMS[other].family), MESSAGE
        )
        assert not algorithm.matches(key, MESSAGE, [proof])


@pytest.mark.parametrize("name", NAMES)
@given(junk=st.lists(st.binary(max_size=300), max_size=4), flip=st.integers(0, 8 * 256))
@example(
    junk=[b"", bytes(64), bytes(96), bytes(256), b"\xff" * 64, b"0\x06\x02\x01\x00\x02\x01\x00"], flip=0
)
def test_any_bytes_are_no_signature(name: str, junk: list[bytes], flip: int) -> None:
    algorithm = public_key_algorithm(name)
    key, proof = loaded_and_proof(name)
    changed = bytearray(proof)
    changed[flip // 8 % len(proof)] ^= 1 << flip % 8
    cut = [proof[:-1], proof + b"\0", b"\0" + proof, proof + proof]
    assert not algorithm.matches(key, MESSAGE, [*junk, bytes(changed), *cut])


@cache
def loaded_and_proof(name: str) -> tuple[Any, bytes]:
    algorithm = public_key_algorithm(name)
    signer = private_key(algorithm.family)
    return algorithm.load_key(pem(signer)), algorithm.sign(signer, MESSAGE)


# Keys


@pytest.mark.parametrize("name", NAMES)
def test_reads_a_public_key_in_every_form(name: str) -> None:
    algorithm = public_key_algorithm(name)
    signer = private_key(algorithm.family)
    proof = algorithm.sign(signer, MESSAGE)
    forms = [pem(signer), b"\n" + pem(signer) + b"\n", pem(signer).replace(b"\n", b"\\n"), der(signer)]
    forms += [certificate(signer).public_bytes(each) for each in (Encoding.PEM, Encoding.DER)]
    public = signer.public_key()
    if algorithm.family == "ed25519":
        forms.append(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    elif algorithm.family == "rsa":
        forms.append(public.public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    else:
        forms.append(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
        forms.append(public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
    for form in forms:
        assert algorithm.matches(algorithm.load_key(form), MESSAGE, [proof])


@pytest.mark.parametrize("name", NAMES)
def test_refuses_a_key_of_another_kind_and_says_what_it_expects(name: str) -> None:
    algorithm = public_key_algorithm(name)
    for family in {"ed25519", "p256", "p384", "rsa"} - {algorithm.family}:
        for form in (pem(private_key(family)), der(private_key(family))):
            with pytest.raises(SecretError, match=r"expected an? \w+") as error:
                algorithm.load_key(form)
            assert form.decode("latin-1")[40:60] not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_refuses_a_private_key_and_asks_for_the_public_one(name: str, encoding: Encoding) -> None:
    algorithm = public_key_algorithm(name)
    with pytest.raises(SecretError, match="private key: give the public one"):
        algorithm.load_key(private_pem(private_key(algorithm.family), encoding))


def test_refuses_an_rsa_key_that_is_too_small() -> None:
    # 768 bits, made once: the library makes none that small.
    numbers = rsa.RSAPublicNumbers(65537, (1 << 767) + 1)
    try:
        small = numbers.public_key()
    except ValueError:
        pytest.skip("this version of the library reads no RSA key that small")
    text = small.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SecretError, match="768 bits"):
        public_key_algorithm("rsa-pkcs1v15-sha256").load_key(text)


@pytest.mark.parametrize("name", NAMES)
@given(secret=st.binary(max_size=200))
@example(b"")
@example(b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----")
@example(b"-----BEGIN CERTIFICATE-----")
@example(b"\x04" + bytes(64))
@example(b"0\x03\x02\x01\x00")
def test_a_key_loads_or_is_refused_without_being_shown(name: str, secret: bytes) -> None:
    complaint = complaint_about(name, secret)
    assert len(secret) < 20 or secret.decode("latin-1") not in complaint


def complaint_about(name: str, secret: bytes) -> str:
    try:
        public_key_algorithm(name).load_key(secret)
    except SecretError as error:
        return f"{error} {error.__cause__ or ''}"
    return ""


def test_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissing, match=r"pip install 'hookline\[public-keys\]'"):
        public_key_algorithm("ed25519")


# Oracles and published signatures


@given(st.binary(max_size=200))
def test_agrees_with_libsodium_about_ed25519(message: bytes) -> None:
    algorithm = public_key_algorithm("ed25519")
    theirs = nacl.signing.SigningKey(bytes(range(32)))
    key = algorithm.load_key(bytes(theirs.verify_key))
    assert algorithm.matches(key, [message], [theirs.sign(message).signature])
    ours = algorithm.sign(private_key("ed25519"), [message])
    assert theirs.verify_key.verify(message, ours) == message


SENDGRID_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":'
    b'"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":'
    b'"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":'
    b'"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNN"
    "RaINXvVpiglSI8eNEc6wEA3F+g=="
)
OTHER_SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo7aND"
    "thvj+y7GjUuFDb/R1NGe1OPzpA=="
)
SENDGRID_PROOF = (
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
)
OTHER_SENDGRID_PROOF = (
    "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH3j/0="
)
EBAY_BODY = (
    b'{"metadata":{"topic":"MARKETPLACE_ACCOUNT_DELETION","schemaVersion":"1.0","deprecated":false},'
    b'"notification":{"notificationId":"49feeaeb-4982-42d9-a377-9645b8479411_33f7e043-fed8-442b-9d44-'
    b'791923bd9a6d","eventDate":"2021-03-19T20:43:59.462Z","publishDate":"2021-03-19T20:43:59.679Z",'
    b'"publishAttemptCount":1,"data":{"username":"test_user","userId":"ma8vp1jySJC","eiasToken":'
    b'"nY+sHZ2PrBmdj6wVnY+sEZ2PrA2dj6wJnY+gAZGEpwmdj6x9nY+seQ=="}}}'
)
EBAY_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZhhxXKtR+TOvtDbgTPCkSof02qgBB7IsYOyf76ilExJ/upAa/vKIKheOoCyO"
    "pcLmi4t0b4uepb7LLjmMr90FUg=="
)
EBAY_PROOF = (
    "MEYCIQCfxfIWuxmWcIBQJ9c5/X7iGDJqs2RCGsBEaAjinyrrfAIhAIV6wGcTiBuV5KJUif2hokyrL+Q9ssHkad+mx2nEE25w"
)
PUBLISHED = [
    (
        "standard-webhooks",
        "ed25519",
        "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}',
        "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        True,
    ),
    (
        "sendgrid",
        "ecdsa-p256-sha256",
        SENDGRID_KEY,
        b"1600112502" + SENDGRID_BODY,
        SENDGRID_PROOF,
        True,
    ),
    (
        "sendgrid: another key",
        "ecdsa-p256-sha256",
        OTHER_SENDGRID_KEY,
        b"1600112502" + SENDGRID_BODY,
        SENDGRID_PROOF,
        False,
    ),
    (
        "sendgrid: another signature",
        "ecdsa-p256-sha256",
        SENDGRID_KEY,
        b"1600112502" + SENDGRID_BODY,
        OTHER_SENDGRID_PROOF,
        False,
    ),
    ("ebay", "ecdsa-p256-sha1", EBAY_KEY, EBAY_BODY, EBAY_PROOF, True),
    ("ebay: another digest", "ecdsa-p256-sha256", EBAY_KEY, EBAY_BODY, EBAY_PROOF, False),
]


@pytest.mark.parametrize(
    ("name", "key", "message", "proof", "valid"),
    [each[1:] for each in PUBLISHED],
    ids=[each[0] for each in PUBLISHED],
)
def test_judges_published_signatures_as_their_publishers_do(
    name: str, key: str, message: bytes, proof: str, valid: bool
) -> None:
    algorithm = public_key_algorithm(name)
    loaded = algorithm.load_key(base64.b64decode(key))
    assert algorithm.matches(loaded, [message], [base64.b64decode(proof)]) is valid
    assert not algorithm.matches(loaded, [message + b" "], [base64.b64decode(proof)])


def test_judges_a_signature_as_discord_makes_them() -> None:
    algorithm = public_key_algorithm("ed25519")
    key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    proof = bytes.fromhex(
        "af6d59ebbd4297ec7f0492bf3fa23dae15da49f6604e030b6ccfb8c0dc1fb8a8"
        "6aed2647c59a6db59e941e999599e4e1deb02ff0107fd14db824c7c981c4d906"
    )
    assert algorithm.sign(private_key("ed25519"), [b"1614265330", b'{"type":1}']) == proof
    assert algorithm.matches(
        algorithm.load_key(bytes.fromhex(key)), [b"1614265330", b'{"type":1}'], [proof]
    )


@pytest.mark.parametrize("end", [b"", b" ", b"\\n", b"\r\n"])
def test_a_pem_whose_line_ends_were_lost_is_read_all_the_same(end: bytes) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    algorithm = public_key_algorithm("ecdsa-p256-sha256")
    loaded = algorithm.load_key(end.join(pem.strip().split(b"\n")))
    assert algorithm.matches(loaded, [b"content"], [algorithm.sign(key, [b"content"])])
    bare = b"".join(pem.strip().split(b"\n")[1:-1])
    assert algorithm.matches(
        algorithm.load_key(bare), [b"content"], [algorithm.sign(key, [b"content"])]
    )
