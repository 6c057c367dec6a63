"""A life of the deployment, with every mishap in it; what it leaves is searched afterwards.

Whatever was seen on the way (answers, pages, what commands print) is kept under the name of its place.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from redis import Redis

from gateway.adapters.spool.slots import survey
from tests.chaos.canary import requests
from tests.chaos.canary.commands import Commands
from tests.chaos.canary.deployment import a_deployment
from tests.chaos.canary.pages import crawled
from tests.chaos.canary.planted import Canaries
from tests.chaos.canary.search import contents
from tests.chaos.rig import REPOSITORY, Process
from tests.chaos.sweep.zygote import Zygote
from tests.e2e.redis_server import RedisServer, hang
from tests.e2e.rig import PROCESSORS, Gateway, until
from tests.e2e.wire import exchange
from tests.ports import own_port

PATIENCE_SECONDS: Final = 30.0


class Life:
    """`seen`: what was seen, by place."""

    def __init__(self, root: Path, canaries: Canaries) -> None:
        self._root = root
        self.seen: dict[str, bytes] = defaultdict(bytes)
        self._server = root / "redis"
        self._server.mkdir()
        self._canaries = canaries
        self._deployment = a_deployment(root, canaries)
        self._processes: list[Process] = []
        self._worker: Process | None = None
        self._redis = RedisServer(self._server)
        self._url = self._redis.url.replace("//", f"//:{canaries['password of redis']}@")
        self._client: Redis = Redis.from_url(self._url)

    def run(self) -> None:
        """Raises AssertionError when something does not happen that should."""
        with ExitStack() as stack:
            commands = Commands(self._deployment, self._url, stack.enter_context(Zygote()))
            stack.enter_context(self._redis)
            with self._redis.client() as client:
                client.config_set("requirepass", self._canaries["password of redis"])
            stack.callback(self._client.close)
            gateway = stack.enter_context(Gateway(self._deployment, self._url, "--workers", "2"))
            stack.callback(self._end)
            self._start()
            self._send(gateway, requests.refused(self._canaries))
            self._send(gateway, requests.accepted(self._canaries))
            self._outage(gateway, commands)
            until(self._at_rest, what="the end of all deliveries")
            self._look_at_health(gateway)
            self._look_at_pages()
            for place, text in commands.all():
                self.take(place, text)
            self._look_at_command_lines()
            self._read_redis()
        self._read_files()

    # Processes

    def _start(self) -> None:
        self._start_worker()
        port = str(own_port())
        self._dashboard = f"http://127.0.0.1:{port}/"
        self._started("dashboard", self._deployment.command("dashboard", "--port", port))
        stock = str(Path(sys.executable).parent / "rq")
        self._started("rq worker", [stock, "worker", "-S", "json", "signed", "door"])
        worker, dashboard = self._processes[:2]
        until(lambda: "worker.started" in worker.text(), what="a worker")
        until(lambda: self._dashboard in dashboard.text(), what="the dashboard")

    def _start_worker(self) -> None:
        """A processor kills it: this is its supervisor."""
        if self._worker is None or self._worker.process.poll() is not None:
            self._worker = self._started(
                f"worker-{len(self._processes)}", self._deployment.command("worker")
            )

    def _started(self, name: str, words: list[str]) -> Process:
        place = {
            "PYTHONPATH": str(REPOSITORY),
            "HOOKLINE_CONFIG": str(self._root / "config"),
            "HOOKLINE_PROCESSORS": str(self._root / PROCESSORS),
            "RQ_REDIS_URL": self._url,
        }
        environ = self._deployment.environment(self._url) | place
        self._processes.append(Process(words, environ, self._root, self._root / f"{name}.log"))
        return self._processes[-1]

    def _end(self) -> None:
        for each in self._processes:
            if each.process.poll() is None:
                each.stop()

    # What happens

    def _send(self, gateway: Gateway, data: Iterable[bytes]) -> None:
        for each in data:
            self.take("answers", exchange(gateway.address, each, PATIENCE_SECONDS).raw)

    def _outage(self, gateway: Gateway, commands: Commands) -> None:
        come_back = hang(self._redis)
        try:
            self._send(gateway, requests.while_redis_is_away(self._canaries))
            self._look_at_health(gateway)
            for command in ("check", "events list", "dead-letters list"):
                self.take("cli without redis", commands.printed(command))
            self._read_spool()
        finally:
            come_back()

    def _at_rest(self) -> bool:
        self._start_worker()
        pending = [self._client.zcard(key) for key in self._client.scan_iter("hookline:pending:*")]
        return not any(pending) and not any(survey(self._root / "spool").requests.values())

    # What is seen

    def take(self, place: str, text: str | bytes) -> None:
        self.seen[place] += (text.encode() if isinstance(text, str) else text) + b"\n"

    def _look_at_health(self, gateway: Gateway) -> None:
        bearer = [("Authorization", f"Bearer {self._canaries['admin token']}")]
        for path in ("/metrics", "/readyz", "/livez", "/nowhere"):
            for answer in (gateway.get(path, bearer, admin=True), gateway.get(path, admin=True)):
                self.take("metrics and health", answer.raw)
            self.take("metrics and health", gateway.get(path).raw)

    def _look_at_pages(self) -> None:
        jobs = [key.decode().removeprefix("rq:job:") for key in self._client.scan_iter("rq:job:*")]
        password = self._canaries["admin token"]
        for page in crawled(self._dashboard, password, jobs[:20], ("signed", "door")):
            self.take("dashboard", page)

    def _look_at_command_lines(self) -> None:
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_bytes()
                if str(self._root).encode() in words + Path(f"/proc/{name}/environ").read_bytes():
                    self.take("command lines", words.replace(b"\0", b" "))

    def _read_spool(self) -> None:
        for path in filter(Path.is_file, sorted((self._root / "spool").rglob("*"))):
            self.take("spool", path.read_bytes())
            assert not path.stat().st_mode & 0o077, f"others may read {path}"

    def _read_redis(self) -> None:
        for key in self._client.scan_iter(count=1000):
            place = "redis " + ":".join(key.decode(errors="replace").split(":")[:2])
            self.take(place, key)
            self.take(place, contents(self._client, key))

    def _read_files(self) -> None:
        for path in sorted(self._root.glob("*.log")):
            self.take("log " + path.stem.partition("-")[0], path.read_bytes())
        for path in sorted((self._root / "tmp").rglob("*")):
            self.take("temporary files", path.read_bytes() if path.is_file() else b"")
        for path in sorted(self._server.rglob("*.aof")):
            self.take("aof", path.read_bytes())
