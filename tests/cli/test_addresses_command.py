"""`hookline addresses`: lists, shows, and refreshes without ever losing the last good list."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from gateway import addresses
from gateway.adapters import address_lists
from gateway.addresses import refreshed_path
from gateway.catalogue import preset_names
from gateway.catalogue.published import PublishedAddresses
from gateway.cli import main
from tests.shipped_addresses import shipped_names

PAGES = {
    "github": PublishedAddresses(
        page="https://docs.github.com/ips", urls=("https://api.github.com/meta",), path=("hooks",)
    ),
    "stripe": PublishedAddresses(
        page="https://docs.stripe.com/ips", urls=("https://stripe.com/ips.json",), path=("WEBHOOKS",)
    ),
    "slack": PublishedAddresses(page="https://docs.slack.dev/ips", urls=("https://slack.com/ips",)),
    "shopify": PublishedAddresses(page="https://shopify.dev/ips"),
}
HOOKS = ["9.234.98.160/28", "9.234.98.176/28", "9.234.106.48/28", "140.82.112.0/20"]
HOOKS += ["143.55.64.0/20", "185.199.108.0/22", "192.30.252.0/22", "2606:50c0::/32", "2a0a:a440::/29"]

Serve = Callable[..., None]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two sources: github allows the published addresses, gitlab everybody. Their secrets are unset."""
    sources = tmp_path / "config" / "sources"
    sources.mkdir(parents=True)
    for name, more in (("github", 'allow_ips = ["preset"]'), ("gitlab", "")):
        text = f'preset = "{name}"\nsecrets = ["env:NOWHERE"]\n{more}'
        (sources / f"{name}.toml").write_text(text)
    return tmp_path / "config"


@pytest.fixture(autouse=True)
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """What the net answers by URL: a status, bytes or JSON; and where presets say that lists are."""
    answers: dict[str, Any] = {}

    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers[str(request.url)]
        if isinstance(found, httpx2.Response):
            return found
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        return httpx2.Response(200, content=iter([body]))

    client = address_lists.new_client
    monkeypatch.setattr(address_lists, "new_client", lambda: client(httpx2.MockTransport(answer)))
    monkeypatch.setattr(addresses, "publication", PAGES.get)

    def set_answers(**by_preset: Any) -> None:
        for name, found in by_preset.items():
            answers[PAGES[name].urls[0]] = found

    return set_answers


def hookline(config: Path, *words: str) -> Result:
    env = {"HOOKLINE_CONFIG": str(config), "HOOKLINE_PROCESSORS": "processors"}
    return CliRunner().invoke(main, ["addresses", *words], env=env)


def data_of(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# list and show


def test_lists_those_of_configured_sources_when_called_bare(config: Path) -> None:
    header, github, gitlab = hookline(config).stdout.splitlines()
    assert header.split() == ["PRESET", "NETWORKS", "DAYS", "FROM", "TRUST", "USED_BY", "URL"]
    assert github.split()[:2] == ["github", "9"]
    assert github.split()[3:] == ["shipped", "third-party", "github", "https://api.github.com/meta"]
    assert gitlab.split()[:2] == ["gitlab", "2"]


def test_lists_all_that_publish_something_with_all(config: Path) -> None:
    facts = {each["preset"]: each for each in data_of(hookline(config, "--all", "--json"))}
    wanted = {*shipped_names()} & {*preset_names()}
    assert {*facts} == wanted | {"github", "stripe", "slack", "shopify"}
    assert (facts["slack"]["networks"], facts["slack"]["from"]) == ([], None)
    assert facts["github"]["used_by"] == ["github"]
    assert facts["github"]["networks"] == HOOKS


def test_shows_one_with_where_it_is_from(config: Path) -> None:
    lines = hookline(config, "show", "github").stdout
    assert "source_url  https://api.github.com/meta" in lines
    assert "networks    192.30.252.0/22" in lines


def test_says_that_a_preset_is_unknown_or_has_no_addresses(config: Path) -> None:
    unknown = hookline(config, "show", "githup")
    assert (unknown.exit_code, "did you mean 'github'?" in unknown.stderr) == (3, True)
    assert hookline(config, "refresh", "../../etc").exit_code == 3
    nothing = hookline(config, "show", "standard-webhooks")
    assert (nothing.exit_code, "publishes no addresses" in nothing.stderr) == (1, True)


# refresh


def test_fetches_what_configured_sources_allow_though_their_secrets_are_unset(
    config: Path, serve: Serve
) -> None:
    serve(github={"hooks": ["192.30.252.0/20", "203.0.113.0/24", *HOOKS[:-3]]})
    result = hookline(config, "refresh")
    assert result.exit_code == 1, "192.30.252.0/20 has host bits"
    serve(github={"hooks": ["203.0.113.0/24", *HOOKS[1:]]})
    result = hookline(config, "refresh")
    assert (result.exit_code, result.stderr) == (0, "A gateway that runs takes it on SIGHUP.\n")
    assert result.stdout == (
        "github: 9 networks, 1 added, 1 removed\n  + 203.0.113.0/24\n  - 9.234.98.160/28\n"
    )
    (github, _) = data_of(hookline(config, "--json"))
    assert (github["trust"], github["days"]) == ("vendor-list", 0)
    assert github["from"].endswith("addresses/github.json")
    assert "203.0.113.0/24" in github["networks"]


def test_a_dry_run_shows_the_difference_and_writes_nothing(config: Path, serve: Serve) -> None:
    serve(github={"hooks": [*HOOKS, "203.0.113.0/24"]})
    result = hookline(config, "refresh", "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "github: 10 networks, 1 added, 0 removed\n  + 203.0.113.0/24\n"
    assert not (config / "addresses").exists()


HOSTILE: dict[str, Any] = {
    "default route": {"hooks": [*HOOKS, "0.0.0.0/0"]},
    "default route of IPv6": {"hooks": [*HOOKS, "::/0"]},
    "all of it in halves": {"hooks": [*HOOKS, "0.0.0.0/1", "128.0.0.0/1"]},
    "private": {"hooks": [*HOOKS, "10.0.0.0/8"]},
    "garbage": {"hooks": [*HOOKS, "DROP TABLE"]},
    "not texts": {"hooks": [*HOOKS, 7]},
    "empty": {"hooks": []},
    "other key": {"hook": HOOKS},
    "shrunk": {"hooks": HOOKS[:4]},
    "replaced": {"hooks": [f"203.0.113.{each}" for each in range(99)]},
    "HTML": b"<!doctype html><title>Sign in</title>",
    "nothing": b"",
    "5 MiB": json.dumps({"hooks": HOOKS}).encode() + b" " * (5 << 20),
    "redirect": httpx2.Response(302, headers={"location": "https://evil.example/"}),
    "error": httpx2.Response(500),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_list_leaves_the_last_good_one(config: Path, serve: Serve, name: str) -> None:
    serve(github={"hooks": HOOKS})
    assert hookline(config, "refresh").exit_code == 0
    path = refreshed_path("github", config)
    good = path.read_bytes()
    serve(github=HOSTILE[name])
    result = hookline(config, "refresh")
    assert result.exit_code == 1
    assert result.stderr.startswith("github: ")
    assert "The list that was there stays." in result.stderr
    assert path.read_bytes() == good
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_list_that_lost_most_of_what_was_known_is_taken_by_force(config: Path, serve: Serve) -> None:
    serve(github={"hooks": HOOKS[:2]})
    refused = hookline(config, "refresh", "--dry-run")
    assert refused.exit_code == 1
    assert "- 192.30.252.0/22" in refused.stdout, "a person must see what would go"
    assert "7 of 9 known networks would be gone" in refused.stderr
    assert hookline(config, "refresh", "--force").exit_code == 0
    (github, _) = data_of(hookline(config, "--json"))
    assert github["networks"] == HOOKS[:2]


def test_no_force_makes_a_default_route_good(config: Path, serve: Serve) -> None:
    serve(github={"hooks": ["0.0.0.0/0"]})
    assert hookline(config, "refresh", "--force").exit_code == 1
    assert not refreshed_path("github", config).exists()


def test_one_that_fails_does_not_keep_the_others(config: Path, serve: Serve) -> None:
    serve(github=b"", slack=["203.0.113.0/24"])
    result = hookline(config, "refresh", "github", "slack", "shopify")
    assert result.exit_code == 1
    assert result.stdout.startswith("slack: 1 network, 1 added")
    assert "shopify: publishes no list that a machine can read" in result.stderr
    assert [each.name for each in (config / "addresses").iterdir()] == ["slack.json"]


def test_a_refresh_mends_a_spoilt_list(config: Path, serve: Serve) -> None:
    path = refreshed_path("github", config)
    path.parent.mkdir()
    path.write_text("{")
    serve(github={"hooks": HOOKS[:2]})
    assert hookline(config, "refresh").exit_code == 1, "what ships is what was known"
    serve(github={"hooks": HOOKS})
    result = hookline(config, "refresh")
    assert (result.exit_code, "is no address list" in result.stderr) == (0, True)
    assert json.loads(path.read_text())["networks"] == HOOKS


def test_says_that_there_is_nothing_to_refresh(config: Path) -> None:
    (config / "sources" / "github.toml").unlink()
    result = hookline(config, "refresh")
    assert (result.exit_code, "No source has allow_ips" in result.stderr) == (0, True)
