"""What no honest sender sends: it ends in a clear 4xx or in a whole stored event, never in a 500, never
in half an event, and the gateway still answers.
"""

import gzip
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e.deployments import event, signed
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import SECRET, Gateway, until
from tests.e2e.wire import Answer, exchange, hmac_hex, read_answer, request

LIMIT = 64 * 1024


@pytest.fixture(autouse=True)
def wanted(gateway: Gateway, ledger: LedgerView) -> Iterator[list[bytes]]:
    """The bodies that a test means to have stored: nothing else was, and the gateway goes on."""
    before, wanted = ledger.events("plain"), list[bytes]()
    yield wanted
    body = event(at=time.monotonic_ns())
    assert gateway.send("/hooks/plain", body, signed(body)).status == 200
    assert ledger.events("plain") == before + len(wanted) + 1


def sent_raw(gateway: Gateway, data: bytes) -> Answer:
    return exchange(gateway.address, data)


def test_an_oversized_body_is_refused_by_its_declaration(gateway: Gateway) -> None:
    head = f"POST /hooks/plain HTTP/1.1\r\nHost: a\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    answer = sent_raw(gateway, head.encode())
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_an_oversized_body_is_refused_although_it_is_all_sent(gateway: Gateway) -> None:
    body = b"x" * (LIMIT * 4)
    assert gateway.send("/hooks/plain", body, signed(body)).status == 413


def test_a_body_of_exactly_the_limit_is_stored(
    gateway: Gateway, ledger: LedgerView, wanted: list[bytes]
) -> None:
    body = b"x" * LIMIT
    wanted.append(body)
    assert gateway.send("/hooks/plain", body, signed(body, "at-the-limit")).status == 200
    assert ledger.stored("plain", "at-the-limit") == body


LINE = b"POST /hooks/plain HTTP/1.1\r\nHost: a\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n"


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def test_a_chunked_body_is_put_together(
    gateway: Gateway, ledger: LedgerView, wanted: list[bytes]
) -> None:
    body = b"one\r\n\x00two"
    wanted.append(body)
    head = CHUNKED + b"X-Event-Id: pieces\r\nX-Signature: " + _signature(body) + b"\r\n\r\n"
    answer = sent_raw(gateway, head + chunks(body[:4], body[4:]) + b"0\r\n\r\n")
    assert answer.status == 200
    assert ledger.stored("plain", "pieces") == body


def _signature(body: bytes) -> bytes:
    return hmac_hex(SECRET, body).encode()


def test_an_endless_chunked_body_is_cut_off_at_the_limit(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=10) as sock:
        sock.sendall(CHUNKED + b"\r\n")
        sent = 0
        sock.settimeout(0.05)
        while sent < LIMIT * 100:
            try:
                sock.sendall(chunks(b"x" * 8192))
            except OSError:
                break  # the gateway does not read on
            sent += 8192
        sock.settimeout(5)
        assert read_answer(sock).status in (413, 0)  # 0: the reset has overtaken the answer
    assert sent < LIMIT * 100


@pytest.mark.parametrize(("method", "path"), [("POST", "/hooks/forbidden"), ("PUT", "/hooks/plain")])
def test_a_refused_caller_may_not_go_on_sending(gateway: Gateway, method: str, path: str) -> None:
    """The connection ends with the refusal: its body would be read for ever, for nothing."""
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(head.encode())
        assert read_answer(sock).headers["connection"] == "close"
        assert sock.recv(1) == b""


TRUNCATED = {
    "declared": LINE + b"X-Signature: %b\r\nContent-Length: 10\r\n\r\n{}",
    "chunked": CHUNKED + b"X-Signature: %b\r\n\r\n2\r\n{}\r\n",
    "within a chunk": CHUNKED + b"X-Signature: %b\r\n\r\na\r\n{}",
}


@pytest.mark.parametrize("kind", TRUNCATED)
def test_a_body_cut_short_is_not_stored_although_its_first_half_is_signed(
    gateway: Gateway, kind: str
) -> None:
    many = len(gateway.logs("request.disconnected"))
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(TRUNCATED[kind] % _signature(b"{}"))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    until(lambda: len(gateway.logs("request.disconnected")) > many)


ODD = {
    "gzip": gzip.compress(b'{"type": "push"}'),
    "not UTF-8": b'{"type": "\xff\xfe\x80"}',
    "NUL": b"\x00{\x00}\x00",
    "empty": b"",
    "deep": b"[" * 30_000 + b"]" * 30_000,
    "deep and open": b'{"a":' * 10_000,
    "a long number": b'{"type": ' + b"9" * 5000 + b"}",
    "a huge exponent": b'{"type": 1e400, "id": -1e400}',
    "not a number": b'{"type": NaN, "id": Infinity}',
    "lone surrogate": b'{"type": "\\ud800"}',
    "the same key twice": b'{"type": "a", "type": "b"}',
    "UTF-16": '{"type": "push"}'.encode("utf-16"),
    "another request": request("POST", "/hooks/plain", b"{}"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_signed_body_is_stored_as_it_came_whatever_it_is(
    gateway: Gateway, ledger: LedgerView, wanted: list[bytes], kind: str
) -> None:
    body = ODD[kind]
    wanted.append(body)
    encoding = ("Content-Encoding", "gzip" if kind == "gzip" else "identity")
    answer = gateway.send("/hooks/plain", body, signed(body, f"odd-{kind}", encoding))
    assert answer.status == 200
    assert ledger.stored("plain", f"odd-{kind}") == body


HEADS = {
    "one of 5 MB": (request("POST", "/hooks/plain", b"", [("X-Large", "x" * 5_000_000)]), 431),
    "20,000": (request("POST", "/hooks/plain", b"", [("X-Many", "x")] * 20_000), 431),
    "101": (request("POST", "/hooks/plain", b"", [("X-Many", "x")] * 99), 431),
    "of 40 KB": (request("POST", "/hooks/plain", b"", [("X-Large", "x" * 40_000)]), 431),
    "a URL of 40 KB": (request("POST", "/" + "x" * 40_000), 431),
    "a URL of 5 MB": (request("POST", "/" + "x" * 5_000_000), 431),
    "a query of 40 KB": (request("POST", "/hooks/plain?" + "x" * 40_000), 431),
    "bytes beyond ASCII": (
        request("POST", "/hooks/plain", b"", [("X-Signature", b"\xe9\xff\x80")]),
        401,
    ),
    "an empty signature": (request("POST", "/hooks/plain", b"", [("X-Signature", "")]), 401),
    "two signatures": (
        request("POST", "/hooks/plain", b"{}", [*signed(b"{}"), ("X-Signature", "0" * 64)]),
        401,
    ),
    "two signatures, the right one last": (
        request("POST", "/hooks/plain", b"{}", [("X-Signature", "0" * 64), *signed(b"{}")]),
        401,
    ),
    "a path beyond ASCII": (request("POST", b"/hooks/\xff"), 400),
    "a path with NUL": (request("POST", "/hooks/plain%00"), 401),
    "a path that climbs": (request("POST", "/hooks/x/../plain", b"{}", signed(b"{}")), 401),
    "no version": (b"POST /hooks/plain\r\n\r\n", 401),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "an absolute URL": (request("POST", "http://other.test/hooks/nobody"), 401),
}


@pytest.mark.parametrize("kind", HEADS)
def test_an_odd_head_is_told_what_is_wrong(gateway: Gateway, kind: str) -> None:
    data, status = HEADS[kind]
    assert sent_raw(gateway, data).status == status


METHODS = {
    **dict.fromkeys(["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "LINK"], 405),
    **dict.fromkeys(["HACK", "post", "P\x00ST", "POST" * 1000, "*"], 400),
}


@pytest.mark.parametrize("method", METHODS)
def test_other_methods_are_told_so(gateway: Gateway, method: str) -> None:
    assert gateway.send("/hooks/plain", b"{}", signed(b"{}"), method).status == METHODS[method]


def test_head_gets_a_head_only(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(request("HEAD", "/hooks/plain"))
        raw = b"".join(iter(lambda: sock.recv(4096), b""))
    assert raw.startswith(b"HTTP/1.1 405 ")
    assert raw.endswith(b"\r\n\r\n")


SMUGGLED = b"POST /hooks/plain HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
NO_HTTP = {
    "two kinds of length": LINE
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "two kinds, the other way": LINE
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "two lengths": LINE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "one length twice": LINE + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": LINE + b"Content-Length: 2, 2\r\n\r\n{}",
    "a negative length": LINE + b"Content-Length: -1\r\n\r\n",
    "a signed length": LINE + b"Content-Length: +2\r\n\r\n{}",
    "a hexadecimal length": LINE + b"Content-Length: 0x2\r\n\r\n{}",
    "a length beyond 64 bits": LINE + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "another coding": LINE + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, not last": LINE + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a blank before the colon": LINE + b"Content-Length : 2\r\n\r\n{}",
    "bare line feeds": b"POST /hooks/plain HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "a bare carriage return": LINE + b"X-A: b\rX-C: d\r\n\r\n",
    "a folded line": LINE + b"X-Signature: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": LINE + b"X-A: b\x00c\r\n\r\n",
    "a blank in a name": LINE + b"X A: b\r\n\r\n",
    "no colon": LINE + b"nonsense\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n{}\r\n",
    "a version of its own": b"POST /hooks/plain HTTP/9.9\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT other.test:443 HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("kind", NO_HTTP)
def test_what_two_servers_could_read_in_two_ways_is_read_in_none(gateway: Gateway, kind: str) -> None:
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(NO_HTTP[kind])
        raw = b"".join(iter(lambda: _recv(sock), b""))
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.count(b"HTTP/1.1") == 1, "a second, smuggled request was answered"


def _recv(sock: socket.socket) -> bytes:
    try:
        return sock.recv(4096)
    except ConnectionResetError:
        return b""


def test_requests_in_one_packet_are_answered_in_order(gateway: Gateway, wanted: list[bytes]) -> None:
    bodies = [b'{"n": %d}' % number for number in range(3)]
    wanted.extend(bodies)
    data = b"".join(request("POST", "/hooks/plain", body, signed(body)) for body in bodies)
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(data + request("POST", "/hooks/plain", b"forged"))
        raw = b"".join(iter(lambda: sock.recv(4096), b""))
    assert [part[:3] for part in raw.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"401"]


def test_heads_are_bounded_one_by_one_however_the_packets_cut_them(
    gateway: Gateway, wanted: list[bytes]
) -> None:
    body = event(packets=True)
    wanted.append(body)
    whole = request("POST", "/hooks/plain", body, [*signed(body), ("X-Filler", "x" * 8000)])
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(whole[:40])
        for _ in range(20):
            sock.sendall(whole[40:8000])
            assert gateway.get("/livez").status == 200  # by now it has read that piece
            sock.sendall(whole[8000:] + whole[:40])
            assert read_answer(sock).status == 200


def test_an_upgrade_is_not_followed(gateway: Gateway) -> None:
    headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    assert sent_raw(gateway, request("POST", "/hooks/plain", b"", headers)).status == 401


def test_a_malformed_flood_does_not_fill_the_log(gateway: Gateway) -> None:
    before, began = len(gateway.logs()), time.monotonic()
    for _ in range(300):
        sent_raw(gateway, NO_HTTP["a negative length"])
    assert len(gateway.logs()) - before <= 25 * (time.monotonic() - began + 1)
