"""What `hookline capture` begins with: a stored event, or a refused request that was kept whole."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.cli.shared.desk import Desk
from gateway.cli.shared.exits import FAILED, NOT_FOUND, fail

if TYPE_CHECKING:
    from gateway.core.capture import Captured


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of a webhook before it is captured: of a refused request, less."""

    captured: "Captured"
    type: str = ""
    provider_id: str = ""


def stored_event(desk: Desk, name: str) -> Stored:
    """Status 3 for an unknown one, and for one whose body is gone."""
    from gateway.core.capture import Captured

    event, _ = desk.find(name)
    headers, body = desk.reader.headers(event.id), desk.reader.body(event.id)
    if headers is None or body is None:
        fail(
            NOT_FOUND,
            f"The body of {event.id} is gone: its retention has ended. Capture sooner, or raise"
            f" retention in sources/{event.source}.toml.",
        )
    source = desk.app.config.source(event.source)
    url = (source.url or source.path) if source else f"/hooks/{event.source}"
    pairs = tuple((key.encode("latin-1"), value.encode("latin-1")) for key, value in headers)
    captured = Captured("POST", url, pairs, body, len(body), event.received, event.source)
    return Stored(captured, event.type, event.provider_id)


def stored_refusal(desk: Desk, name: str) -> Stored:
    """Status 3 for an unknown one, 1 for one of which only a masked part is kept."""
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.adapters.ledger.refused_reader import RefusedReader

    reader = RefusedReader(desk.client, Keys(desk.app.prefix))
    (place,) = reader.find(desk.sources(None), [name])
    refused = reader.read([place], bodies=True)[0] if place else None
    if place is None or refused is None:
        fail(NOT_FOUND, f"{name!r} is no refused request that is kept: see `hookline refused list`.")
    if not place.quarantined:
        mend = (
            f'on_bad_signature = "quarantine" in sources/{place.source}.toml keeps the next ones whole'
        )
        fail(FAILED, f"{name} is in the log only, masked and cut: {mend}.")
    source = desk.app.config.source(place.source)
    base, mark, query = refused.captured.url.partition("?")
    public = (source.url if source else "") or base  # which some providers sign
    return Stored(replace(refused.captured, source=place.source, url=public + mark + query))
