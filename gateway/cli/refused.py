"""`hookline refused`: what was turned away and why, and what to do with what was kept whole."""

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from gateway.cli.shared.deployment import source_or_exit
from gateway.cli.shared.desk import Desk, open_desk
from gateway.cli.shared.exits import FAILED, NOT_FOUND, fail
from gateway.cli.shared.listing import ListingGroup, show_newest
from gateway.cli.shared.options import (
    json_option,
    limit_option,
    place_options,
    source_option,
    yes_option,
)
from gateway.cli.shared.orders import DISCARDS_A_SECOND, Order, carry_out
from gateway.cli.shared.printing import note, print_json
from gateway.cli.shared.refusals import (
    details_json,
    refusal_json,
    show_details,
    show_refusals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.adapters.ledger.refused import Refused
    from gateway.adapters.ledger.refused_reader import Place, RefusedReader

NOTHING: Final = "No refused requests."
NOTHING_KEPT: Final = "Nothing is in quarantine."
REQUESTS: Final = ("request", "requests")


@click.group(cls=ListingGroup)
def command() -> None:
    """List, show, release or discard refused requests."""


@command.command("list")
@place_options
@source_option
@click.option("--quarantined", is_flag=True, help="Only those that are kept whole.")
@limit_option
@json_option
def list_refused(source: str | None, quarantined: bool, limit: int, as_json: bool) -> None:
    """List refused requests, the newest first.

    Of a flood the log has a few each second; LEFT OUT says how many came before that one.
    """
    with open_desk() as desk:
        stores = ("quarantine",) if quarantined else ("quarantine", "refused")

        def show(found: "list[tuple[Place, Refused]]") -> None:
            if as_json:
                print_json([refusal_json(*row) for row in found])
            else:
                show_refusals(found)

        newest = _reader(desk).newest(desk.sources(source), stores)  # type: ignore[arg-type]  # a choice of both
        show_newest(newest, lambda _: True, limit, show, NOTHING)


@command.command("show")
@place_options
@click.argument("name", metavar="ID")
@click.option("--body", is_flag=True, help="Also the body, or what of it was kept.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a quarantined request, unmasked, to a new file for `hookline explain`.",
)
@json_option
def show_refused(name: str, body: bool, save: Path | None, as_json: bool) -> None:
    """Show a refused request. What could prove its origin is masked."""
    with open_desk() as desk:
        place, refused = _find(desk, name)
    if save:
        _save(place, refused, save)
    elif as_json:
        print_json(details_json(desk.app, place, refused, body=body))
    else:
        show_details(desk.app, place, refused, body=body)


@command.command("release")
@place_options
@click.argument("name", required=False, metavar="[SOURCE]")
@click.option("--dry-run", is_flag=True, help="Only say what would be released.")
@yes_option
@json_option
def release_refused(name: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Judge quarantined requests again and accept what is genuine now: all, or SOURCE's.

    Each is judged by the secrets of now and the clock of its arrival. What is still refused stays.

    Status 0: nothing is left of them; 1: some stay.
    """
    from gateway.cli.shared.releasing import release

    with open_desk() as desk:
        store = _reader(desk)
        wanted = [source_or_exit(desk.app, name)] if name else desk.app.config.sources
        waiting = {each.name: (each, store.waiting(each.name)) for each in wanted}
        waiting = {source: found for source, found in waiting.items() if found[1]}
        if waiting:
            release(desk, store, waiting, dry_run=dry_run, yes=yes, as_json=as_json)
    note(NOTHING_KEPT)
    if as_json:
        print_json([])


@command.command("discard")
@place_options
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--source", metavar="NAME", help="All that is in quarantine of this source.")
@yes_option
@json_option
def discard_refused(ids: tuple[str, ...], source: str | None, yes: bool, as_json: bool) -> None:
    """Give refused requests up for good."""
    from gateway.adapters.ledger.refused_reader import Place

    if bool(ids) == (source is not None):
        raise click.UsageError("Give either ids or --source.")
    with open_desk() as desk:
        if source is None:
            found = zip(ids, _reader(desk).find(desk.sources(None), ids), strict=True)
            places = {name: place for name, place in found if place}
        else:
            (known,) = desk.sources(source)
            waiting = _reader(desk).waiting(known)
            places = {name: Place("quarantine", known, name) for name in waiting}
        _discard(desk, ids or tuple(places), places, yes=yes, as_json=as_json)
    note(NOTHING_KEPT)
    if as_json:
        print_json([])


def _discard(
    desk: Desk, ids: "Sequence[str]", places: "dict[str, Place]", *, yes: bool, as_json: bool
) -> None:
    """Exits once it is done; returns when there is nothing to do."""
    from gateway.adapters.ledger.refused import Store
    from gateway.replay import MISSING

    def take_out(step: "Sequence[str]") -> list[str]:
        words = dict.fromkeys(step, MISSING)
        together = defaultdict[tuple[Store, str], list[str]](list)
        for place in filter(None, map(places.get, step)):
            together[place.store, place.source].append(place.id)
        for (store, source), names in together.items():
            done = _reader(desk).settle(source, [(name, "") for name in names], store)
            words |= zip(names, done, strict=True)
        return list(words.values())

    order = Order("discard", "discarded", take_out, DISCARDS_A_SECOND, REQUESTS)
    if ids:
        carry_out(order, tuple(dict.fromkeys(ids)), yes=yes, as_json=as_json)


def _reader(desk: Desk) -> "RefusedReader":
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.adapters.ledger.refused_reader import RefusedReader

    return RefusedReader(desk.client, Keys(desk.app.prefix))


def _find(desk: Desk, name: str) -> "tuple[Place, Refused]":
    reader = _reader(desk)
    (place,) = reader.find(desk.sources(None), [name])
    refused = reader.read([place], bodies=True)[0] if place else None
    if place is None or refused is None:
        fail(
            NOT_FOUND, f"{name!r} is no refused request that is kept: the log is short, or it is gone."
        )
    return place, refused


def _save(place: "Place", refused: "Refused", path: Path) -> NoReturn:
    """For nobody else's eyes: in it stands what the sender proved itself by."""
    if not place.quarantined:
        mend = (
            f'set on_bad_signature = "quarantine" in sources/{place.source}.toml to keep the next ones'
        )
        fail(FAILED, f"{place.id} is in the log only, masked and cut: {mend}.")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(FAILED, f"{path} cannot be written: {error.strerror}. Name a new file.")
    with os.fdopen(handle, "w") as file:
        file.write(refused.captured.to_json() + "\n")
    note(f"{path} holds the request unmasked: `hookline explain {path}` reads it. Delete it then.")
    raise SystemExit(0)
