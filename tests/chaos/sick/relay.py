"""A way to a server on which connections can go deaf: nothing comes through, and nobody hangs up."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Relay:
    """Passes on to `port`. After `deafen`, connections of until then stay open and swallow everything;
    later ones are passed on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._generation = 0
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def deafen(self) -> None:
        self._generation += 1

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += (near, far)
                for one, other in ((near, far), (far, near)):
                    pump = (one, other, self._generation)
                    threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, generation: int) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if generation == self._generation:
                    other.sendall(data)
            other.shutdown(socket.SHUT_WR)
