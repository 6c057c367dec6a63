"""What a command on stored things works with: the deployment, its Redis, and ways to find things."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.cli.shared.deployment import load_or_exit
from gateway.cli.shared.exits import NOT_FOUND, UNAVAILABLE, fail, fail_unknown
from gateway.cli.shared.options import Moment
from gateway.cli.shared.server import connect_or_exit
from gateway.core.masking import is_proof, proof_places

if TYPE_CHECKING:
    from redis import Redis

    from gateway.adapters.ledger.event_records import EventRecord
    from gateway.adapters.ledger.reader import Reader
    from gateway.application import Application
    from gateway.replay import Candidate, Result, Selection

SECRET_HEADER: Final = re.compile(
    r"auth|signature|cookie|token|secret|hmac|api-?key|passw|jwt|session|credential", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Desk:
    """Every method raises redis.RedisError; `open_desk` makes a status of it."""

    app: "Application"
    client: "Redis"
    reader: "Reader"

    def sources(self, name: str | None) -> tuple[str, ...]:
        """The one asked for, else the configured and the once known; status 3 for an unknown one."""
        configured = {each.name for each in self.app.config.sources}
        known = sorted(configured | self.reader.known_sources())
        if name is not None and name not in known:
            fail_unknown("source", name, known)
        return tuple(known) if name is None else (name,)

    def between(self, since: Moment, until: Moment) -> tuple[float, float]:
        """Unix seconds; what is not said is no bound."""
        return self._time(since, 0.0), self._time(until, float("inf"))

    def _time(self, moment: Moment, default: float) -> float:
        """A duration counts back from Redis' now, by whose clock events are stored."""
        if isinstance(moment, timedelta):
            return self.reader.now() - moment.total_seconds()
        return default if moment is None else moment.timestamp()

    def find(self, name: str) -> "tuple[EventRecord, str | None]":
        """The event, and which delivery of it was named; status 3 when there is none."""
        from gateway.replay import refer

        event_id, delivery = refer(name) or (None, None)
        if event_id is None:
            fail(
                NOT_FOUND,
                f"{name!r} is no id of an event (evt_...) or of a delivery (dlv_...-1).\n"
                "With the id that the provider gave, write SOURCE:ID, such as stripe:evt_1Abc.",
            )
        event = self.reader.event(event_id)
        if event is None or (delivery and event.delivery(delivery) is None):
            fail(NOT_FOUND, f"{name!r} is not known: never accepted, or its record has expired.")
        return event, delivery

    def choose(
        self, ids: Sequence[str], selection: "Selection", limit: int | None = None
    ) -> "tuple[list[Candidate], list[Result]]":
        """What the ids stand for, and those that stand for nothing; without ids, what is selected."""
        from gateway.adapters.ledger.reader import ReplayArchive
        from gateway.replay import expand, select

        archive = ReplayArchive(self.reader)
        if not ids:
            return list(islice(select(archive, selection), limit)), []
        found, refused = expand(archive, ids, selection.state)
        return found[:limit], refused

    def headers(self, event: "EventRecord") -> list[tuple[str, str]] | None:
        """As they came, without what proves who sends: an old token may still be good."""
        headers = self.reader.headers(event.id)
        if headers is None:
            return None
        source = self.app.config.source(event.source)
        proof = proof_places(source.scheme) if source else frozenset()
        return [
            (
                name,
                "***"
                if SECRET_HEADER.search(name) or is_proof(f"header.{name.lower()}", proof)
                else value,
            )
            for name, value in headers
        ]


@contextmanager
def open_desk() -> Iterator[Desk]:
    """The checked deployment and its Redis; when that goes away meanwhile, status 69."""
    app = load_or_exit()
    client = connect_or_exit(app)
    from redis.exceptions import RedisError

    from gateway.adapters.ledger.reader import Reader
    from gateway.adapters.ledger.redis_keys import Keys

    try:
        yield Desk(app, client, Reader(client, Keys(app.prefix)))
    except RedisError as error:
        fail(UNAVAILABLE, f"Redis does not answer any more: {error}")
    finally:
        client.close()
