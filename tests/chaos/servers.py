"""Servers in pairs, and the sentinel that looks after them: real ones, on ports of their own."""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.adapters.embedded.binary import find_binary
from tests.e2e.redis_server import DURABLE, RedisServer
from tests.e2e.rig import until

QUICK_REPLICA: Final = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
NAME: Final = "shop"


class Server(RedisServer):
    """`more`: settings that are not as everywhere."""

    def __init__(self, data: Path, **more: str) -> None:
        super().__init__(data)
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        self.more = {name.replace("_", "-"): value for name, value in more.items()}

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        self.launch()
        until(self._answers, what="the server's answer")

    def launch(self) -> None:
        """Returns at once."""
        place = {"bind": "127.0.0.1", "port": str(self._port), "dir": str(self.data)}
        settings = DURABLE | QUICK_REPLICA | place | self.more
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        program = find_binary(prefer_bundled=True).path
        self._process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)

    def ask(self, *words: str | int) -> Any:
        """A command's reply. Raises redis.RedisError."""
        with self.client() as client:
            return client.execute_command(*words)

    def ask_as(self, password: str, *words: str | int) -> Any:
        with Redis(port=self._port, password=password) as client:
            return client.execute_command(*words)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def replication(self) -> dict[str, Any]:
        with self.client() as client:
            found: dict[str, Any] = client.info("replication")
        return found

    def follow(self, primary: "Server") -> None:
        """Returns when it has all that the primary has."""
        self.ask("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda: self.replication().get("master_link_status") == "up", what="the replica's link")
        until(lambda: primary.ask("WAIT", 1, 100), what="the replica's first answer")

    @property
    def role(self) -> str:
        """`master` or `slave`; empty: it does not say. Who is demoted hangs up on all its clients."""
        try:
            return str(self.replication()["role"])
        except RedisError:
            return ""

    def lead(self) -> None:
        self.ask("REPLICAOF", "NO", "ONE")


class Sentinel(Server):
    """One that alone decides, soon after its server is silent."""

    def __init__(self, data: Path, primary: Server) -> None:
        super().__init__(data)
        self._primary = primary
        self.url = f"redis+sentinel://127.0.0.1:{self._port}/{NAME}"
        self._direct = f"redis://127.0.0.1:{self._port}"

    def launch(self) -> None:
        config = self.data / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nbind 127.0.0.1\ndir {self.data}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self._primary.port} 1\n"
            f"sentinel down-after-milliseconds {NAME} 500\n"
            f"sentinel failover-timeout {NAME} 3000\n"
        )
        program = str(find_binary(prefer_bundled=True).path)
        self._process = subprocess.Popen(
            [program, str(config), "--sentinel"], stdout=subprocess.DEVNULL
        )

    def client(self) -> Any:
        from gateway.adapters.ledger.redis_clients import blocking_client

        return blocking_client(self._direct, 5.0)

    def start(self) -> None:
        super().start()
        for period in ("INFO-PERIOD", "PING-PERIOD", "PUBLISH-PERIOD"):  # else ten seconds and one
            self.ask("SENTINEL", "DEBUG", period, 100)

    def knows_replicas(self) -> int:
        return len(self.ask("SENTINEL", "REPLICAS", NAME))

    def hand_over(self) -> None:
        """Returns when it has begun to: the sentinel must have heard from the replica of late."""
        until(self._hands_over, what="the sentinel's choice of a replica")

    def _hands_over(self) -> bool:
        try:
            return bool(self.ask("SENTINEL", "FAILOVER", NAME))
        except ResponseError:
            return False

    def leader(self) -> int:
        """The port of the server that clients are told."""
        return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])


class Pair:
    """A primary and a replica that has all it has."""

    def __init__(self, root: Path, **more: str) -> None:
        self.primary = Server(root / "primary", **more)
        self.replica = Server(root / "replica", **more)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._kill)
            self.primary.launch()
            self.replica.start()
            until(self.primary._answers)
            self.replica.follow(self.primary)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _kill(self) -> None:
        self.primary.kill()
        self.replica.kill()
