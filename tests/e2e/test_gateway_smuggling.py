"""A request hidden in another one's body, head or end: it is never read as a request of its own.

What is hidden is genuine and would be stored: so nothing of it may be. The rest of what no honest
sender sends is in `test_gateway_hostile.py`.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pytest

from tests.e2e.deployments import event, signed
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import SECRET, Gateway
from tests.e2e.wire import hmac_hex, request

BODY: Final = b'{"hidden": true}'
HIDDEN: Final = request("POST", "/hooks/plain", BODY, signed(BODY, "hidden"))
LONG: Final = HIDDEN + b"x" * 70_000  # beyond the limit of "plain"


@pytest.fixture(autouse=True)
def nothing_hidden_is_stored(gateway: Gateway, ledger: LedgerView) -> Iterator[None]:
    before = ledger.events("plain")
    yield
    body = event(at=time.monotonic_ns())
    assert gateway.send("/hooks/plain", body, signed(body)).status == 200
    assert ledger.events("plain") == before + 1
    assert ledger.stored("plain", "hidden") is None


def head(path: str, *lines: str, method: str = "POST", version: str = "1.1") -> bytes:
    text = "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/{version}", "Host: a", *lines))
    return text.encode("latin-1") + b"\r\n"


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) + end


def answers(gateway: Gateway, data: bytes) -> list[int]:
    """The status of every answer until the gateway closes, or has nothing more to say."""
    raw = b""
    with socket.create_connection(gateway.address, timeout=5) as sock, suppress(ConnectionError):
        sock.sendall(data)
        raw = sock.recv(65536)
        sock.shutdown(socket.SHUT_WR)
        while chunk := sock.recv(65536):
            raw += chunk
    return [int(part.split()[0]) for part in raw.split(b"HTTP/1.1 ")[1:]]


LENGTH: Final = f"Content-Length: {len(HIDDEN)}"
CHUNKED: Final = "Transfer-Encoding: chunked"
REFUSED_EARLY: Final = {
    "for its address": (head("/hooks/forbidden", LENGTH) + HIDDEN, 401),
    "for its address, chunked": (head("/hooks/forbidden", CHUNKED) + chunked(HIDDEN), 401),
    "for its path": (head("/hooks/nobody", LENGTH) + HIDDEN, 401),
    "for its signature": (head("/hooks/plain", LENGTH, "X-Signature: " + "0" * 64) + HIDDEN, 401),
    "for its method": (head("/hooks/plain", LENGTH, method="PUT") + HIDDEN, 405),
    "for its method, chunked": (head("/hooks/plain", CHUNKED, method="DELETE") + chunked(HIDDEN), 405),
    "for the length it declares": (head("/hooks/plain", f"Content-Length: {len(LONG)}") + LONG, 413),
    "for the length it has": (head("/hooks/plain", CHUNKED) + chunked(LONG), 413),
    "for its head": (head("/hooks/plain", LENGTH, "X-Large: " + "x" * 40_000) + HIDDEN, 431),
    "with what follows it": (head("/hooks/forbidden", "Content-Length: 2") + b"{}" + HIDDEN, 401),
    "asking whether to go on": (head("/hooks/forbidden", LENGTH, "Expect: 100-continue") + HIDDEN, 401),
    "an expectation of its own": (head("/hooks/forbidden", LENGTH, "Expect: 200-ok") + HIDDEN, 401),
}


@pytest.mark.parametrize("kind", REFUSED_EARLY)
def test_nothing_on_the_connection_is_read_after_a_refusal(gateway: Gateway, kind: str) -> None:
    data, status = REFUSED_EARLY[kind]
    found = answers(gateway, data)
    assert found in ([status], [])  # []: the reset has overtaken the answer to what was too long
    assert found or status == 413


UPGRADES: Final = {
    "to HTTP/2": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "to a websocket": ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "to nothing known": ("Connection: Upgrade", "Upgrade: tunnel/1"),
}


@pytest.mark.parametrize("kind", UPGRADES)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_upgrade_opens_no_tunnel(gateway: Gateway, kind: str, method: str) -> None:
    data = head("/hooks/nobody", *UPGRADES[kind], LENGTH, method=method) + HIDDEN
    (status,) = answers(gateway, data)
    assert status in (400, 401, 405)


CODINGS: Final = (
    "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: \x0bchunked",
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\x00: chunked",
    "Transfer_Encoding: chunked",
    " Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
)


@pytest.mark.parametrize("line", CODINGS)
def test_an_odd_coding_beside_a_length_hides_nothing(gateway: Gateway, line: str) -> None:
    """Whoever takes the one reads another body than whoever takes the other."""
    inner = chunked(b"{}") + HIDDEN
    found = answers(gateway, head("/hooks/nobody", line, f"Content-Length: {len(inner)}") + inner)
    assert len(found) == 1
    assert found[0] in (400, 401)


NAMES: Final = ("\x00: b", ": b", "X\x7f: b", "X\x00Y: b", "\xe9: b", "X(: b", "X\t: b", "\x0bX: b")


@pytest.mark.parametrize("line", NAMES)
def test_a_name_that_is_none_is_refused(gateway: Gateway, line: str) -> None:
    assert answers(gateway, head("/hooks/plain", line, LENGTH) + HIDDEN) == [400]


ODD_CHUNKS: Final = {
    "a line feed alone": b"2\n{}\n0\n\n",
    "a size with a sign": b"+2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
    "a blank before the size": b" 2\r\n{}\r\n0\r\n\r\n",
    "no end of the chunk": b"2\r\n{}0\r\n\r\n",
    "a carriage return within": b"2\r\r\n{}\r\n0\r\n\r\n",
    "a line feed in an extension": b"2;a\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", ODD_CHUNKS)
def test_an_odd_chunk_ends_the_connection(gateway: Gateway, kind: str) -> None:
    assert answers(gateway, head("/hooks/plain", CHUNKED) + ODD_CHUNKS[kind] + HIDDEN) == [400]


def test_extensions_and_trailers_of_chunks_are_no_headers(gateway: Gateway) -> None:
    """A proxy checks, drops and appends headers in the head; of what stands behind the body it does not
    know that somebody takes it for one."""
    signature = b"X-Signature: " + hmac_hex(SECRET, b"{}").encode()
    data = b"2;" + signature.replace(b": ", b"=") + b"\r\n{}\r\n0\r\n" + signature + b"\r\n\r\n"
    assert answers(gateway, head("/hooks/plain", CHUNKED) + data) == [401]


def test_an_address_behind_the_body_is_not_the_client_s(gateway: Gateway) -> None:
    """The last one counts, which the proxy has appended: a trailer would come after it."""
    lines = (CHUNKED, "X-Forwarded-For: 198.51.100.7", f"X-Signature: {hmac_hex(SECRET, b'{}')}")
    trailers = b"0\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"  # which "behind-one" may be called from
    assert answers(gateway, head("/hooks/behind-one", *lines) + chunked(b"{}", trailers)) == [401]


def test_a_chunk_line_without_end_is_cut_off(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(head("/hooks/forbidden", CHUNKED) + b"2;" + b"x" * 200_000)
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_a_body_that_nobody_announced_is_none(gateway: Gateway) -> None:
    """Neither length nor coding: what follows is the next request, and this is not one."""
    signature = "X-Signature: " + hmac_hex(SECRET, b"x")
    assert answers(gateway, head("/hooks/plain", signature) + b"x" + HIDDEN)[0] in (400, 401)


@pytest.mark.parametrize("version", ["1.0", "0.9", "2.0", "1.2"])
def test_an_old_or_a_new_version_keeps_no_connection_that_could_be_shared(
    gateway: Gateway, version: str
) -> None:
    data = head("/hooks/nobody", "Content-Length: 2", version=version) + b"{}" + HIDDEN
    (status,) = answers(gateway, data)
    assert status in (400, 401)


def test_a_body_of_a_health_check_is_no_request(gateway: Gateway) -> None:
    assert answers(gateway, head("/livez", LENGTH, method="GET") + HIDDEN) == [200]


@pytest.mark.parametrize("target", ["http://other.test/hooks/plain", "//hooks/plain", "/hooks/plain/"])
def test_only_the_configured_path_leads_to_a_source(gateway: Gateway, target: str) -> None:
    """An absolute target has the same path, and no other host can be asked for."""
    body = b'{"absolute": true}'
    status = gateway.send(target, body, signed(body, "", secret="x" * 40)).status
    assert status == 401


def test_who_asks_whether_to_go_on_is_told_so_and_then_heard(gateway: Gateway) -> None:
    body = b'{"asked": "first"}'
    signature = f"X-Signature: {hmac_hex(SECRET, body)}"
    asking = head("/hooks/acked", f"Content-Length: {len(body)}", "Expect: 100-continue", signature)
    with socket.create_connection(gateway.address, timeout=5) as sock:
        sock.sendall(asking)
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(65536).startswith(b"HTTP/1.1 202 ")
