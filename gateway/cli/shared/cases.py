"""What `hookline explain` is asked about: a request from a file or from Redis, and what judges it."""

import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.shared.desk import Desk, open_desk
from gateway.cli.shared.exits import FAILED, NOT_FOUND, fail
from gateway.cli.shared.judges import Asked, Judge, all_presets, by_preset, by_source
from gateway.cli.shared.printing import note

if TYPE_CHECKING:
    from gateway.core.capture import Captured
    from gateway.diagnosis import Case

STORED: Final = ("evt_", "dlv_", "ref_")


def case_of(asked: Asked) -> "Case":
    """Exits with status 2 for what was asked wrongly, 3 for what is not there, 78 for a bad config."""
    from gateway.core.capture import CaptureError
    from gateway.diagnosis import Case

    if asked.preset and asked.source:
        raise click.UsageError("Give either SOURCE or --preset.")
    at = _moment(asked.at)
    captured = _stored(asked) if _is_stored(asked.what) else _from_file(asked.what)
    judge = by_preset(asked) if asked.preset else by_source(asked, captured.source)
    known = at if at is not None else captured.received_at
    now = time.time() if known is None else known
    try:
        request = captured.request(now, _url(asked, judge))
    except (CaptureError, ValueError) as error:
        raise click.UsageError(f"{asked.what}: {error}") from None
    return Case(
        request,
        judge.scheme,
        judge.secrets,
        now,
        preset=judge.preset,
        source=judge.source,
        size=captured.body_size,
        others=judge.others,
        presets=all_presets,
        hidden=judge.hidden,
    )


def _url(asked: Asked, judge: Judge) -> str:
    from gateway.units import check_url

    if asked.url is None:
        return judge.url
    try:
        return check_url(asked.url)
    except ValueError as error:
        raise click.UsageError(f"--url {error}") from None


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _iso(text)
    if not math.isfinite(seconds) or not 0 <= seconds < 1e11:
        raise click.UsageError(f"--at {text!r} is no time: write Unix seconds, not milliseconds")
    return seconds


def _iso(text: str) -> float:
    """UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        mend = "write Unix seconds (1700000000) or ISO 8601 (2026-01-31T14:00:00Z)"
        raise click.UsageError(f"--at {text!r} is no time: {mend}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_stored(what: str) -> bool:
    return what.startswith(STORED) and not Path(what).exists()


def _from_file(what: str) -> "Captured":
    from gateway.core.capture import Captured, CaptureError

    try:
        text = sys.stdin.buffer.read() if what == "-" else Path(what).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path can be"
        mend = "Name a file, the id of an event (evt_...) or of a refused request (ref_...)."
        fail(NOT_FOUND, f"{what} cannot be read: {reason}. {mend}")
    try:
        captured = Captured.from_json(text)
        (captured.method + captured.url).encode()  # JSON can hold halves of letters, HTTP cannot
    except (CaptureError, UnicodeEncodeError) as error:
        raise click.UsageError(f"{what}: {error}") from None
    return captured


def _stored(asked: Asked) -> "Captured":
    with open_desk() as desk:
        return _refused(desk, asked.what) if asked.what.startswith("ref_") else _event(desk, asked.what)


def _event(desk: Desk, what: str) -> "Captured":
    """As it arrived, but for what an event does not keep."""
    from gateway.core.capture import Captured

    event, _ = desk.find(what)
    headers, body = desk.reader.headers(event.id), desk.reader.body(event.id)
    if headers is None or body is None:
        fail(NOT_FOUND, f"The body of {event.id} is gone: its retention has ended.")
    source = desk.app.config.source(event.source)
    path = source.path if source else f"/hooks/{event.source}"
    pairs = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    note("Of an event neither method nor query is kept, and of a batch only its own part of the body.")
    return Captured("POST", path, pairs, body, len(body), event.received, event.source)


def _refused(desk: Desk, what: str) -> "Captured":
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.adapters.ledger.refused_reader import RefusedReader

    reader = RefusedReader(desk.client, Keys(desk.app.prefix))
    (place,) = reader.find(desk.sources(None), [what])
    refused = reader.read([place], bodies=True)[0] if place else None
    if place is None or refused is None:
        fail(
            NOT_FOUND, f"{what!r} is no refused request that is kept: the log is short, or it is gone."
        )
    if not place.quarantined:
        mend = (
            f'on_bad_signature = "quarantine" in sources/{place.source}.toml keeps the next ones whole'
        )
        reason = refused.captured.reason
        fail(FAILED, f"{what} was refused as {reason}; the log has it masked and cut: {mend}.")
    return refused.captured
