"""How the edge is put on the network, and how several of it are kept."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.http import supervisor
from gateway.adapters.http.heads import BoundedHeads
from gateway.adapters.http.server import Parts, bind, uvicorn_server
from gateway.application import Application
from gateway.configuration import Config
from gateway.settings import ServerSettings, Settings


def config_of(**settings: Any) -> Any:
    return uvicorn_server(None, ServerSettings(**settings)).config


def test_requests_are_parsed_by_the_strict_parser_with_bounded_heads() -> None:
    protocol = config_of(max_header_bytes="10KB", body_deadline="3s").http
    assert protocol.func is BoundedHeads
    assert protocol.keywords == {"most": 20_000, "seconds": 3.0}


def test_nothing_that_a_caller_says_about_proxies_is_believed() -> None:
    assert config_of().proxy_headers is False


def test_says_nothing_about_itself_and_writes_no_access_log() -> None:
    config = config_of()
    assert (config.server_header, config.date_header, config.access_log) == (False, False, False)


@pytest.mark.parametrize(("grace", "seconds"), [("500ms", 1), ("1s", 1), ("20s", 20), ("1.2s", 2)])
def test_open_requests_get_at_least_the_grace_that_was_set(grace: str, seconds: int) -> None:
    assert config_of(grace=grace).timeout_graceful_shutdown == seconds


def test_listens_at_once() -> None:
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname(), timeout=5):
        pass


def test_refuses_a_port_that_somebody_has() -> None:
    with bind("127.0.0.1", 0) as sock, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", sock.getsockname()[1])


class Child:
    """Ends when it is told to, and not before."""

    pid = 4242

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def terminate(self) -> None:
        self.told.set()

    async def wait(self) -> int:
        await self.told.wait()
        return 0


def test_a_child_born_while_all_are_told_to_stop_is_told_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parts = Parts(Application(Config(Settings(), ()), {}), "redis://", None, None)  # type: ignore[arg-type]

    async def main() -> None:
        with socket.socket() as sock:
            kept = supervisor._Supervisor(parts, sock, 1)

            async def give_birth(*_: Any, **__: Any) -> Child:
                kept._stopping.set()  # SIGTERM comes while the child is not yet known
                return Child()

            monkeypatch.setattr(asyncio, "create_subprocess_exec", give_birth)
            async with asyncio.timeout(5):
                await kept._keep_one()

    asyncio.run(main())
