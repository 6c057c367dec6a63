"""`hookline events`: what came in and what became of it. And how stored things are shown at all.

What senders wrote is shown with every unprintable character escaped: it must not command a terminal.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli.common import (
    FAILED,
    NOT_FOUND,
    UNAVAILABLE,
    connect_or_exit,
    fail,
    json_option,
    load_or_exit,
    place_options,
    print_table,
)
from gateway.core.outcomes import DeliveryState

if TYPE_CHECKING:
    from redis import Redis

    from gateway.adapters.reader import DeliveryRecord, EventRecord, Failure, Reader
    from gateway.application import Application

T = TypeVar("T")
Moment = timedelta | datetime | None

INTERRUPTED: Final = 130
MOST_LOOKED_AT: Final = 10_000
SECRET_HEADER: Final = re.compile(
    r"auth|signature|cookie|token|secret|hmac|api-?key|passw|jwt|session|credential", re.IGNORECASE
)
TIMES: Final = {
    DeliveryState.PENDING: "due since",
    DeliveryState.LEASED: "lease ends",
    DeliveryState.WAITING: "next attempt",
    DeliveryState.DONE: "ended",
    DeliveryState.DEAD: "ended",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command on stored things works with."""

    app: "Application"
    client: "Redis"
    reader: "Reader"

    def sources(self, name: str | None) -> tuple[str, ...]:
        """The one asked for, else the configured and the once known; status 3 for an unknown one."""
        from gateway.faults import suggest

        configured = {each.name for each in self.app.config.sources}
        known = sorted(configured | self.reader.known_sources())
        if name is not None and name not in known:
            fail(NOT_FOUND, f"No source is named {printable(name)}: {suggest(name, known)}")
        return tuple(known) if name is None else (name,)

    def time(self, moment: Moment, default: float) -> float:
        """Unix seconds; a duration counts back from Redis' now, by whose clock events are stored."""
        if isinstance(moment, timedelta):
            return self.reader.now() - moment.total_seconds()
        return default if moment is None else moment.timestamp()


@contextmanager
def open_desk() -> Iterator[Desk]:
    """The checked deployment and its Redis; when that goes away meanwhile, status 69."""
    app = load_or_exit()
    client = connect_or_exit(app)
    from redis.exceptions import RedisError

    from gateway.adapters.reader import Reader
    from gateway.adapters.redis_keys import Keys

    try:
        yield Desk(app, client, Reader(client, Keys(app.prefix)))
    except RedisError as error:
        fail(UNAVAILABLE, f"Redis does not answer any more: {error}")
    except KeyboardInterrupt:
        fail(INTERRUPTED, "Interrupted.")
    finally:
        client.close()


def parse_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> Moment:
    """A duration back from now, or an ISO time, local where it names no zone."""
    from gateway.units import parse_duration

    if value is None:
        return None
    try:
        return timedelta(seconds=parse_duration(value))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        mend = "write how long ago (30m, 2h, 7d) or when (2026-01-31T14:00)"
        raise click.BadParameter(f"{value!r} is no time: {mend}", ctx, param) from None


def printable(text: str) -> str:
    """Text from outside for a terminal: what is not printable is escaped, a line break too."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def json_text(value: Any) -> str:
    """Indented JSON in which whatever could command a terminal is a JSON escape."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(
        sign if sign == "\n" or sign.isprintable() else json.dumps(sign)[1:-1] for sign in text
    )


def body_text(body: bytes) -> str:
    """JSON indented, other text as it is; each line safe for a terminal."""
    text = body.decode("utf-8", "backslashreplace")
    try:
        return json_text(json.loads(text))
    except (ValueError, RecursionError):
        return "\n".join(printable(line) for line in text.split("\n"))


def local(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def size_text(size: float) -> str:
    if size < 1024:
        return f"{size:.0f} B"
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


def show_newest(
    rows: Iterable[T],
    wants: Callable[[T], bool],
    limit: int,
    show: Callable[[list[T]], None],
    nothing: str,
) -> None:
    """Shows the first `limit` wanted rows, and says on stderr whether that is all.

    A filter that hardly anything passes must not read a whole index: it stops, and says where.
    """
    found: list[T] = []
    looked_at = 0
    for row in rows:
        if len(found) > limit or looked_at == MOST_LOOKED_AT:
            break
        looked_at += 1
        if wants(row):
            found.append(row)
    show(found[:limit])
    if len(found) > limit:
        click.echo(f"The newest {limit}; there are more: --limit or a filter shows them.", err=True)
    elif looked_at == MOST_LOOKED_AT:
        click.echo(f"Only the newest {looked_at} were looked at: filter more narrowly.", err=True)
    elif not found:
        click.echo(nothing, err=True)


@click.group()
def command() -> None:
    """List or show events."""


@command.command("list")
@place_options
@click.option("--source", help="Only of this source.")
@click.option(
    "--type", "glob", default="*", metavar="GLOB", help='Only of this type, such as "pull_*".'
)
@click.option(
    "--state",
    type=click.Choice([each.value for each in DeliveryState]),
    help="Only with a delivery in this state.",
)
@click.option("--since", callback=parse_moment, metavar="2h|ISO", help="Received since then.")
@click.option("--until", callback=parse_moment, metavar="2h|ISO", help="Received until then.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most N."
)
@json_option
def list_events(
    source: str | None,
    glob: str,
    state: str | None,
    since: Moment,
    until: Moment,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the newest first."""

    def wants(event: "EventRecord") -> bool:
        states = {each.state for each in event.deliveries}
        return fnmatchcase(event.type, glob) and (state is None or state in states)

    with open_desk() as desk:
        bounds = desk.time(since, 0.0), desk.time(until, float("inf"))
        newest = desk.reader.received(desk.sources(source), *bounds, newest_first=True)
        show = _list_json if as_json else _list_table
        show_newest(newest, wants, limit, show, "No events.")


def _list_json(events: "list[EventRecord]") -> None:
    click.echo(json_text([_event_json(each) for each in events]))


def _list_table(events: "list[EventRecord]") -> None:
    columns = ("received", "event", "source", "type", "provider id", "state", "attempts", "size")
    rows = [
        (
            local(each.received),
            each.id,
            *map(printable, (each.source, each.type, each.provider_id)),
            each.summary,
            each.attempts,
            size_text(each.size),
        )
        for each in events
    ]
    if rows:
        print_table(columns, rows)


def _event_json(event: "EventRecord") -> dict[str, Any]:
    deliveries = [delivery_json(each) for each in event.deliveries]
    sums = {"received": iso(event.received), "state": event.summary, "attempts": event.attempts}
    return asdict(event) | sums | {"deliveries": deliveries}


def delivery_json(delivery: "DeliveryRecord") -> dict[str, Any]:
    value = asdict(delivery)
    del value["time"]
    return value | {TIMES[delivery.state].replace(" ", "_"): iso(delivery.time)}


@command.command("show")
@place_options
@click.argument("name", metavar="EVENT")
@click.option("--body", "with_body", is_flag=True, help="Also the body, JSON indented.")
@click.option("--raw-body", is_flag=True, help="Nothing but the body, byte for byte.")
@click.option("--trace", is_flag=True, help="Also the traces of failed attempts.")
@json_option
def show_event(name: str, with_body: bool, raw_body: bool, trace: bool, as_json: bool) -> None:
    """Show an event, its deliveries and what went wrong.

    EVENT is an event's id, a delivery's id, or SOURCE:ID with the id that the provider gave.
    """
    with open_desk() as desk:
        event, delivery = find_event(desk.reader, name)
        if raw_body:
            _write_raw(desk.reader.body(event.id), event)
            return
        asked = [each for each in event.deliveries if delivery in (None, each.id)]
        failures = {each.id: desk.reader.failures(each.id) for each in asked}
        headers = _masked(desk, event)
        body = desk.reader.body(event.id) if with_body else None
    if as_json:
        click.echo(json_text(_details_json(event, failures, headers, body)))
        return
    _show_event(event)
    for each in asked:
        show_failures(each, failures[each.id], trace=trace)
    click.echo(
        "\nHeaders" if headers is not None else "\nThe retention has ended: no headers, no body."
    )
    for header, value in headers or ():
        click.echo(f"  {printable(header)}: {printable(value)}")
    if body is not None:
        click.echo("\nBody")
        click.echo(body_text(body))


def find_event(reader: "Reader", name: str) -> "tuple[EventRecord, str | None]":
    """The event, and which delivery of it was named; status 3 when there is none."""
    from gateway.replay import refer

    event_id, delivery = refer(name) or (None, None)
    if event_id is None:
        fail(
            NOT_FOUND,
            f"{printable(name)} is no id of an event (evt_...) or of a delivery (dlv_...-1).\n"
            "With the id that the provider gave, write SOURCE:ID, such as stripe:evt_1Abc.",
        )
    event = reader.event(event_id)
    if event is None or (delivery and event.delivery(delivery) is None):
        fail(NOT_FOUND, f"{printable(name)} is not known: never accepted, or its record has expired.")
    return event, delivery


def _write_raw(body: bytes | None, event: "EventRecord") -> None:
    if body is None:
        fail(NOT_FOUND, f"The body of {event.id} is gone: its retention has ended.")
    text = body.decode("utf-8", "replace")
    if sys.stdout.isatty() and not re.sub(r"[\n\t]", "", text).isprintable():
        fail(FAILED, "This body could command the terminal: send it to a file, or use --body.")
    click.echo(body, nl=False)


def _masked(desk: Desk, event: "EventRecord") -> list[tuple[str, str]] | None:
    """The headers as they came, without what proves who sends: an old token may still be good."""
    headers = desk.reader.headers(event.id)
    if headers is None:
        return None
    source = desk.app.config.source(event.source)
    proof = _proof_header(source.scheme) if source else ""
    return [
        (name, "***" if SECRET_HEADER.search(name) or name.lower() == proof else value)
        for name, value in headers
    ]


def _proof_header(scheme: Any) -> str:
    """The header that this scheme reads, however it may be called; empty when it reads none."""
    place = getattr(scheme, "place", None)
    header: bytes = getattr(scheme, "header", b"") or getattr(place, "name", "").encode()
    return header.decode().lower()


def _details_json(
    event: "EventRecord",
    failures: "dict[str, list[Failure]]",
    headers: Iterable[tuple[str, str]] | None,
    body: bytes | None,
) -> dict[str, Any]:
    value = _event_json(event) | {"headers": headers}
    for each in value["deliveries"]:
        each["failures"] = [failure_json(failure) for failure in failures.get(each["id"], ())]
    if body is not None:
        value["body"] = body.decode("utf-8", "backslashreplace")
    return value


def failure_json(failure: "Failure") -> dict[str, Any]:
    return asdict(failure) | {"at": iso(failure.at)}


def _show_event(event: "EventRecord") -> None:
    show_pairs(
        ("Event", event.id),
        ("Source", event.source),
        ("Type", event.type),
        ("Provider id", event.provider_id),
        ("Received", local(event.received)),
        ("State", event.summary),
        ("Size", size_text(event.size)),
    )
    columns = ("delivery", "processor", "state", "attempts", "when", "reason")
    rows = [
        (
            each.id,
            printable(each.processor),
            each.state,
            each.attempts,
            f"{TIMES[each.state]} {local(each.time)}",
            each.reason,
        )
        for each in event.deliveries
    ]
    click.echo()
    print_table(columns, rows)


def show_pairs(*pairs: tuple[str, str]) -> None:
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {printable(value) or '-'}")


def show_failures(delivery: "DeliveryRecord", failures: "Sequence[Failure]", *, trace: bool) -> None:
    if failures:
        click.echo(f"\nFailed attempts of {delivery.id} ({printable(delivery.processor)})")
    for each in failures:
        line = f"{each.attempt}  {local(each.at)}  {each.outcome}  {each.error}  {each.where}"
        click.echo(f"  {printable(line.rstrip())}")
        show_block(each.message)
        if trace:
            show_block(each.trace)


def show_block(text: str) -> None:
    """Lines from outside, indented."""
    for line in text.splitlines():
        click.echo(f"      {printable(line)}")
