"""A gateway with tight limits: slow callers and floods cost it little, and others nothing."""

import socket
from collections.abc import Iterator

import pytest

from gateway.adapters.embedded.server import EmbeddedServer
from gateway.settings import ServerSettings
from tests.e2e.deployments import SIGNED, event, processors, settings, signed
from tests.e2e.rig import Deployment, Gateway, in_time, until
from tests.e2e.wire import read_answer, request

TIGHT = 'body_deadline = "500ms"\nflood_limit = "20/minute"\ntrusted_proxies = 1'
SOURCES = {
    "plain": SIGNED,
    "near": 'trusted_proxies = 0\nallow_ips = ["127.0.0.1", "::1"]' + SIGNED,
}


def loopback() -> str:
    """IPv6 where there is one."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return "127.0.0.1"
    return "::1"


@pytest.fixture(scope="module")
def tight(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    wishes = [(name, "*") for name in SOURCES]
    text = settings(TIGHT).replace('flood_limit = "1000000/minute"\n', "")
    deployment = Deployment(
        tmp_path_factory.mktemp("tight"), SOURCES, text, {"nothing": processors(*wishes)}
    )
    with Gateway(deployment, server.url, "--host", loopback()) as running:
        yield running


def post(gateway: Gateway, caller: str) -> int:
    body = event()
    return gateway.send("/hooks/plain", body, signed(body, "", ("X-Forwarded-For", caller))).status


def test_a_caller_without_proxy_is_known_by_its_own_address(tight: Gateway) -> None:
    body = event()
    assert tight.send("/hooks/near", body, signed(body)).status == 200


def test_a_slow_body_gets_a_408_and_stores_nothing(tight: Gateway) -> None:
    with socket.create_connection(tight.address, timeout=5) as sock:
        head = request("POST", "/hooks/plain", b"", [("X-Forwarded-For", "192.0.2.1")])
        sock.sendall(head.replace(b"Content-Length: 0", b"Content-Length: 9") + b"{")
        answer = read_answer(sock)
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert 0.3 < answer.seconds < ServerSettings().body_deadline
        assert sock.recv(1) == b""


def test_connections_without_a_whole_head_are_closed(tight: Gateway) -> None:
    begun = [b"", b"POST", b"POST /hooks/plain HTTP/1.1\r\nX-Half: ", b"\r\n\r\n"]
    waiting = [socket.create_connection(tight.address, timeout=5) for _ in begun]
    for sock, data in zip(waiting, begun, strict=True):
        sock.sendall(data)
    for sock in waiting:
        assert sock.recv(100) == b""
        sock.close()


def test_a_connection_that_begins_a_second_head_and_stops_is_closed(tight: Gateway) -> None:
    body = event(second=True)
    whole = request("POST", "/hooks/plain", body, signed(body, "", ("X-Forwarded-For", "192.0.2.2")))
    with socket.create_connection(tight.address, timeout=4) as sock:
        sock.sendall(whole)
        assert read_answer(sock).status == 200
        sock.sendall(whole[:40])
        assert sock.recv(100) == b""


def test_an_endless_head_is_cut_off(tight: Gateway) -> None:
    with socket.create_connection(tight.address, timeout=5) as sock:
        sock.sendall(b"POST /hooks/plain HTTP/1.1\r\nX-Endless: ")
        sent = 0
        while sent < 50_000_000:
            try:
                sock.sendall(b"x" * 65536)
            except ConnectionError:
                break
            sent += 65536
        assert read_answer(sock).status in (431, 0)  # 0: the reset has overtaken the answer
    assert sent < 10_000_000  # what the kernel holds is sent too


def test_a_flood_is_stopped_by_caller_and_says_when_to_come_again(tight: Gateway) -> None:
    assert [post(tight, "192.0.2.3") for _ in range(30)] == [200] * 20 + [429] * 10
    assert post(tight, "192.0.2.4") == 200
    answer = tight.send("/hooks/plain", b"", [("X-Forwarded-For", "192.0.2.3")])
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    tight.await_log("request.flooded", source="plain", status=429)


def test_an_ipv6_network_is_one_caller(tight: Gateway) -> None:
    answers = [post(tight, f"2001:db8:1:2::{number:x}") for number in range(1, 31)]
    assert answers == [200] * 20 + [429] * 10
    assert post(tight, "2001:db8:1:3::1") == 200


def test_many_slow_callers_do_not_slow_down_the_others(tight: Gateway) -> None:
    slow = [socket.create_connection(tight.address, timeout=5) for _ in range(200)]
    try:
        for sock in slow:
            sock.sendall(b"POST /hooks/plain HTTP/1.1\r\nX-Half: ")
        body = event(fast=True)
        headers = signed(body, "", ("X-Forwarded-For", "192.0.2.5"))

        def is_answered_at_once() -> bool:
            answer = tight.send("/hooks/plain", body, headers)
            assert answer.status == 200
            return answer.seconds < 0.5

        assert in_time(is_answered_at_once)
        until(lambda: all(_closed(sock) for sock in slow))
    finally:
        for sock in slow:
            sock.close()


def _closed(sock: socket.socket) -> bool:
    return sock.recv(1) == b""
