"""Runs the real thing: `python -m gateway serve` in a process of its own, on ports nobody else has.

    with Gateway(Deployment(tmp_path, sources={"github": ...}), redis_url) as gateway:
        gateway.send("/hooks/github", body, signed(body))

A gateway that ends must have written JSON lines only, and no secret, body or header into any.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.wire import Address, Answer, Pairs, exchange, request

T = TypeVar("T")
LONGEST_PAUSE: Final = 0.05  # whoever looks more often takes the core from who is waited for
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
# Bodies, headers and query strings of these tests hold it; no line of a log may.
CANARY: Final = "canary-7f3a91"
SECRET: Final = "s3cr3t-canary-" + "5d0c" * 8
LISTEN: Final = ("--port", "0", "--admin-port", "0")
# Of gateway.toml: a disk may be busy for longer than the second that a server is given by default.
PATIENT: Final = '[redis]\ntimeout = "20s"\n'
PROCESSORS: Final = "processors_under_test"  # not the name of the repository's own package


def until(probe: Callable[[], T], seconds: float = 60.0, what: str = "what was awaited") -> T:
    """What `probe` gives once that is true-ish. Raises AssertionError after the deadline."""
    deadline, pause = time.monotonic() + seconds, 0.001
    while not (found := probe()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return found


def in_time(is_quick: Callable[[], bool]) -> bool:
    """A machine that stands still for a moment makes one try late; who is slow, every one."""
    return any(is_quick() for _ in range(5))


@dataclass(frozen=True)
class Deployment:
    """A directory with configuration and processors. Texts are TOML and Python, by file name."""

    root: Path
    sources: Mapping[str, str]
    gateway: str = ""
    processors: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: {"SECRET": SECRET})

    def write(self) -> None:
        files = {"config/gateway.toml": self.gateway}
        files |= {f"config/sources/{name}.toml": text for name, text in self.sources.items()}
        files |= {f"{PROCESSORS}/{name}.py": text for name, text in self.processors.items()}
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.root / PROCESSORS).mkdir(exist_ok=True)

    def command(self, *words: str) -> list[str]:
        place = ["--config", str(self.root / "config"), "--processors", str(self.root / PROCESSORS)]
        return [sys.executable, "-m", "gateway", *words[:1], *place, *words[1:]]

    def environment(self, redis_url: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE")}
        spool = str(self.root / "spool")  # not one that deployments in one directory would share
        return {**kept, **self.environ, "REDIS_URL": redis_url, "HOOKLINE_SPOOL": spool}

    def run(self, *words: str, redis_url: str) -> subprocess.CompletedProcess[str]:
        """A command of `hookline` that is expected to end by itself."""
        self.write()
        return subprocess.run(
            self.command(*words),
            env=self.environment(redis_url),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )


class Gateway:
    """A running gateway. `sock`: serve this listening socket, as one child of several would.

    `outages`: a 503 is what is looked at. Else it is come back from, as senders do: it says that the
    machine stood still for longer than senders wait.
    """

    def __init__(
        self,
        deployment: Deployment,
        redis_url: str,
        *options: str,
        sock: socket.socket | None = None,
        outages: bool = False,
    ) -> None:
        self.deployment = deployment
        self._tries = 1 if outages else 5
        self.redis_url = redis_url
        self._options = options
        self._sock = sock
        self._log = deployment.root / f"gateway-{time.monotonic_ns()}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.address: Address = ("", 0)
        self.admin_address: Address = ("", 0)

    def __enter__(self) -> Self:
        self.deployment.write()
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if error is None:
            self.assert_nothing_leaked()

    @property
    def url(self) -> str:
        return _url(self.address)

    @property
    def admin_url(self) -> str:
        return _url(self.admin_address)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def text(self) -> str:
        """The whole log so far."""
        return self._log.read_text(encoding="utf-8")

    def logs(self, event: str = "", **values: Any) -> list[dict[str, Any]]:
        """The whole lines so far, of this event and with these values."""
        whole, _, _ = self.text().rpartition("\n")
        lines = [_line(text) for text in whole.splitlines()]
        wanted = {"event": event, **values} if event else values
        return [line for line in lines if wanted.items() <= line.items()]

    def await_log(self, event: str, **values: Any) -> dict[str, Any]:
        return until(lambda: self.logs(event, **values), what=f"{event} {values}")[-1]

    def send(
        self,
        path: str,
        body: bytes = b"",
        headers: Pairs = (),
        method: str = "POST",
        timeout: float = 60.0,
    ) -> Answer:
        """One request, on a connection of its own."""
        for _ in range(self._tries):
            answer = exchange(self.address, request(method, path, body, headers), timeout)
            if answer.status != 503:
                break
        return answer

    def get(self, path: str, headers: Pairs = (), *, admin: bool = False) -> Answer:
        address = self.admin_address if admin else self.address
        return exchange(address, request("GET", path, b"", headers))

    def metrics(self) -> str:
        return self.get("/metrics", admin=True).body.decode()

    def counted(self, **labels: str) -> float:
        """The requests that the metrics show under these labels."""
        families = text_string_to_metric_families(self.metrics())
        samples = [each for family in families for each in family.samples]
        ours = [each for each in samples if each.name == "hookline_requests_total"]
        return sum(each.value for each in ours if labels.items() <= each.labels.items())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def assert_nothing_leaked(self) -> None:
        text = self.text()
        for secret in (CANARY, *self.deployment.environ.values()):
            assert secret not in text, f"{secret} is in {self._log}"
        self.logs()

    def _start(self) -> None:
        words = ("--fd", str(self._sock.fileno())) if self._sock else LISTEN
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.deployment.command("serve", *words, *self._options),
                env=self.deployment.environment(self.redis_url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._sock.fileno()] if self._sock else [],
            )
        if self._sock:
            self.address = self._sock.getsockname()[:2]
        else:
            (line,) = until(self._started, what="gateway.started")
            self.address = _address(line["listen"])
            self.admin_address = _address(line["admin"])
        until(lambda: self.get("/livez").status == 200, what="/livez")

    def _started(self) -> list[dict[str, Any]]:
        assert self.process.poll() is None, f"ended with {self.process.poll()}:\n{self.text()}"
        return self.logs("gateway.started")

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _line(text: str) -> dict[str, Any]:
    try:
        line: dict[str, Any] = json.loads(text)
    except ValueError:
        raise AssertionError(f"a line that is no JSON: {text}") from None
    return line


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _url(address: Address) -> str:
    host, port = address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
