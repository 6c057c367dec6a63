"""`hookline dead-letters`: what will not be tried again by itself, why, and what to do about it."""

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli.common import NOT_FOUND, fail, json_option, place_options, print_table
from gateway.cli.events import (
    delivery_json,
    failure_json,
    find_event,
    json_text,
    local,
    open_desk,
    printable,
    show_block,
    show_newest,
    show_pairs,
)
from gateway.cli.replay import Order, carry_out, order, replay_order, yes_option
from gateway.core.outcomes import DeadReason, DeliveryState

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.adapters.reader import DeliveryRecord, EventRecord, Failure, Reader
    from gateway.cli.events import Desk

    DeadLetter = tuple[EventRecord, DeliveryRecord]

F = TypeVar("F", bound="Callable[..., Any]")

NOTHING: Final = "No dead letters."
DISCARDS_A_SECOND: Final = 5000.0
WHY: Final = {
    DeadReason.EXHAUSTED: "every attempt failed",
    DeadReason.DISCARDED: "its processor raised Discard",
    DeadReason.POISON: "it took its worker's process down, again and again",
    DeadReason.PAYLOAD_MISMATCH: "the body does not fit the processor's model",
    DeadReason.PROCESSOR_MISSING: "no processor of that name is registered",
    DeadReason.BODY_MISSING: "the body was gone: it cannot be replayed",
}

source_option = click.option("--source", help="Only of this source.")
processor_option = click.option("--processor", help="Only for this processor.")
reason_option = click.option(
    "--reason", type=click.Choice([each.value for each in DeadReason]), help="Only with this reason."
)


@click.group()
def command() -> None:
    """List, show, replay or discard dead letters."""


@command.command("list")
@place_options
@source_option
@reason_option
@processor_option
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most N."
)
@json_option
def list_dead(
    source: str | None, reason: str | None, processor: str | None, limit: int, as_json: bool
) -> None:
    """List dead letters, the last to die first."""
    from gateway.adapters.reader import candidate
    from gateway.replay import Selection

    with open_desk() as desk:
        selection = Selection(desk.sources(source), processor=processor, reason=reason)

        def show(letters: "list[DeadLetter]") -> None:
            failures = desk.reader.last_failures([delivery.id for _, delivery in letters])
            rows = list(zip(letters, failures, strict=True))
            if as_json:
                click.echo(json_text([_letter_json(*letter, failure) for letter, failure in rows]))
            elif rows:
                columns = ("died", "delivery", "source", "type", "processor", "reason", "attempts")
                print_table((*columns, "last error"), [_row(*each, failure) for each, failure in rows])

        newest = desk.reader.dead_letters(selection.sources, newest_first=True)
        show_newest(newest, lambda each: selection.wants(candidate(*each)), limit, show, NOTHING)


def _row(
    event: "EventRecord", delivery: "DeliveryRecord", failure: "Failure | None"
) -> tuple[Any, ...]:
    return (
        local(delivery.time),
        delivery.id,
        *map(printable, (event.source, event.type, delivery.processor)),
        delivery.reason,
        delivery.attempts,
        printable(_error(failure))[:80],
    )


def _error(failure: "Failure | None") -> str:
    return ": ".join(filter(None, (failure.error, failure.message))) if failure else ""


def _letter_json(
    event: "EventRecord", delivery: "DeliveryRecord", failure: "Failure | None"
) -> dict[str, Any]:
    names = {"event": event.id, "source": event.source, "type": event.type}
    known = {"provider_id": event.provider_id, "last_failure": failure and failure_json(failure)}
    return delivery_json(delivery) | names | known


@command.command("show")
@place_options
@click.argument("name", metavar="DELIVERY")
@json_option
def show_dead(name: str, as_json: bool) -> None:
    """Show a dead letter, and why it is one.

    DELIVERY is its id; an event's id, or SOURCE:ID with the provider's, shows all of the event's.
    """
    with open_desk() as desk:
        letters = _find(desk.reader, name)
        failures = desk.reader.last_failures([delivery.id for _, delivery in letters])
    rows = list(zip(letters, failures, strict=True))
    if as_json:
        click.echo(json_text([_letter_json(*letter, failure) for letter, failure in rows]))
        return
    for number, (letter, failure) in enumerate(rows):
        click.echo("\n" if number else "", nl=False)
        _show(*letter, failure)


def _find(reader: "Reader", name: str) -> "list[DeadLetter]":
    event, named = find_event(reader, name)
    asked = [each for each in event.deliveries if named in (None, each.id)]
    dead = [(event, each) for each in asked if each.state is DeliveryState.DEAD]
    if not dead:
        states = ", ".join(dict.fromkeys(each.state.value for each in asked))
        more = f"`hookline events show {event.id}` tells more."
        fail(NOT_FOUND, f"{printable(name)} is no dead letter, it is {states}. {more}")
    return dead


def _show(event: "EventRecord", delivery: "DeliveryRecord", failure: "Failure | None") -> None:
    reason = DeadReason(delivery.reason)
    show_pairs(
        ("Delivery", delivery.id),
        ("Event", event.id),
        ("Source", event.source),
        ("Type", event.type),
        ("Provider id", event.provider_id),
        ("Processor", delivery.processor),
        ("Died", local(delivery.time)),
        ("Reason", f"{reason}: {WHY[reason]}"),
        ("Attempts", str(delivery.attempts)),
        ("Last error", _error(failure)),
        ("Where", failure.where if failure else ""),
    )
    if failure:
        click.echo("Trace")
        show_block(failure.trace)
    if reason is not DeadReason.BODY_MISSING:
        click.echo(f"\nPut it back: hookline dead-letters replay {delivery.id}")
    click.echo(f"Give it up:  hookline dead-letters discard {delivery.id}")


def chosen_options(function: F) -> F:
    """DELIVERY... or --all, narrowed; and how to carry it out."""
    everything = click.option("--all", "everything", is_flag=True, help="All that the options say.")
    ids = click.argument("ids", nargs=-1, metavar="[DELIVERY]...")
    options = (place_options, ids, everything, source_option, reason_option, processor_option)
    for option in reversed((*options, yes_option, json_option)):
        function = option(function)
    return function


@command.command("replay")
@chosen_options
def replay_dead(yes: bool, as_json: bool, **chosen: Any) -> None:
    """Put dead letters back as if they had just been accepted."""
    with open_desk() as desk:
        _carry_out(desk, replay_order(desk), yes=yes, as_json=as_json, **chosen)


@command.command("discard")
@chosen_options
def discard_dead(yes: bool, as_json: bool, **chosen: Any) -> None:
    """Give dead letters up for good."""
    from gateway.adapters import ledger

    with open_desk() as desk:
        discard = order(desk, "discard", "discarded", ledger.discard, DISCARDS_A_SECOND)
        _carry_out(desk, discard, yes=yes, as_json=as_json, **chosen)


def _carry_out(
    desk: "Desk",
    order: Order,
    *,
    ids: tuple[str, ...],
    everything: bool,
    source: str | None,
    reason: str | None,
    processor: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    from gateway.adapters.reader import ReplayArchive
    from gateway.replay import Selection, expand, select

    if bool(ids) == everything:
        raise click.UsageError("Give either delivery ids or --all.")
    if ids and (source or reason or processor):
        raise click.UsageError("--source, --reason and --processor go with --all.")
    archive = ReplayArchive(desk.reader)
    if ids:
        found, refused = expand(archive, ids, DeliveryState.DEAD)
        carry_out(order, [each.delivery for each in found], refused, yes=yes, as_json=as_json)
    selection = Selection(desk.sources(source), processor=processor, reason=reason)
    letters = [each.delivery for each in select(archive, selection)]
    if letters:
        carry_out(order, letters, yes=yes, as_json=as_json)
    click.echo(NOTHING, err=True)
    if as_json:
        click.echo(json_text([]))
