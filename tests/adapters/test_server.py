"""How the edge is put on the network, and how several of it are kept."""

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapters.http import supervisor
from gateway.adapters.http.asgi import BoundedHeads
from gateway.adapters.http.listening import bind
from gateway.adapters.http.server import Parts, uvicorn_server
from gateway.adapters.http.wire import Wire
from gateway.application import Application
from gateway.configuration import Config
from gateway.settings import ServerSettings, Settings


def config_of(**settings: Any) -> Any:
    return uvicorn_server(None, ServerSettings(**settings)).config


def test_requests_are_parsed_by_the_strict_parser_with_bounded_heads() -> None:
    protocol = config_of(max_header_bytes="10KB", body_deadline="3s").http
    assert protocol.func is BoundedHeads
    assert (protocol.keywords["most"], protocol.keywords["seconds"]) == (20_000, 3.0)


def test_an_edge_is_served_below_asgi_with_the_same_bounds() -> None:
    edge: Any = SimpleNamespace(break_off=lambda: None)
    settings = ServerSettings.model_validate({"body_deadline": "3s"})
    protocol: Any = uvicorn_server(None, settings, edge=edge).config.http
    assert (protocol.func, protocol.keywords["edge"]) == (Wire, edge)
    assert (protocol.keywords["most"], protocol.keywords["seconds"]) == (65_536, 3.0)


def test_nothing_that_a_caller_says_about_proxies_is_believed() -> None:
    assert config_of().proxy_headers is False


def test_says_nothing_about_itself_and_writes_no_access_log() -> None:
    config = config_of()
    assert (config.server_header, config.date_header, config.access_log) == (False, False, False)


def test_open_requests_get_the_grace_that_was_set() -> None:
    assert uvicorn_server(None, ServerSettings.model_validate({"grace": "1.2s"})).grace == 1.2


def test_listens_at_once() -> None:
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname(), timeout=60):
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
            async with asyncio.timeout(60):
                await kept._keep_one()

    asyncio.run(main())


def test_a_supervisor_that_is_to_take_anothers_place_gives_up_when_a_child_ends_before_it_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = Parts(Application(Config(Settings(), ()), {}), "redis://", None, None)  # type: ignore[arg-type]

    async def main() -> bool:
        with socket.socket() as sock:
            kept = supervisor._Supervisor(parts, sock, 1, succeeds=True)
            leaving: Any = SimpleNamespace(stop=lambda _: kept._stopping.set())
            kept._leaving = leaving

            async def stillborn(*_: Any, **__: Any) -> Child:
                child = Child()
                child.terminate()
                return child

            monkeypatch.setattr(asyncio, "create_subprocess_exec", stillborn)
            async with asyncio.timeout(60):
                await kept._keep_one()
            return kept._failed

    assert asyncio.run(main())
