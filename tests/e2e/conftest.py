"""What the end-to-end tests share: one running gateway, and the ledger behind it."""

from collections.abc import Iterator

import pytest

from gateway.adapters.embedded.binary import find_binary
from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.ledger.redis_clients import blocking_client
from tests.e2e.deployments import plain
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import Gateway


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One of their own: the shared gateway writes into it as long as it runs, and other tests compare
    the whole of their database."""
    embedded = EmbeddedServer(tmp_path_factory.mktemp("e2e_valkey"), find_binary(prefer_bundled=True))
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def gateway(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests that do not stop it. Its sources are those of `deployments.plain`."""
    with Gateway(plain(tmp_path_factory.mktemp("gateway")), server.url) as running:
        yield running


@pytest.fixture
def ledger(server: EmbeddedServer) -> Iterator[LedgerView]:
    """What the shared gateway has stored."""
    with blocking_client(server.url, 5.0) as client:
        yield LedgerView(client)
