"""`allow_ips = ["preset"]`: which list it stands for, who gets in by it, and how old it may be."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway import addresses
from gateway.addresses import (
    STALE_DAYS,
    AddressList,
    known_addresses,
    refreshed_path,
    shipped_addresses,
)
from gateway.catalogue import preset_names
from gateway.catalogue.published import PublishedAddresses
from gateway.configuration import Config, load_config
from gateway.core.addresses import parse_address
from gateway.core.outcomes import Refusal
from gateway.core.published import AddressesError, checked
from gateway.faults import ConfigError, Fault
from tests.shipped_addresses import shipped_names

ENVIRON = {"KEY": "Zc4nary-in-a-c0al-mine-7"}
GITHUB = 'preset = "github"\nsecrets = ["env:KEY"]\n'
PRESET = GITHUB + 'allow_ips = ["preset"]\n'
SHOPIFY = PRESET.replace("github", "shopify")
TODAY = date.today()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    return tmp_path


def write_source(directory: Path, text: str, name: str = "a") -> None:
    (directory / "sources" / f"{name}.toml").write_text(text)


def refreshed(directory: Path, **changed: Any) -> Path:
    """A list as `refresh` leaves it for github."""
    path = refreshed_path("github", directory)
    path.parent.mkdir(exist_ok=True)
    facts = {
        "preset": "github",
        "source_url": "https://api.github.com/meta",
        "fetched": TODAY.isoformat(),
        "trust": "vendor-list",
        "networks": ["198.51.100.0/24"],
        **changed,
    }
    path.write_text(json.dumps(facts))
    return path


def load(directory: Path) -> Config:
    return load_config(directory, ENVIRON)


def faults(directory: Path) -> list[Fault]:
    with pytest.raises(ConfigError) as error:
        load(directory)
    return error.value.faults


def refusals(directory: Path, *addresses: str) -> list[Refusal | None]:
    source = load(directory).source("a")
    assert source
    return [source.allowed.refuse(parse_address(each)) for each in addresses]


# Who gets in


def test_the_shipped_list_lets_the_provider_in_and_nobody_else(directory: Path) -> None:
    write_source(directory, PRESET)
    answers = refusals(directory, "192.30.252.7", "9.234.98.161", "2606:50c0::1", "203.0.113.7", "::1")
    assert answers == [None, None, None, Refusal.ADDRESS_FORBIDDEN, Refusal.ADDRESS_FORBIDDEN]


def test_the_refreshed_list_goes_before_the_shipped_one(directory: Path) -> None:
    write_source(directory, PRESET)
    refreshed(directory)
    assert refusals(directory, "198.51.100.7", "192.30.252.7") == [None, Refusal.ADDRESS_FORBIDDEN]


def test_networks_of_ones_own_stand_beside_the_word(directory: Path) -> None:
    write_source(directory, GITHUB + 'allow_ips = ["10.0.0.0/8", "preset"]')
    assert refusals(directory, "10.1.2.3", "192.30.252.7") == [None, None]
    assert refusals(directory, "203.0.113.7") == [Refusal.ADDRESS_FORBIDDEN]


def test_a_list_that_nobody_asks_for_lets_nobody_in_and_keeps_nobody_out(directory: Path) -> None:
    refreshed(directory, networks=["no network"])
    write_source(directory, GITHUB)
    assert refusals(directory, "203.0.113.7") == [None]
    write_source(directory, GITHUB + 'allow_ips = ["10.0.0.0/8"]')
    assert refusals(directory, "192.30.252.7") == [Refusal.ADDRESS_FORBIDDEN]


# Faults


@pytest.mark.parametrize(
    ("text", "problem", "mend"),
    [
        (SHOPIFY, "shopify publishes no addresses", "list them yourself"),
        (
            'secrets = ["env:KEY"]\nallow_ips = ["preset"]\n[verify]\nscheme = "token"',
            "the source has none",
            "list its networks",
        ),
        (PRESET.replace('["preset"]', '["presets"]'), "'presets' does not appear", "203.0.113.0/24"),
    ],
    ids=["preset without a list", "no preset", "mistyped"],
)
def test_says_why_the_word_stands_for_nothing(
    directory: Path, text: str, problem: str, mend: str
) -> None:
    write_source(directory, text)
    (fault,) = faults(directory)
    assert fault.key == "allow_ips[0]"
    assert problem in fault.problem
    assert mend in fault.mend


def test_a_list_that_does_not_ship_but_can_be_fetched_is_to_be_fetched(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = PublishedAddresses(page="https://shop.example/", urls=("https://shop.example/ips",))
    monkeypatch.setattr(addresses, "publication", {"shopify": found}.get)
    write_source(directory, SHOPIFY)
    (fault,) = faults(directory)
    assert fault.problem == "no list of shopify's addresses ships"
    assert fault.mend == "run `hookline addresses refresh shopify`"


def test_an_unknown_preset_is_one_fault_and_reads_no_file(directory: Path) -> None:
    (directory / "x.json").write_text("{}")
    write_source(directory, PRESET.replace("github", "../x"))
    (fault,) = faults(directory)
    assert fault.key == "preset"


@pytest.mark.parametrize(
    "changed",
    [
        {"networks": []},
        {"networks": ["0.0.0.0/33"]},
        {"networks": ["preset"]},
        {"preset": "stripe"},
        {"fetched": "soon"},
        {"colour": "red"},
        {"source_url": "http://api.github.com/meta"},
    ],
)
def test_a_spoilt_list_is_a_fault_and_never_passed_over(
    directory: Path, changed: dict[str, Any]
) -> None:
    path = refreshed(directory, **changed)
    write_source(directory, PRESET)
    (fault,) = faults(directory)
    assert str(path) in fault.problem
    assert "hookline addresses refresh github" in fault.mend


def test_half_a_list_is_a_fault(directory: Path) -> None:
    path = refreshed(directory)
    path.write_text(path.read_text()[:40])
    with pytest.raises(AddressesError, match="no address list"):
        known_addresses("github", directory)


# Age


def test_warns_of_a_list_that_is_old_and_in_use(directory: Path) -> None:
    write_source(directory, PRESET)
    old = date.fromordinal(TODAY.toordinal() - STALE_DAYS - 1)
    refreshed(directory, fetched=old.isoformat())
    (warning,) = load(directory).warnings
    assert f"{directory / 'sources' / 'a.toml'}: github's addresses are 91 days old" in warning
    write_source(directory, GITHUB)
    assert load(directory).warnings == ()


def test_does_not_warn_of_a_fresh_list_nor_of_one_from_tomorrow(directory: Path) -> None:
    write_source(directory, PRESET)
    for days in (0, STALE_DAYS, -1):
        fetched = date.fromordinal(TODAY.toordinal() - days)
        refreshed(directory, fetched=fetched.isoformat())
        assert load(directory).warnings == ()


# What ships


@pytest.mark.parametrize("name", shipped_names())
def test_what_ships_would_be_believed_from_the_net(name: str) -> None:
    known = shipped_addresses(name)
    assert known
    found: AddressList = known.list
    assert found.preset == name
    assert found.trust != "vendor-list"
    assert tuple(map(str, checked(found.networks, (), force=False))) == found.networks, "sort it"
    assert found.fetched <= TODAY


def test_every_list_that_ships_is_of_a_preset() -> None:
    assert {*shipped_names()} <= {*preset_names()}
