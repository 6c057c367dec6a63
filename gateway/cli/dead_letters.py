"""`hookline dead-letters`: what will not be tried again by itself, why, and what to do about it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli.shared.desk import Desk, open_desk
from gateway.cli.shared.exits import NOT_FOUND, fail
from gateway.cli.shared.letters import dead_letters, letter_json, show_letter, show_letters
from gateway.cli.shared.listing import ListingGroup, show_newest
from gateway.cli.shared.options import (
    json_option,
    limit_option,
    place_options,
    processor_option,
    source_option,
    yes_option,
)
from gateway.cli.shared.orders import Order, carry_out, discard_order, replay_order
from gateway.cli.shared.printing import note, print_json, print_text
from gateway.core.outcomes import DeadReason, DeliveryState

if TYPE_CHECKING:
    from gateway.adapters.ledger.event_records import DeliveryRecord, EventRecord

F = TypeVar("F", bound=Callable[..., Any])

NOTHING: Final = "No dead letters."

reason_option = click.option(
    "--reason", type=click.Choice([each.value for each in DeadReason]), help="Only with this reason."
)


@click.group(cls=ListingGroup)
def command() -> None:
    """List, show, replay or discard dead letters."""


@command.command("list")
@place_options
@source_option
@reason_option
@processor_option
@limit_option
@json_option
def list_dead(
    source: str | None, reason: str | None, processor: str | None, limit: int, as_json: bool
) -> None:
    """List dead letters, the last to die first."""
    from gateway.adapters.ledger.reader import candidate
    from gateway.replay import Selection

    with open_desk() as desk:
        selection = Selection(desk.sources(source), processor=processor, reason=reason)

        def show(found: "list[tuple[EventRecord, DeliveryRecord]]") -> None:
            letters = dead_letters(desk.reader, found)
            if as_json:
                print_json([letter_json(each) for each in letters])
            else:
                show_letters(letters)

        newest = desk.reader.dead_letters(selection.sources, newest_first=True)
        show_newest(newest, lambda each: selection.wants(candidate(*each)), limit, show, NOTHING)


@command.command("show")
@place_options
@click.argument("name", metavar="DELIVERY")
@json_option
def show_dead(name: str, as_json: bool) -> None:
    """Show a dead letter, and why it is one.

    DELIVERY is its id; an event's id, or SOURCE:ID with the provider's, shows all of the event's.
    """
    with open_desk() as desk:
        letters = dead_letters(desk.reader, _find(desk, name))
    if as_json:
        print_json([letter_json(each) for each in letters])
        return
    for number, letter in enumerate(letters):
        if number:
            print_text("")
        show_letter(letter)


def _find(desk: Desk, name: str) -> "list[tuple[EventRecord, DeliveryRecord]]":
    event, named = desk.find(name)
    asked = [each for each in event.deliveries if named in (None, each.id)]
    dead = [(event, each) for each in asked if each.state is DeliveryState.DEAD]
    if not dead:
        states = ", ".join(dict.fromkeys(each.state.value for each in asked))
        more = f"`hookline events show {event.id}` tells more."
        fail(NOT_FOUND, f"{name!r} is no dead letter, it is {states}. {more}")
    return dead


def chosen_options(function: F) -> F:
    """DELIVERY... or --all, narrowed; and how to carry it out."""
    everything = click.option(
        "--all", "everything", is_flag=True, help="All of them, or all that the options say."
    )
    ids = click.argument("ids", nargs=-1, metavar="[DELIVERY]...")
    options = (place_options, ids, everything, source_option, reason_option, processor_option)
    for option in reversed((*options, yes_option, json_option)):
        function = option(function)
    return function


@command.command("replay")
@chosen_options
def replay_dead(**chosen: Any) -> None:
    """Put dead letters back as if they had just been accepted."""
    _carry_out(replay_order, **chosen)


@command.command("discard")
@chosen_options
def discard_dead(**chosen: Any) -> None:
    """Give dead letters up for good."""
    _carry_out(discard_order, **chosen)


def _carry_out(
    order: Callable[[Desk], Order],
    *,
    ids: tuple[str, ...],
    everything: bool,
    source: str | None,
    reason: str | None,
    processor: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    from gateway.replay import Selection

    if bool(ids) == everything:
        raise click.UsageError("Give either delivery ids or --all.")
    if ids and (source or reason or processor):
        raise click.UsageError("--source, --reason and --processor go with --all.")
    with open_desk() as desk:
        selection = Selection(desk.sources(source), processor=processor, reason=reason)
        letters, refused = desk.choose(ids, selection)
        if letters or refused:
            deliveries = [each.delivery for each in letters]
            carry_out(order(desk), deliveries, refused, yes=yes, as_json=as_json)
    note(NOTHING)
    if as_json:
        print_json([])
