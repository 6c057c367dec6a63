"""`hookline events`: what came in and what became of it."""

import re
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import click

from gateway.cli.shared.desk import open_desk
from gateway.cli.shared.exits import FAILED, NOT_FOUND, fail
from gateway.cli.shared.listing import ListingGroup, show_newest
from gateway.cli.shared.options import (
    Moment,
    json_option,
    limit_option,
    place_options,
    since_option,
    source_option,
    type_option,
    until_option,
)
from gateway.cli.shared.printing import local, print_json
from gateway.cli.shared.records import Details, details_json, event_json, show_details
from gateway.cli.shared.tables import print_table
from gateway.core.outcomes import DeliveryState

if TYPE_CHECKING:
    from gateway.adapters.ledger.event_records import EventRecord

COLUMNS: Final = (
    "received",
    "event",
    "source",
    "type",
    "provider id",
    "state",
    "attempts",
    "size",
)
STEPS: Final = (("provider id", 12), ("size", 0), ("attempts", 0), ("provider id", 0), ("type", 12))


@click.group(cls=ListingGroup)
def command() -> None:
    """List events, or show one."""


@command.command("list")
@place_options
@source_option
@type_option
@click.option(
    "--state",
    type=click.Choice([each.value for each in DeliveryState]),
    help="Only with a delivery in this state.",
)
@since_option
@until_option
@limit_option
@json_option
def list_events(
    source: str | None,
    glob: str | None,
    state: str | None,
    since: Moment,
    until: Moment,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the newest first."""

    def wants(event: "EventRecord") -> bool:
        states = {each.state for each in event.deliveries}
        return fnmatchcase(event.type, glob or "*") and (state is None or state in states)

    with open_desk() as desk:
        bounds = desk.between(since, until)
        newest = desk.reader.received(desk.sources(source), *bounds, newest_first=True)
        show = _list_json if as_json else _list_table
        show_newest(newest, wants, limit, show, "No events.")


def _list_json(events: "list[EventRecord]") -> None:
    print_json([event_json(each) for each in events])


def _list_table(events: "list[EventRecord]") -> None:
    from gateway.units import size_text

    rows = [
        (
            local(each.received),
            each.id,
            each.source,
            each.type,
            each.provider_id,
            each.summary,
            each.attempts,
            size_text(each.size),
        )
        for each in events
    ]
    print_table(COLUMNS, rows, STEPS)


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
        event, delivery = desk.find(name)
        if raw_body:
            _write_raw(desk.reader.body(event.id), event)
            return
        asked = [each.id for each in event.deliveries if delivery in (None, each.id)]
        failures = {each: desk.reader.failures(each) for each in asked}
        body = desk.reader.body(event.id) if with_body else None
        behind = desk.reader.behind(event.deliveries)
        details = Details(event, failures, desk.headers(event), body, behind)
    if as_json:
        print_json(details_json(details))
    else:
        show_details(details, trace=trace)


def _write_raw(body: bytes | None, event: "EventRecord") -> None:
    if body is None:
        fail(NOT_FOUND, f"The body of {event.id} is gone: its retention has ended.")
    text = body.decode("utf-8", "replace")
    if sys.stdout.isatty() and not re.sub(r"[\n\t]", "", text).isprintable():
        fail(FAILED, "This body could command the terminal: send it to a file, or use --body.")
    click.echo(body, nl=False)
