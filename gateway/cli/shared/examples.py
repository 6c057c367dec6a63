"""What a new processor is made after: recorded events of its source, else its preset's samples.

Of recorded events only the shape is used: no value that a provider sent is written into a file.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from gateway import samples
from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.desk import Desk
from gateway.cli.shared.exits import FAILED, NOT_FOUND, UNAVAILABLE, fail
from gateway.cli.shared.printing import note
from gateway.cli.shared.server import connect_or_exit, find_url, safe_url

if TYPE_CHECKING:
    from redis import Redis

    from gateway.application import Application

MOST_RECORDED: Final = 20
MOST_LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class Examples:
    """Bodies of one kind: `json` objects, `form`s, or `other`. `type`: of the first, the newest."""

    origin: str
    """recorded, sample, or none: then there are no payloads."""
    type: str
    kind: str
    payloads: tuple[dict[str, Any], ...]


def recorded_or_samples(source: str, preset: str | None, glob: str) -> Examples:
    """The best there is. A ledger that does not answer is told of, and done without."""
    found = _newest(source, glob)
    if found:
        return _examples("recorded", found)
    return samples_of(preset, glob)


def samples_of(preset: str | None, glob: str) -> Examples:
    types = samples.types(preset) if preset in samples.presets() and preset else []
    found = [(each, samples.load(preset or "", each).body) for each in types if fnmatchcase(each, glob)]
    return _examples("sample", found) if found else Examples("none", "", "json", ())


def recorded(source: str, glob: str, name: str) -> Examples:
    """The one event that is named; how it ends where that is none of them: status 3 or 1."""
    from redis.exceptions import RedisError

    app = _settings_only()
    try:
        with _desk(app, connect_or_exit(app)) as desk:
            event, _ = desk.find(name)
            body = desk.reader.body(event.id)
    except RedisError as error:
        fail(UNAVAILABLE, f"Redis does not answer any more: {error}")
    if event.source != source or not fnmatchcase(event.type, glob):
        fail(FAILED, f"{event.id} is an event {event.type!r} of {event.source}: name these two.")
    if body is None:
        fail(NOT_FOUND, f"{event.id}: its body is gone, the retention has ended. Leave --from out.")
    return _examples("recorded", [(event.type, body)])


def _newest(source: str, glob: str) -> list[tuple[str, bytes]]:
    from redis.exceptions import RedisError

    from gateway.adapters.ledger.redis_clients import blocking_client

    app = _settings_only()
    url = find_url(app)
    if url is None:
        return []
    try:
        with _desk(app, blocking_client(url, app.config.settings.redis.timeout)) as desk:
            return list(_bodies(desk, source, glob))
    except (RedisError, OSError, ValueError):
        note(f"{safe_url(url)} does not answer: recorded events are not looked at.")
        return []


def _bodies(desk: Desk, source: str, glob: str) -> Iterator[tuple[str, bytes]]:
    """Types and bodies, the newest first."""
    events = islice(desk.reader.received([source], newest_first=True), MOST_LOOKED_AT)
    wanted = (each for each in events if fnmatchcase(each.type, glob))
    for each in islice(wanted, MOST_RECORDED):
        if (body := desk.reader.body(each.id)) is not None:
            yield each.type, body


def _settings_only() -> "Application":
    """Neither sources nor secrets are needed to read the ledger: a fresh checkout has none set."""
    from gateway.application import Application
    from gateway.configuration import Config, read_file
    from gateway.settings import Settings

    path = current_place().config / "gateway.toml"
    settings = read_file(path, Settings, []) if path.exists() else None
    return Application(Config(settings or Settings(), ()), {})


@contextmanager
def _desk(app: "Application", client: "Redis") -> Iterator[Desk]:
    from gateway.adapters.ledger.reader import Reader
    from gateway.adapters.ledger.redis_keys import Keys

    try:
        yield Desk(app, client, Reader(client, Keys(app.prefix)))
    finally:
        client.close()


def _examples(origin: str, found: Sequence[tuple[str, bytes]]) -> Examples:
    """Those of the kind that the first one is of."""
    parsed = [(kind, name, payload) for name, body in found for kind, payload in [parse(body)]]
    first, name, _ = parsed[0]
    payloads = tuple(payload for kind, _, payload in parsed if kind == first and first != "other")
    return Examples(origin, name, first, payloads)


def parse(body: bytes) -> tuple[str, dict[str, Any]]:
    """The body's kind, and what is in it by name."""
    with suppress(ValueError, RecursionError):
        payload = json.loads(body)
        return ("json", payload) if isinstance(payload, dict) else ("other", {})
    with suppress(ValueError):
        return "form", dict(parse_qsl(body.decode(), strict_parsing=True))
    return "other", {}
