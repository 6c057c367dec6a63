"""The model of `config/gateway.toml`: this deployment's process settings. Times are in seconds."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.catalogue import Strict
from gateway.units import Duration, PublicUrl, Rate, Size

Port = Annotated[int, Field(ge=0, le=65535)]


class ServerSettings(Strict):
    """Where providers call."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: PublicUrl | None = None
    """What providers call, such as https://hooks.example.com: some sign the URL."""
    workers: Annotated[int, Field(ge=1, le=128)] = 1
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    """How many proxies of ours append to X-Forwarded-For; 0: the peer is the client."""
    flood_limit: Rate = "6000/minute"
    """Requests of one client address, counted in memory before anything else is looked at."""
    max_headers: Annotated[int, Field(ge=10)] = 100
    max_header_bytes: Size = Size(32 * 1024)
    body_deadline: Duration = 10.0
    max_in_flight: Size = Size(256 * 1024 * 1024)
    """Bytes of bodies that one process holds at once; what comes beyond is told to come again."""
    max_connections: Annotated[int, Field(ge=10)] = 10_000
    """Of one process, as far as its limit of open files goes. Beyond it the one is closed whose request
    has been waited for longest."""
    drain: Duration | None = None
    """After SIGTERM, how long connections are taken while /readyz says 503, for a load balancer."""
    grace: Duration = 20.0
    """How long open requests may take once it takes no more connections."""


class AdminSettings(Strict):
    """Metrics and the read API, never on the port that providers call."""

    host: str = "127.0.0.1"
    port: Port = 8081
    token: str | None = None
    """A reference (env:NAME or file:/path); required when `host` is not loopback."""


class RedisSettings(Strict):
    url: Annotated[str | None, Field(repr=False)] = None
    """A Redis URL, or env:NAME. The environment variable REDIS_URL goes before it."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.{}-]+$")] = "hookline"
    durability: Literal["replicated", "always", "everysec", "memory"] = "always"
    """What is awaited before a 2xx: that the server has fsynced, and with "replicated" that `replicas`
    have it too. "everysec": it fsyncs within a second; "memory": nothing."""
    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    timeout: Duration = 1.0

    @property
    def awaited_replicas(self) -> int:
        """How many have to confirm an event before its 2xx."""
        return self.replicas if self.durability == "replicated" else 0


class SpoolSettings(Strict):
    """Where a gateway keeps verified requests of sources that spool while Redis is away."""

    directory: Annotated[str, Field(min_length=1)] = ".hookline/spool"
    """Relative to the working directory. On a disk of this machine; several gateways may share it.
    The environment variable HOOKLINE_SPOOL goes before it."""
    max_bytes: Size = Size(256 * 1024 * 1024)
    """Of each gateway process. Beyond it requests are answered 503."""
    max_events: Annotated[int, Field(ge=1)] = 100_000
    """Of each gateway process; the events of a batch are one."""
    keep_free: Size = Size(64 * 1024 * 1024)
    """Space on the disk that is left to others."""


class WorkerSettings(Strict):
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    lease: Duration = 30.0
    """A worker that has not renewed for this long is taken for dead."""
    sweep_interval: Duration = 1.0
    look_interval: Duration = 30.0
    """How long a rung delivery may lie before the sweeper looks whether its bell was lost."""
    abandon_after: Annotated[int, Field(ge=3, le=1000)] = 10
    """How many workers may vanish under a delivery before it is a dead letter, its doing or not."""
    grace: Duration = 25.0
    """How long running processors may take after SIGTERM."""
    dead_letters_alarm: Annotated[int, Field(ge=1)] = 10_000
    """From so many dead letters of a source on the log says so. They are kept all the same."""
    max_memory: Size | None = None
    """Beyond it a worker takes on no more, ends what it holds within the grace, and starts anew."""


class RetrySettings(Strict):
    """Exponential delay with full jitter: a random part of first_delay * factor ** (attempt - 1)."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 8
    first_delay: Duration = 10.0
    factor: Annotated[float, Field(ge=1, le=10)] = 3.0
    longest_delay: Duration = 3600.0


class SourceWide(Strict):
    """What every source gets unless its preset or its own file says otherwise."""

    max_body: Size = Size(1024 * 1024)
    dedup_window: Duration = 7 * 86400.0
    retention: Duration = 3 * 86400.0
    attempt_timeout: Duration = 60.0
    max_pending: Annotated[int, Field(ge=1)] | None = None
    """Deliveries of one source that are neither done nor dead. Absent: what Redis has memory for."""
    retry: RetrySettings = RetrySettings()


class LogSettings(Strict):
    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Strict):
    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    redis: RedisSettings = RedisSettings()
    spool: SpoolSettings = SpoolSettings()
    worker: WorkerSettings = WorkerSettings()
    defaults: SourceWide = SourceWide()
    log: LogSettings = LogSettings()
