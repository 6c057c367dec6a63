"""A gateway with little room: slow callers give way to those who have something to say, and a source
with a backlog is told to come again, alone."""

import socket
from collections.abc import Iterator

import pytest

from gateway.adapters.embedded.server import EmbeddedServer
from tests.e2e.deployments import SIGNED, event, processors, settings, signed
from tests.e2e.rig import Deployment, Gateway, until
from tests.e2e.wire import read_answer, request

ROOM = 30
SOURCES = {"plain": SIGNED, "bounded": "max_pending = 3" + SIGNED}


@pytest.fixture(scope="module")
def small(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    deployment = Deployment(
        tmp_path_factory.mktemp("small"),
        SOURCES,
        settings(f"max_connections = {ROOM}"),
        {"nothing": processors(*((name, "*") for name in SOURCES))},
    )
    with Gateway(deployment, server.url, outages=True) as running:
        yield running


def post(gateway: Gateway, source: str, number: int) -> int:
    body = event(number=number)
    return gateway.send(f"/hooks/{source}", body, signed(body)).status


def test_a_connection_that_has_ended_takes_no_room(small: Gateway) -> None:
    before = len(small.logs("connections.full"))
    assert {post(small, "plain", -number) for number in range(1, 3 * ROOM)} == {200}
    assert len(small.logs("connections.full")) == before


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /hooks/plain HTTP/1.1\r\nX-Half: ", request("POST", "/hooks/plain", b"x" * 99)[:-98]],
    ids=["idle", "half a head", "half a body"],
)
def test_however_many_slow_callers_there_are_another_is_let_in(small: Gateway, begun: bytes) -> None:
    slow = []
    try:
        for number in range(3 * ROOM):
            slow.append(socket.create_connection(small.address, timeout=5))
            slow[-1].sendall(begun)
            if number % ROOM == 0:
                assert post(small, "plain", number) == 200
        assert post(small, "plain", -1) == 200
        for sock in slow[:ROOM]:
            assert sock.recv(1) == b""
    finally:
        for sock in slow:
            sock.close()
    small.await_log("connections.full", most=ROOM)


def test_a_genuine_caller_keeps_its_connection_while_others_only_open_theirs(small: Gateway) -> None:
    with socket.create_connection(small.address, timeout=5) as kept:
        for number in range(3):
            body = event(kept=number)
            kept.sendall(request("POST", "/hooks/plain", body, signed(body)))
            assert read_answer(kept).status == 200
            slow = [socket.create_connection(small.address, timeout=5) for _ in range(2 * ROOM)]
            assert slow[0].recv(1) == b""
            for sock in slow:
                sock.close()


def test_a_source_with_a_backlog_is_told_to_come_again_and_its_neighbour_is_not(
    small: Gateway, redis_url: str
) -> None:
    answers = [post(small, "bounded", number) for number in range(3)]
    assert answers == [200, 200, 200]
    body = event(number=99)
    until(lambda: small.send("/hooks/bounded", body, signed(body)).status == 503)
    answer = small.send("/hooks/bounded", body, signed(body))
    assert 5 <= int(answer.headers["retry-after"]) <= 10
    assert post(small, "plain", 100) == 200
    assert small.send("/hooks/bounded", body).status == 401  # who has proven nothing is told nothing
    small.await_log("source.shed", source="bounded", reason="backlog_full")
    until(lambda: small.counted(source="bounded", outcome="overloaded", reason="backlog_full"))
