"""Events to call a processor with: of a sample, of a captured fixture, of one that really came."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gateway import samples
from gateway.core.event import event_id
from gateway.fixture import Fixture
from gateway.plugins import Event
from gateway.signing import with_values
from gateway.testing.clock import NOON

RECORDED: Final = ("evt_", "dlv_")


def make_event(
    source: str | Path,
    type: str = "",
    payload: Any = None,
    *,
    body: bytes | None = None,
    changes: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    provider_id: str = "",
    attempt: int = 1,
    received_at: datetime | None = None,
    processor: str = "",
) -> Event:
    """An event as a processor gets it.

    `source` is a preset, whose sample for `type` is taken where there is neither `payload` nor `body`;
    or the path of a captured fixture; or the id of an event in the ledger (`evt_...`), with REDIS_URL
    or beside a running `hookline dev`. `changes` are values at dotted paths of a JSON body.

    Raises LookupError (gateway.samples.UnknownSample) or FixtureError when there is none.
    """
    if payload is not None:
        body = json.dumps(payload).encode()
    event = _found(source, type, body)
    body = event.body if body is None else body
    said: dict[str, Any] = {
        "type": type,
        "headers": dict(headers or {}),
        "received_at": received_at,
        "provider_id": provider_id,
        "id": provider_id and event_id(event.source, "id", provider_id.encode()),
    }
    return replace(
        event,
        body=with_values(body, dict(changes)) if changes else body,
        attempt=attempt,
        fence=attempt,
        processor=processor,
        **{name: value for name, value in said.items() if value},
    )


def _found(source: str | Path, type: str, body: bytes | None) -> Event:
    if isinstance(source, Path) or source.endswith(".toml"):
        return of_fixture(Fixture.read(source))
    if source.startswith(RECORDED):
        return recorded(source)
    known = samples.load(source, type).body if body is None else body
    return Event(event_id(source, "id", b"1"), source, type, "1", {}, known, NOON)


def of_fixture(fixture: Fixture) -> Event:
    captured = fixture.captured
    named = ("id", fixture.provider_id.encode())
    unnamed = ("body", sha256(captured.body).digest())
    return Event(
        id=event_id(fixture.source, *(named if fixture.provider_id else unnamed)),
        source=fixture.source,
        type=fixture.type,
        provider_id=fixture.provider_id,
        headers=joined(as_text(captured.headers)),
        body=captured.body,
        received_at=datetime.fromtimestamp(captured.received_at or 0.0, UTC),
    )


def as_text(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1"), text.decode("latin-1")) for name, text in headers)


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A repeated header's values are joined, as a worker does it."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def recorded(name: str) -> Event:
    """The event of that id (or of a delivery's) from the ledger. Raises LookupError."""
    from gateway.adapters.ledger.reader import Reader
    from gateway.adapters.ledger.redis_clients import blocking_client
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.replay import refer

    event, _ = refer(name) or ("", None)
    url, prefix = _ledger()
    with blocking_client(url, 5.0) as client:
        reader = Reader(client, Keys(prefix))
        record, body, headers = reader.event(event), reader.body(event), reader.headers(event)
    if record is None:
        raise LookupError(f"{name} is not known: never accepted, or its record has expired")
    if body is None or headers is None:
        raise LookupError(f"the body of {name} is gone: its retention has ended")
    received = datetime.fromtimestamp(record.received, UTC)
    return Event(event, record.source, record.type, record.provider_id, joined(headers), body, received)


def _ledger() -> tuple[str, str]:
    """The URL and the prefix by this deployment's settings; of a dev server that runs here."""
    from gateway.configuration import read_file
    from gateway.secret_refs import SecretRefError, resolve
    from gateway.settings import Settings
    from gateway.wiring import Place

    file = Place.from_environ().config / "gateway.toml"
    settings = (read_file(file, Settings, []) if file.exists() else None) or Settings()
    url = os.environ.get("REDIS_URL") or settings.redis.url or ""
    if url.startswith("env:"):
        try:
            url = resolve(url, os.environ).value.decode()
        except SecretRefError:
            url = ""
    url = url or _dev_server()
    if not url:
        raise LookupError("no ledger to read it from: set REDIS_URL, or run `hookline dev` here")
    return url, settings.redis.prefix


def _dev_server() -> str:
    try:
        record = json.loads(Path(".hookline/redis/server.json").read_text())
        return f"unix://{record['socket']}" if Path(record["socket"]).exists() else ""
    except (OSError, ValueError, KeyError):
        return ""
