"""What the `addresses` commands know: which sources use a provider's addresses, and what these are."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.printing import note, short

if TYPE_CHECKING:
    from gateway.addresses import AddressList, Known
    from gateway.catalogue.published import PublishedAddresses
    from gateway.core.addresses import Network


def facts_of(name: str, users: list[str]) -> dict[str, Any] | None:
    """One provider's addresses; None where nothing is known of any."""
    from gateway.addresses import known_addresses, publication
    from gateway.core.published import AddressesError

    published = publication(name)
    try:
        known = known_addresses(name, current_place().config)
    except AddressesError as error:
        fail(FAILED, str(error))
    if known is None and published is None:
        return None
    return {
        "preset": name,
        **_facts_of_list(known),
        "used_by": users,
        "page": published.page if published else None,
        "urls": list(published.urls) if published else [],
        "networks": list(known.list.networks) if known else [],
    }


def _facts_of_list(known: "Known | None") -> dict[str, Any]:
    if known is None:
        return {"from": None, "fetched": None, "days": None, "trust": None, "source_url": None}
    return {
        "from": short(str(known.path)) if known.path else "shipped",
        "fetched": known.list.fetched.isoformat(),
        "days": known.list.days_old(datetime.now(UTC).date()),
        "trust": known.list.trust,
        "source_url": known.list.source_url,
        **({"notes": known.list.notes} if known.list.notes else {}),
    }


def sources_by_preset(*, allowing: bool = False) -> dict[str, list[str]]:
    """Configured sources by their preset; `allowing`: those with "preset" in allow_ips.

    From the files alone: a deployment that lacks a list, or a secret, must be able to fetch one.
    """
    from gateway.configuration import read_file
    from gateway.sources import SourceFile
    from gateway.units import PRESET

    found: dict[str, list[str]] = {}
    for path in sorted((current_place().config / "sources").glob("*.toml")):
        file = read_file(path, SourceFile, [])
        if file and file.preset and (not allowing or PRESET in (file.allow_ips or ())):
            found.setdefault(file.preset, []).append(path.stem)
    return found


def networks_before(name: str) -> "tuple[Network, ...]":
    """Those of the last good list. Where its file is spoilt, which a refresh mends: what ships."""
    from gateway.addresses import known_addresses, shipped_addresses
    from gateway.core.published import AddressesError

    try:
        known = known_addresses(name, current_place().config)
    except AddressesError as error:
        note(f"{name}: {error.problem}")
        known = shipped_addresses(name)
    return known.list.parsed() if known else ()


def list_of(
    name: str, published: "PublishedAddresses", networks: "tuple[Network, ...]"
) -> "AddressList":
    from gateway.addresses import AddressList

    return AddressList(
        preset=name,
        source_url=published.urls[0],
        fetched=datetime.now(UTC).date(),
        trust="vendor-list",
        networks=tuple(map(str, networks)),
    )
