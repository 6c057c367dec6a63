"""What the tests of built-in processors share: events, declarations, and a receiver that listens."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from gateway.adapters.worker.runner import Ended, Runner
from gateway.builtin import processor_of
from gateway.configuration import Config, load_config
from gateway.core.builtin import Work
from gateway.core.delivery import Claimed
from gateway.faults import ConfigError, Fault
from gateway.plugins import Event, Processor
from gateway.process import Ready

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER: Final = "whsec_2vAq5xJ9T0cJm3o8ZB6yQd1Wc4hKf7Lp"
CANARY: Final = "canary-7f3a91"
ENVIRON: Final = {
    "KEY": "a-s3cret-of-a-decent-length",
    "FORWARD": SECRET,
    "NEXT": OTHER,
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


def an_event(body: bytes = b'{"action": "opened"}', **values: Any) -> Event:
    """A GitHub event as the worker gives it to a processor."""
    facts: dict[str, Any] = {
        "id": "evt_abcdefghijklmnopqrstuvwxyz",
        "source": "github",
        "type": "issues",
        "provider_id": "72d3162e",
        "headers": {"content-type": "application/json", "x-github-event": "issues"},
        "received_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "processor": "github.forward",
    }
    return Event(body=body, **facts | values)


def config_of(tables: str, directory: Path, environ: Mapping[str, str] = ENVIRON) -> Config:
    """A deployment with one source, github, whose file has these tables. Raises ConfigError."""
    (directory / "sources").mkdir(parents=True, exist_ok=True)
    text = f'preset = "github"\nsecrets = ["env:KEY"]\n{tables}'
    (directory / "sources" / "github.toml").write_text(text, encoding="utf-8")
    return load_config(directory, environ)


def works_of(tables: str, directory: Path) -> list[Work]:
    return [each.work for each in config_of(tables, directory).builtin]


def processors_of(tables: str, directory: Path) -> list[Processor]:
    return [processor_of(each) for each in config_of(tables, directory).builtin]


def processor(tables: str, directory: Path) -> Processor:
    (only,) = processors_of(tables, directory)
    return only


def faults_of(tables: str, directory: Path, environ: Mapping[str, str] = ENVIRON) -> list[Fault]:
    try:
        config_of(tables, directory, environ)
    except ConfigError as error:
        return error.faults
    return []


def attempt(
    given: Processor,
    event: Event,
    timeout: float = 60.0,
    limited_once: Callable[[], bool] = lambda: True,
) -> Ended:
    """One attempt as a worker runs it, under its time limit, which is looked at once that holds."""
    claimed = Claimed(
        delivery="dlv_test-1",
        fence=event.fence,
        attempt=event.attempt,
        crashes=0,
        source=event.source,
        type=event.type,
        provider_id=event.provider_id,
        received_ms=int(event.received_at.timestamp() * 1000),
        processor=given.name,
        event=event.id,
        headers=tuple(event.headers.items()),
        body=event.body,
    )
    results: SimpleQueue[Ended] = SimpleQueue()
    runner = Runner()
    runner.open(given.lifespans)
    try:
        runner.start(Ready(claimed, given, event, given.timeout or timeout), results.put)
        while True:
            try:
                return results.get(timeout=0.02)
            except Empty:
                if limited_once():
                    runner.enforce_timeouts()
    finally:
        runner.close()


def run(given: Processor, event: Event) -> None:
    """One attempt; raises what it raised."""
    if error := attempt(given, event).error:
        raise error


@dataclass(frozen=True)
class Received:
    """A request as the receiver read it; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


Answering = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """An HTTP server. `status` and `headers` are its answer, or `answering` writes a whole one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    answering: Answering | None = None
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        receiver = self

        class Answerer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                receiver.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                (receiver.answering or receiver.answer)(self)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                """A caller who hangs up is no news."""

        self._server = Server(("127.0.0.1", 0), Answerer)
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        socketserver.TCPServer.server_close(self._server)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self.status)
        for name, value in {"content-length": "0", **self.headers}.items():
            request.send_header(name, value)
        request.end_headers()
