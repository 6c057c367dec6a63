"""Sockets that were there before us, and what systemd is told."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.adapters.http import listening
from gateway.adapters.http.listening import HANDOVER, BadSocketError, bind, inherit, tell_ready
from gateway.adapters.http.service_manager import notify


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Two listening sockets in a row, where systemd's would begin."""
    first, second = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    base = 200
    monkeypatch.setattr(listening, "FIRST_FD", base)
    for number, sock in enumerate((first, second)):
        os.dup2(sock.fileno(), base + number)
    yield [first, second]
    first.close()
    second.close()


def passed(names: str = "", many: int = 2) -> dict[str, str]:
    return {"LISTEN_PID": "42", "LISTEN_FDS": str(many), "LISTEN_FDNAMES": names}


def ports(*sockets: socket.socket | None) -> list[int]:
    found = [sock.getsockname()[1] for sock in sockets if sock]
    for sock in sockets:
        if sock:
            sock.close()
    return found


def test_the_first_socket_is_the_gateways_and_the_second_the_admin_ports(
    pair: list[socket.socket],
) -> None:
    found = inherit(passed(), 42)
    assert not found.succeeds
    assert ports(found.gateway, found.admin) == [sock.getsockname()[1] for sock in pair]


def test_a_socket_that_is_named_admin_is_the_admin_ports(pair: list[socket.socket]) -> None:
    found = inherit(passed("admin:hookline"), 42)
    assert ports(found.admin, found.gateway) == [sock.getsockname()[1] for sock in pair]


def test_what_was_passed_to_another_process_is_not_ours() -> None:
    environ = passed()
    assert inherit(environ, 43) == listening.Inherited()
    assert environ == {}, "nor our children's"


def test_what_a_gateway_hands_on_goes_before_what_systemd_passed(pair: list[socket.socket]) -> None:
    fds = [sock.detach() for sock in (pair[0].dup(), pair[1].dup())]
    found = inherit(passed() | {HANDOVER: f"{fds[1]},{fds[0]}"}, 42)
    assert found.succeeds
    assert found.gateway
    assert not os.get_inheritable(found.gateway.fileno())
    assert ports(found.admin, found.gateway) == [sock.getsockname()[1] for sock in pair]
    for number in (0, 1):
        os.close(listening.FIRST_FD + number)


def test_what_is_no_listening_socket_is_refused_with_the_mend() -> None:
    with socket.socket() as idle, pytest.raises(BadSocketError, match="ListenStream=PORT, Accept=no"):
        inherit({HANDOVER: f"{idle.fileno()},{idle.fileno()}"}, 1)
    reading, writing = os.pipe()
    with pytest.raises(BadSocketError, match="is no socket"):
        inherit({HANDOVER: f"{reading},{reading}"}, 1)
    os.close(reading)
    os.close(writing)


def test_who_waits_is_told_once_and_may_be_gone() -> None:
    reading, writing = os.pipe()
    environ = {listening.READY: str(writing)}
    tell_ready(environ)
    tell_ready(environ)
    assert os.read(reading, 10) == b"1"
    os.close(reading)
    reading, writing = os.pipe()
    os.close(reading)
    tell_ready({listening.READY: str(writing)})


def test_systemd_is_told_where_it_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1", "MAINPID=7")
        assert manager.recv(100) == b"READY=1\nMAINPID=7"
    notify("STOPPING=1")  # it is gone
