"""`run = "forward"`: what a real receiver gets, and what its answer leads to."""

import asyncio
import datetime
import json
import socket
import ssl
import threading
import time
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.adapters.worker.runner import ABANDON_SECONDS
from gateway.builtin import post
from gateway.builtin.answers import Answer, ForwardFailed, ReceiverBusy, judge, retry_after
from gateway.builtin.forward import webhook_id
from gateway.core.builtin import Forward, Target
from gateway.core.outcomes import AttemptOutcome
from gateway.plugins import Discard, Event, Processor
from gateway.process import outcome_of
from tests.builtin_rig import CANARY, OTHER, SECRET, Receiver, an_event, attempt, processor

NOW = 1_750_000_000.0
WORK = Forward(Target("https", "app.example.com", 443, "/in"))


def table(url: str, *lines: str) -> str:
    return "\n".join(["[[processors]]", 'run = "forward"', f'url = "{url}"', *lines])


def send(given: Processor, *events: Event) -> None:
    """One attempt each, one after the other, over the same connections."""

    async def attempts() -> None:
        (lifespan,) = given.lifespans
        async with lifespan.open() as receiver:  # type: ignore[union-attr]  # an async one
            for event in events:
                await given.function(event, receiver)

    asyncio.run(attempts())


# What is sent


def test_the_standard_library_of_receivers_verifies_what_was_sent(tmp_path: Path) -> None:
    with Receiver() as receiver:
        forward = processor(table(receiver.url + "/in?a=b", 'secret = "env:FORWARD"'), tmp_path)
        send(forward, an_event(b'{"a": "\xc3\xbc"}'))
    (received,) = receiver.received
    assert received.path == "/in?a=b"
    assert Webhook(SECRET).verify(received.body, dict(received.headers)) == {"a": "ü"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(received.body + b" ", dict(received.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(received.body, dict(received.headers))


def test_receivers_that_know_either_of_two_secrets_verify_it(tmp_path: Path) -> None:
    with Receiver() as receiver:
        forward = processor(table(receiver.url, 'secret = ["env:FORWARD", "env:NEXT"]'), tmp_path)
        send(forward, an_event())
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(receiver.received[0].body, dict(receiver.received[0].headers))


def test_each_attempt_has_the_same_id_and_a_time_of_its_own(tmp_path: Path) -> None:
    began = time.time()
    with Receiver() as receiver:
        forward = processor(table(receiver.url), tmp_path)
        send(forward, an_event(attempt=1), an_event(attempt=2))
    ids = {each.headers["webhook-id"] for each in receiver.received}
    assert ids == {"evt_abcdefghijklmnopqrstuvwxyz:github%2Eforward"}
    stamps = [int(each.headers["webhook-timestamp"]) for each in receiver.received]
    assert all(int(began) <= stamp <= time.time() for stamp in stamps)


def test_the_body_goes_on_byte_for_byte_and_of_the_headers_only_what_was_chosen(tmp_path: Path) -> None:
    event = an_event(
        b"\xff\x00 no JSON\r\n",
        headers={"content-type": "text/odd", "x-github-event": "issues", "x-other": CANARY},
    )
    with Receiver() as receiver:
        lines = ('headers = ["X-GitHub-Event", "x-absent"]', 'add = { Authorization = "env:KEY" }')
        send(processor(table(receiver.url, *lines), tmp_path), event)
    (received,) = receiver.received
    assert received.body == event.body
    assert received.headers["content-type"] == "text/odd"
    assert received.headers["x-github-event"] == "issues"
    assert received.headers["authorization"] == "a-s3cret-of-a-decent-length"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "webhook-signature" not in received.headers
    assert CANARY not in str(received.headers)


def test_an_id_has_no_full_stop_and_is_ascii_whatever_the_processor_is_named() -> None:
    names = ("a.b", "a%2Eb", "größe", "a b")
    ids = {webhook_id(an_event(processor=name)) for name in names}
    assert len(ids) == len(names)
    assert all(each.isascii() and "." not in each for each in ids)


# What the answer leads to


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_done(status: int) -> None:
    judge(WORK, Answer(status), NOW)


@pytest.mark.parametrize("status", [300, 400, 401, 404, 422, 429, 500, 503, 504])
def test_every_other_answer_is_tried_again(status: int) -> None:
    with pytest.raises(ForwardFailed, match=f"^app.example.com answered {status}"):
        judge(WORK, Answer(status), NOW)


def test_gone_means_no_more_of_these_and_other_answers_may_be_told_to_mean_it() -> None:
    with pytest.raises(Discard):
        judge(WORK, Answer(410), NOW)
    choosy = Forward(WORK.target, discard_on=(400, 422))
    with pytest.raises(Discard):
        judge(choosy, Answer(422), NOW)
    with pytest.raises(ForwardFailed):
        judge(choosy, Answer(410), NOW)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_receiver_is_asked_again_when_it_says(status: int) -> None:
    at = datetime.datetime.fromtimestamp(NOW + 90, datetime.UTC)
    for text, seconds in (("7", 7), (format_datetime(at, usegmt=True), 90), ("99999999", 86400)):
        with pytest.raises(ReceiverBusy) as asked:
            judge(WORK, Answer(status, text), NOW)
        assert asked.value.seconds == seconds


@given(st.text())
def test_any_text_in_retry_after_is_a_bounded_delay_or_nothing(text: str) -> None:
    delay = retry_after(text, NOW)
    assert delay is None or 0 <= delay <= 86400


@pytest.mark.parametrize("text", ["", "-1", "soon", "1.5", "١٢", "Fri, 99 Foo 2026"])
def test_a_malformed_retry_after_is_as_none(text: str) -> None:
    assert retry_after(text, NOW) is None


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (204, {}, AttemptOutcome.DONE),
        (500, {}, AttemptOutcome.FAILED),
        (503, {"Retry-After": "5"}, AttemptOutcome.RETRY_ASKED),
        (410, {}, AttemptOutcome.DISCARDED),
    ],
)
def test_an_attempt_ends_as_the_receiver_says(
    status: int, headers: dict[str, str], outcome: AttemptOutcome, tmp_path: Path
) -> None:
    with Receiver(status, headers) as receiver:
        ended = attempt(processor(table(receiver.url), tmp_path), an_event())
    assert outcome_of(ended.error) is outcome
    assert len(receiver.received) == 1


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with Receiver() as elsewhere, Receiver(307, {"Location": elsewhere.url}) as receiver:
        forward = processor(table(receiver.url), tmp_path)
        with pytest.raises(ForwardFailed, match="answered 307, and redirects are not followed"):
            send(forward, an_event())
    assert not elsewhere.received


def test_a_receiver_that_does_not_answer_in_time_times_out(tmp_path: Path) -> None:
    ended = threading.Event()

    def answer(_: BaseHTTPRequestHandler) -> None:
        ended.wait(60)

    with Receiver(answering=answer) as receiver:
        forward = processor(table(receiver.url, 'timeout = "200ms"'), tmp_path)
        result = attempt(forward, an_event())
        ended.set()
    assert outcome_of(result.error) is AttemptOutcome.TIMED_OUT
    assert result.seconds < 0.2 + ABANDON_SECONDS


def test_nobody_there_is_a_failure_that_names_host_and_port_only(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # ours, and we do not listen
        port = nobody.getsockname()[1]
        forward = processor(table(f"http://127.0.0.1:{port}/{CANARY}?token={CANARY}"), tmp_path)
        with pytest.raises(ForwardFailed, match=rf"^127\.0\.0\.1:{port}: no connection") as error:
            send(forward, an_event(CANARY.encode()))
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_no_error_quotes_the_url_the_request_or_the_answer(tmp_path: Path) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 500 " + CANARY.encode() + b"\r\ncontent-length: 13\r\n\r\n")
        request.wfile.write(CANARY.encode())

    with Receiver(answering=answer) as receiver:
        forward = processor(table(f"{receiver.url}/{CANARY}?token={CANARY}"), tmp_path)
        with pytest.raises(ForwardFailed, match=r"answered 500$") as error:
            send(forward, an_event(CANARY.encode()))
    assert CANARY not in str(error.value)


def test_what_is_no_http_is_a_failure(tmp_path: Path) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"\x00\x01hello\r\n\r\n")

    with Receiver(answering=answer) as receiver:
        forward = processor(table(receiver.url), tmp_path)
        with pytest.raises(ForwardFailed, match="no answer: RemoteProtocolError"):
            send(forward, an_event())


def test_an_answer_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        for _ in range(1000):
            sent += request.wfile.write(b"x" * 1_000_000)

    with Receiver(answering=answer) as receiver:
        send(processor(table(receiver.url), tmp_path), an_event())
    assert sent < 100_000_000


# Connections


def test_a_connection_is_used_again(tmp_path: Path) -> None:
    with Receiver() as receiver:
        forward = processor(table(receiver.url), tmp_path)
        send(forward, *[an_event()] * 5)
        assert (len(receiver.received), receiver.connections) == (5, 1)


def test_many_are_sent_at_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(20, timeout=60)

    def answer(request: BaseHTTPRequestHandler) -> None:
        barrier.wait()  # nobody is answered before all are there
        request.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")

    async def crowd(poster: post.Poster) -> None:
        await asyncio.gather(*(poster.post([], b"x") for _ in range(20)))
        await poster.aclose()

    with Receiver(answering=answer) as receiver:
        asyncio.run(crowd(post.Poster(Target("http", "127.0.0.1", receiver.port, "/"))))
    assert len(receiver.received) == 20


# Where it may be sent


def test_an_address_that_is_not_of_the_open_internet_must_be_allowed(tmp_path: Path) -> None:
    with Receiver() as receiver:
        url = f"http://0.0.0.0:{receiver.port}"  # leads to this machine, and is no loopback address
        target = Target("http", "0.0.0.0", receiver.port, "/")
        with pytest.raises(ForwardFailed, match=r"not the open internet.*private_networks") as error:
            asyncio.run(_post(target))
        assert "0.0.0.0" in str(error.value)
        assert not receiver.received
        lines = ("insecure = true", 'private_networks = ["0.0.0.0/32"]')
        send(processor(table(url, *lines), tmp_path), an_event())
    assert len(receiver.received) == 1


async def _post(target: Target) -> None:
    poster = post.Poster(target)
    try:
        await poster.post([], b"")
    finally:
        await poster.aclose()


def test_a_name_that_does_not_exist_is_a_failure_with_its_name() -> None:
    with pytest.raises(ForwardFailed, match=r"^nowhere\.invalid: its name cannot be resolved"):
        asyncio.run(_post(Target("https", "nowhere.invalid", 443, "/")))


def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with Receiver(tls=tls) as receiver:
        url = f"https://localhost:{receiver.port}/"
        post._certificates.cache_clear()
        with pytest.raises(ForwardFailed, match=r"no connection: .*certificate verify failed"):
            send(processor(table(url), tmp_path), an_event())
        assert not receiver.received
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        post._certificates.cache_clear()
        send(processor(table(url), tmp_path), an_event())
        post._certificates.cache_clear()
    assert json.loads(receiver.received[0].body) == {"action": "opened"}


def make_certificate(directory: Path, host: str) -> Path:
    """A certificate that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = directory / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
