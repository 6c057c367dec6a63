"""Ports for servers that are started, killed and started again."""

import os
import socket
from collections.abc import Iterator
from itertools import count
from typing import Final

# Below those that the system gives to whoever asks for any: while a server is away, nobody gets its
# port by chance, not even its own client, who would then speak with itself.
FIRST: Final = 12_000
A_PROCESS: Final = 100
PROCESSES: Final = 190
_numbers: Iterator[int] = count()


def own_port() -> int:
    """One that no other test has, in this process or in those beside it."""
    first = FIRST + os.getpid() % PROCESSES * A_PROCESS
    while True:
        port = first + next(_numbers) % A_PROCESS
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # somebody else's
                continue
        return port
