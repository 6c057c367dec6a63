"""The addresses that providers publish: what `allow_ips = ["preset"]` stands for.

A list ships in `presets/addresses/NAME.json`; `hookline addresses refresh` writes a newer one to
`config/addresses/NAME.json`, which goes before it.
"""

from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from gateway.catalogue import load_preset
from gateway.catalogue.published import HttpsUrl, PublishedAddresses
from gateway.catalogue.strict import Strict
from gateway.core.addresses import Network, parse_network
from gateway.core.published import AddressesError
from gateway.units import NetworkText

FOLDER: Final = "addresses"  # beside the sources, and beside the presets
STALE_DAYS: Final = 90
REFRESH: Final = "hookline addresses refresh"


class AddressList(Strict):
    """One provider's networks, as they were known on one day."""

    preset: str
    source_url: HttpsUrl
    fetched: date
    """The last day of which we know that the source said so."""
    trust: Literal["vendor-list", "vendor-code", "vendor-docs", "third-party"]
    notes: str = ""
    networks: Annotated[tuple[NetworkText, ...], Field(min_length=1)]

    def parsed(self) -> tuple[Network, ...]:
        return tuple(map(parse_network, self.networks))

    def days_old(self, today: date) -> int:
        return max(0, (today - self.fetched).days)


@dataclass(frozen=True, slots=True)
class Known:
    """A list and where it was found: no `path`, it ships with us."""

    list: AddressList
    path: Path | None = None


def publication(preset: str) -> PublishedAddresses | None:
    """What a preset says of its addresses."""
    return load_preset(preset).addresses


def networks_of(preset: str | None, directory: Path) -> tuple[Network, ...]:
    """What `"preset"` in `allow_ips` stands for. Raises AddressesError where that is nothing."""
    if preset is None:
        raise AddressesError('is "preset", and the source has none', "list its networks themselves")
    known = known_addresses(preset, directory)
    if known:
        return known.list.parsed()
    if _is_fetchable(preset):
        raise AddressesError(f"no list of {preset}'s addresses ships", f"run `{REFRESH} {preset}`")
    mend = "list them yourself as CIDRs, or leave allow_ips out"
    raise AddressesError(f"{preset} publishes no addresses that we know of", mend)


def staleness(preset: str, directory: Path, today: date) -> str:
    """A warning where the list is older than can be relied on; else nothing."""
    known = known_addresses(preset, directory)
    days = known.list.days_old(today) if known else 0
    if known is None or days <= STALE_DAYS:
        return ""
    mend = f"run `{REFRESH} {preset}`" if _is_fetchable(preset) else "compare the provider's page"
    return f"{preset}'s addresses are {days} days old: {mend} ({known.list.source_url})"


def _is_fetchable(preset: str) -> bool:
    published = publication(preset)
    return bool(published and published.urls)


def refreshed_path(preset: str, directory: Path) -> Path:
    """Where `refresh` writes. `directory`: the one of gateway.toml."""
    return directory / FOLDER / f"{preset}.json"


def known_addresses(preset: str, directory: Path) -> Known | None:
    """The refreshed list of `directory`, else the one that ships, else None.

    Raises AddressesError for a file that is no list of this preset: to take the other one in silence
    would let in, or keep out, others than the operator thinks.
    """
    path = refreshed_path(preset, directory)
    if path.exists():
        return Known(_read(preset, path), path)
    return shipped_addresses(preset)


def shipped_addresses(preset: str) -> Known | None:
    """The list that ships, however old; ours are checked by the tests."""
    path = files("gateway.presets").joinpath(FOLDER, f"{preset}.json")
    return Known(AddressList.model_validate_json(path.read_bytes())) if path.is_file() else None


def _read(preset: str, path: Path) -> AddressList:
    mend = f"run `{REFRESH} {preset}`, or remove it"
    try:
        found = AddressList.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise AddressesError(f"{path} is no address list: {_reason(error)}", mend) from None
    if found.preset != preset:
        raise AddressesError(f"{path} is the address list of {found.preset!r}", mend)
    return found


def _reason(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    detail = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}".removeprefix(": ")
