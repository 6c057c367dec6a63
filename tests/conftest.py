"""Fixtures: a real server for the tests that need one, emptied before each. And how many examples
hypothesis tries: HYPOTHESIS_PROFILE=deep tries fifty times as many, at random.
"""

import compileall
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

import gateway
from gateway.adapters.embedded.binary import find_binary
from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.ledger.redis_clients import blocking_client

SLOW_IS_NO_FAILURE = [HealthCheck.too_slow]

# Reproducible by default: a run that fails by chance teaches people to press the button again.
settings.register_profile(
    "quick",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=SLOW_IS_NO_FAILURE,
)
settings.register_profile(
    "deep", max_examples=2000, deadline=None, database=None, suppress_health_check=SLOW_IS_NO_FAILURE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure(config: pytest.Config) -> None:
    """Hundreds of interpreters are started: where none of them may write bytecode, as in containers,
    each would compile all of ours anew, for a quarter of its life."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(gateway.__file__).parent, quiet=2)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One real Valkey for the whole run, the bundled one on every machine."""
    data: Path = tmp_path_factory.mktemp("valkey")
    embedded = EmbeddedServer(data, find_binary(prefer_bundled=True))
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """The URL of an empty server."""
    with blocking_client(server.url, 5.0) as client:
        client.flushall()
    return server.url


@pytest.fixture
def redis(redis_url: str) -> Iterator["Redis"]:
    with blocking_client(redis_url, 5.0) as client:
        yield client
