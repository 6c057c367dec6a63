"""A backlog made quickly: events put in by the gateway's own `accept`, without a gateway."""

import hashlib
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks import push
from benchmarks.peers.hookline import SOURCE, Hookline
from benchmarks.server import Server
from gateway.adapters.ledger import calls
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.configuration import load_config
from gateway.core.event import Event, event_id
from gateway.core.source import Source

AT_ONCE = 128
LOOK_MS = 30_000
KEYS = Keys("hookline")
HEADERS = (
    (b"host", b"127.0.0.1"),
    (b"user-agent", b"GitHub-Hookshot/be9c1d2"),
    (b"accept", b"*/*"),
    (b"content-type", b"application/json"),
    (b"x-github-event", b"push"),
    (b"x-github-hook-id", b"412889041"),
)


def source_of(deployment: Hookline) -> Source:
    """The source as the gateway reads it from the deployment's files."""
    found = load_config(Path(deployment.config), deployment.environment).source(SOURCE)
    assert found is not None
    return found


def events(body: bytes) -> Iterator[Event]:
    """Events without end, as GitHub's preset makes them of requests; no id or proof comes twice."""
    run_id = f"{secrets.randbits(32):08x}-0000-4000-8000-"
    number = 0
    while True:
        number += 1
        given = f"{run_id}{number:012x}"
        proof = hashlib.blake2b(given.encode(), digest_size=16).digest()
        identity = event_id(SOURCE, "id", given.encode())
        headers = (*HEADERS, (b"x-github-delivery", given.encode()))
        yield Event(identity, SOURCE, "push", given, headers, body, 0.0, proof)


def fill(store: Server, deployment: Hookline, many: int, body: bytes = b"") -> list[str]:
    """Accepts so many events, of 2 KB unless `body` says otherwise, and returns their ids."""
    source, ids = source_of(deployment), []
    arriving = islice(events(body or push.body()), many)
    while batch := list(islice(arriving, AT_ONCE)):
        run(store.client, KEYS, calls.accept([(each, source, ("read",)) for each in batch], LOOK_MS))
        ids += [each.id for each in batch]
    return ids
