"""A command is sent once, and given up in time: a repeat behind our back could be a second push."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as Silent

from gateway.adapters.ledger.redis_clients import async_client, blocking_client


def blocking_ping(url: str) -> None:
    with blocking_client(url, 0.2) as client:
        client.ping()


def async_ping(url: str) -> None:
    async def main() -> None:
        async with async_client(url, 0.2) as client:
            await client.ping()

    asyncio.run(main())


@contextmanager
def listener(*, hang_up: bool) -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that hangs up at once, or never says a word; and the connections that it got."""
    got: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            got.append(connection)
            if hang_up:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://127.0.0.1:{sock.getsockname()[1]}", got
        sock.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in got:
        connection.close()


@pytest.mark.parametrize("ping", [blocking_ping, async_ping])
def test_tries_once_when_the_connection_breaks(ping: Callable[[str], None]) -> None:
    with listener(hang_up=True) as (url, connections), pytest.raises(Unreachable):
        ping(url)
    assert len(connections) == 1


@pytest.mark.parametrize("ping", [blocking_ping, async_ping])
def test_gives_up_in_time_when_nothing_comes(ping: Callable[[str], None]) -> None:
    began = time.monotonic()
    with listener(hang_up=False) as (url, connections), pytest.raises(Silent):
        ping(url)
    assert time.monotonic() - began < 5.0  # a client that was given 0.2
    assert len(connections) == 1
