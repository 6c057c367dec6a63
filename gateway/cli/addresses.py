"""`hookline addresses`: the addresses that providers publish, and how old what we know of them is."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.exits import FAILED, fail, fail_unknown
from gateway.cli.shared.facts import show_facts
from gateway.cli.shared.listing import ListingGroup
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import counted, note, print_json, print_text
from gateway.cli.shared.published import (
    facts_of,
    list_of,
    networks_before,
    sources_by_preset,
)
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    import httpx2

    from gateway.core.addresses import Network

COLUMNS: Final = ("preset", "networks", "days", "from", "trust", "used_by", "url")
STEPS: Final = (("url", 20), ("trust", 0), ("url", 0), ("used_by", 10))


@click.group(cls=ListingGroup)
def command() -> None:
    """List, show or refresh the addresses that providers publish."""


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Of all presets, not only of configured sources.")
@place_options
@json_option
def list_addresses(every: bool, as_json: bool) -> None:
    """List whose addresses are known, how many networks, and how old the list is."""
    from gateway.catalogue import preset_names

    users = sources_by_preset()
    names = [name for name in preset_names() if every or name in users]
    facts = [each for name in names if (each := facts_of(name, users.get(name, [])))]
    if as_json:
        print_json(facts)
    else:
        print_table(COLUMNS, [_row(each) for each in facts], STEPS)
        if not facts:
            note("No configured source has a preset that publishes addresses: --all lists all that do.")


@command.command("show")
@click.argument("preset")
@place_options
@json_option
def show_addresses(preset: str, as_json: bool) -> None:
    """Show the networks that `allow_ips = ["preset"]` stands for, and where they are from."""
    _known_or_exit([preset])
    facts = facts_of(preset, sources_by_preset().get(preset, []))
    if facts is None:
        fail(FAILED, f"{preset} publishes no addresses that we know of.")
    show_facts(facts, as_json=as_json)


@command.command("refresh")
@click.argument("presets", nargs=-1, metavar="[PRESET]...")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--force", is_flag=True, help="Believe a list that has lost most of what was known.")
@place_options
def refresh(presets: tuple[str, ...], dry_run: bool, force: bool) -> None:
    """Fetch the providers' own lists; without a PRESET, those that configured sources allow.

    A list that cannot be had, or cannot be believed, leaves the last good one in place: exit status 1.
    """
    from gateway.adapters.address_lists import new_client

    _known_or_exit(presets)
    names = presets or _allowed_presets()
    if not names:
        note('No source has allow_ips = ["preset"] with a list to fetch: name a preset.')
    with new_client() as client:
        changes = [refresh_one(name, client, dry_run=dry_run, force=force) for name in names]
    if any(changes) and not dry_run:
        note("A gateway that runs takes it on SIGHUP.")
    sys.exit(FAILED if None in changes else 0)


def refresh_one(name: str, client: "httpx2.Client", *, dry_run: bool, force: bool) -> int | None:
    """How many networks changed; None when the last good list had to stay. Says which and why."""
    from gateway.adapters.address_lists import fetch_texts, write_list
    from gateway.addresses import publication, refreshed_path
    from gateway.core.published import AddressesError, checked

    try:
        published = publication(name)
        if published is None or not published.urls:
            raise AddressesError("publishes no list that a machine can read")
        before, texts = networks_before(name), fetch_texts(published, client)
        # Shown first: a list that has lost most of what was known is a person's to judge.
        changed = _show_difference(name, before, checked(texts, before, force=True))
        found = checked(texts, before, force=force)
        if not dry_run:
            path = refreshed_path(name, current_place().config)
            write_list(path, list_of(name, published, found))
    except (AddressesError, OSError) as error:
        note(f"{name}: {error}\n    The list that was there stays.")
        return None
    return changed


def _show_difference(name: str, before: "tuple[Network, ...]", after: "tuple[Network, ...]") -> int:
    added = [each for each in after if each not in before]
    removed = [each for each in before if each not in after]
    print_text(f"{name}: {counted(len(after), 'network')}, {len(added)} added, {len(removed)} removed")
    for sign, networks in (("+", added), ("-", removed)):
        for network in networks:
            print_text(f"  {sign} {network}")
    return len(added) + len(removed)


def _row(facts: dict[str, Any]) -> list[Any]:
    url = next(iter(facts["urls"]), None) or facts["source_url"] or facts["page"]
    counted_or_told = {
        "networks": len(facts["networks"]),
        "used_by": ",".join(facts["used_by"]),
        "from": "refreshed" if facts["trust"] == "vendor-list" else facts["from"],
        "url": url,
    }
    return [counted_or_told.get(name, facts.get(name)) for name in COLUMNS]


def _allowed_presets() -> list[str]:
    """Those whose lists are in use and can be fetched; says which cannot."""
    from gateway.addresses import publication
    from gateway.catalogue import preset_names

    names = [name for name in sources_by_preset(allowing=True) if name in preset_names()]
    fetched = [name for name in names if (each := publication(name)) and each.urls]
    for name in names:
        if name not in fetched:
            note(f"{name}: publishes no list that a machine can read; skipped.")
    return fetched


def _known_or_exit(names: Iterable[str]) -> None:
    from gateway.catalogue import preset_names

    for name in names:
        if name not in preset_names():
            fail_unknown("preset", name, list(preset_names()))
