"""The only place that puts parts together: configuration, processors and adapters."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.http.edge import Deployment, Limits
from gateway.adapters.http.flood import FloodGuard
from gateway.adapters.http.lasting import Lasting
from gateway.adapters.http.quota import RedisQuota
from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.spool.slots import problem_of
from gateway.application import Application
from gateway.builtin import processor_of
from gateway.configuration import Config, load_config
from gateway.core.event import INTERNAL
from gateway.core.judging import Condition
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.signature_places import SignaturePlaces
from gateway.core.source import Source
from gateway.core.template import Reference, compile_template
from gateway.discovery import discover
from gateway.faults import ConfigError, Fault
from gateway.ingest import Ingest
from gateway.routes import build_router


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment's files are. From the command line, else the environment, else defaults."""

    config: Path
    processors: Path

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Place":
        return cls(
            Path(environ.get("HOOKLINE_CONFIG", "config")),
            Path(environ.get("HOOKLINE_PROCESSORS", "processors")),
        )


def load_application(place: Place, environ: Mapping[str, str] = os.environ) -> Application:
    """Raises ConfigError with every fault of configuration and processors together."""
    faults: list[Fault] = []
    config: Config | None = None
    try:
        config = load_config(place.config, environ)
    except ConfigError as error:
        faults += error.faults
    built_in = tuple(map(processor_of, config.builtin)) if config else None
    processors, processor_faults = discover(place.processors, built_in)
    faults += processor_faults
    if faults or config is None:
        raise ConfigError(faults)
    return Application(config, processors)


def idle_processors(app: Application) -> list[str]:
    """Processors of a source that is not configured: they would wait for ever. For a warning."""
    names = [source.name for source in app.config.sources]
    return [
        f"{each.origin}: {each.name} waits for source {each.source!r}, which is not configured"
        for each in app.processors.values()
        if each.source not in (*names, INTERNAL)
    ]


def spool_faults(config: Config) -> list[Fault]:
    """What keeps a gateway from keeping events on disk, where a source wants that."""
    names = [source.name for source in config.sources if source.spool]
    directory = config.settings.spool.directory
    problem = problem_of(Path(directory)) if names else ""
    if not problem:
        return []
    mend = (
        "make it one that the gateway can write to (or name another, also in HOOKLINE_SPOOL),"
        f" or set spool = false in the files of {', '.join(names)}"
    )
    return [Fault("gateway.toml", "spool.directory", f"{directory!r}: {problem}", mend)]


def redis_url(config: Config, environ: Mapping[str, str] = os.environ) -> str | None:
    """REDIS_URL, else redis.url of the settings; None: nothing is set."""
    if environ.get("REDIS_URL"):
        return environ["REDIS_URL"]
    url = config.settings.redis.url
    if url and url.startswith("env:"):
        return environ.get(url.removeprefix("env:"))
    return url


def build_deployment(app: Application, url: str, lasting: Lasting) -> Deployment:
    """What the edge serves from; a reload builds a new one and swaps it in whole."""
    if any(source.key_source for source in app.config.sources):
        lasting.client.ready()  # now, and not in the middle of a request
    lasting.secret_use.configured({source.name: source.secrets for source in app.config.sources})
    lasting.pressure.configured(app.config.sources)
    settings = app.config.settings
    look_ms = int(settings.worker.look_interval * 1000)
    ingest = Ingest(
        AsyncLedger(*lasting.accepting, look_ms=look_ms, replicas=settings.redis.awaited_replicas),
        RedisQuota(url, settings.redis.prefix, settings.redis.timeout),
        build_router(app.processors, _conditions(app.config)),
        lasting.keys,
        lasting.lessons,
        lasting.refused,
        lasting.visits,
        spool=lasting.spool,
        pressure=lasting.pressure,
    )
    limits = Limits(
        settings.server.max_headers,
        int(settings.server.max_header_bytes),
        settings.server.body_deadline,
        int(settings.server.max_in_flight),
    )
    return Deployment(
        {source.name: source for source in app.config.sources},
        decoy(settings.server.trusted_proxies),
        ingest,
        FloodGuard(settings.server.flood_limit),
        limits,
    )


def _conditions(config: Config) -> dict[str, Condition]:
    return {source.name: source.when for source in config.sources if source.when}


def decoy(trusted_proxies: int) -> Source:
    """What an unknown path meets: a source whose secret nobody has, so that it looks like any other."""
    header = Reference("header", "x-hub-signature-256")
    scheme = SignatureScheme(
        ALGORITHMS["hmac-sha256"],
        SignaturePlaces((header,), prefix=b"sha256="),
        (compile_template("{body}"),),
    )
    return Source(
        name="unknown",
        path="",
        queue="",
        scheme=scheme,
        keys=(scheme.load_key(secrets.token_bytes(32)),),
        trusted_proxies=trusted_proxies,
    )
