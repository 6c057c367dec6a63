"""HTTP by hand: requests as bytes, so that tests can also send what no client library would, and
answers as bytes, so that they can be compared byte for byte.
"""

import hashlib
import hmac
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

Address = tuple[str, int]
Pairs = Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0: the connection ended without an answer. `seconds`: until the whole answer was here."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes
    seconds: float = 0.0


def request(method: str, path: str | bytes, body: bytes = b"", headers: Pairs = ()) -> bytes:
    """A request with Host and Content-Length; headers go out in order, byte for byte."""
    pairs = [("Host", "gateway.test"), ("Content-Length", str(len(body))), *headers]
    lines = b"".join(_bytes(name) + b": " + _bytes(value) + b"\r\n" for name, value in pairs)
    return method.encode() + b" " + _bytes(path) + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


def exchange(address: Address, data: bytes, timeout: float = 60.0) -> Answer:
    """Sends `data` on a new connection and reads one answer. Raises TimeoutError."""
    began = time.perf_counter()
    with socket.create_connection(address, timeout=timeout) as sock:
        with suppress(ConnectionError):  # refused before it was all sent: the answer says why
            sock.sendall(data)
        return read_answer(sock, began)


def read_answer(sock: socket.socket, began: float | None = None) -> Answer:
    """The next answer on a connection, as far as it comes. Raises TimeoutError."""
    began = time.perf_counter() if began is None else began
    raw = b""
    while (answer := parse(raw)) is None:
        try:
            chunk = sock.recv(65536)
        except ConnectionError:
            chunk = b""
        if not chunk:
            return Answer(0, {}, b"", raw)
        raw += chunk
    return Answer(answer.status, answer.headers, answer.body, answer.raw, time.perf_counter() - began)


def parse(raw: bytes) -> Answer | None:
    """The first answer in `raw`; None while it is not whole."""
    head, found, rest = raw.partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    status, length = int(first.split()[1]), int(headers.get("content-length", 0))
    if len(rest) < length:
        return None
    return Answer(status, headers, rest[:length], head + found + rest[:length])


def hmac_hex(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
