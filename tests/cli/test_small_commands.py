"""`sources`, `plugins`, `schema` and `dashboard`, each through its command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.application import Application
from gateway.cli import main
from gateway.cli.dashboard import replayer
from gateway.cli.schema import TITLES, schema_of
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import Event, delivery_id, event_id
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead
from gateway.units import duration_text, parse_duration, size_text
from gateway.wiring import Place, load_application

ROOT = Path(__file__).parents[2]
SECRET = "a secret of 27 random bytes"
SHOP = """
secrets = ["env:SHOP_SECRET", "env:SHOP_SECRET_OLD"]
allow_ips = ["203.0.113.0/24"]
rate_limit = "100/minute"
max_body = "1500KiB"
concurrency = 4
retry = { attempts = 3 }

[verify]
scheme = "token"
header = "X-Shop"
"""
PROCESSORS = """
from pydantic import BaseModel
from gateway.plugins import Event, Registry

registry = Registry()

class Order(BaseModel):
    id: str

@registry.processor(source="shop", events=["order.*"], timeout=90)
async def pack(event: Event, order: Order) -> None: ...

@registry.processor(source="github")
def watch(event: Event) -> None: ...
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A deployment with two sources and two processors."""
    sources, processors = tmp_path / "config" / "sources", tmp_path / "small_commands"
    sources.mkdir(parents=True)
    processors.mkdir()
    (tmp_path / "config" / "gateway.toml").write_text('redis.timeout = "10s"\n')
    (sources / "github.toml").write_text('preset = "github"\nsecrets = ["env:SHOP_SECRET"]\n')
    (sources / "shop.toml").write_text(SHOP)
    (processors / "orders.py").write_text(PROCESSORS)
    return Place(tmp_path / "config", processors)


@pytest.fixture(autouse=True)
def _forget_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own `small_commands` package."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in [each for each in sys.modules if each.startswith("small_commands")]:
        monkeypatch.delitem(sys.modules, name)


def environ(place: Place, **more: str | None) -> dict[str, str | None]:
    return {
        "HOOKLINE_CONFIG": str(place.config),
        "HOOKLINE_PROCESSORS": str(place.processors),
        "SHOP_SECRET": SECRET,
        "SHOP_SECRET_OLD": f"{SECRET}, the former",
        "REDIS_URL": "unix:///nowhere/redis.sock",
        **more,
    }


def hookline(place: Place, *words: str, **env: str | None) -> Result:
    result = CliRunner().invoke(main, words, env=environ(place, **env))
    assert SECRET not in result.output
    return result


def data_of(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# sources


def test_sources_lists_one_line_a_source_when_called_bare(place: Place) -> None:
    header, github, shop = hookline(place, "sources").stdout.splitlines()
    assert header.split()[:3] == ["NAME", "PATH", "PROOF"]
    assert github.split()[:5] == ["github", "/hooks/github", "github", "1", "any"]
    assert " ".join(shop.split()) == "shop /hooks/shop token 2 1 100/minute 1500KiB 7d 3 shop 4 1"


def test_sources_are_data_with_json(place: Place) -> None:
    github, shop = data_of(hookline(place, "sources", "--json"))
    assert (github["allow_ips"], github["max_body"], github["revive_dead"]) == (None, 26214400, True)
    assert (shop["allow_ips"], shop["dedup_window"]) == (["203.0.113.0/24"], 604800)
    assert shop["secrets"] == ["env:SHOP_SECRET", "env:SHOP_SECRET_OLD"]


def test_show_tells_units_the_providers_facts_and_who_wants_the_events(place: Place) -> None:
    text = hookline(place, "sources", "show", "github").stdout
    facts = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert (facts["max_body"], facts["retention"]) == ("25MiB", "3d")
    assert (facts["secrets"], facts["sender.deadline"]) == ("env:SHOP_SECRET", "10s")
    assert facts["links"].startswith("https://docs.github.com/")
    assert facts["processors"].startswith("watch (*) ")


@pytest.mark.parametrize(
    "words", [("sources", "--json", "show", "shop"), ("sources", "show", "shop", "--json")]
)
def test_json_may_stand_on_either_side_of_show(place: Place, words: tuple[str, ...]) -> None:
    assert data_of(hookline(place, *words))["retry"]["attempts"] == 3


def test_an_unknown_source_is_not_found_and_the_configured_ones_are_named(place: Place) -> None:
    result = hookline(place, "sources", "show", "shopp")
    assert result.exit_code == 3
    assert "No source is named 'shopp': did you mean 'shop'?" in result.stderr


def test_what_is_no_url_of_a_redis_is_told_without_its_password(place: Place) -> None:
    for url in ("redis://:ses/ame@host", "user:ses/ame@host:6379"):
        for words, status in ((("check",), 78), (("events",), 69)):
            result = hookline(place, *words, REDIS_URL=url)
            assert result.exit_code == status
            assert "this is no URL of a Redis" in result.output
            assert "ame@" not in result.output
            assert "ses" not in result.output.replace("processors", "")


def test_sources_of_a_faulty_deployment_are_its_faults(place: Place) -> None:
    result = hookline(place, "sources", SHOP_SECRET=None)
    assert result.exit_code == 78
    assert "SHOP_SECRET is not set" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("text", ["500ms", "1s", "90s", "5m", "90m", "36h", "7d", "1.5s", "0.5ms"])
def test_a_duration_is_shown_so_that_it_can_be_written_back(text: str) -> None:
    assert parse_duration(duration_text(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (1500, "1500B"),
        (9999, "9999B"),
        (10_001, "9.8KiB"),
        (32 << 10, "32KiB"),
        (1500 << 10, "1500KiB"),
        (25 << 20, "25MiB"),
        ((25 << 20) + 1, "25.0MiB"),
        (12_000 << 30, "12000GiB"),
    ],
)
def test_a_size_of_more_than_four_digits_is_rounded_and_shows_it(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "500ms"), (300.0, "5m"), (0.29, "290ms"), (100_001.5, "1.2d")]
)
def test_a_duration_is_rounded_likewise(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


# plugins


def test_plugins_tells_where_each_processor_stands_and_how_it_runs(place: Place) -> None:
    pack, watch = data_of(hookline(place, "plugins", "--json"))["processors"]
    file = str(place.processors / "orders.py")
    assert pack == {
        "name": "pack",
        "source": "shop",
        "events": ["order.*"],
        "when": None,
        "kind": "async",
        "timeout": 90,
        "retry": None,
        "order_by": None,
        "model": "Order",
        "lifespans": [],
        "transform": None,
        "origin": f"{file}:10",
        "registry": file,
    }
    assert (watch["kind"], watch["timeout"], watch["model"]) == ("sync", None, None)


def test_plugins_needs_no_configuration_and_no_secrets(place: Place) -> None:
    result = hookline(place, "plugins", "--config", "/nowhere", SHOP_SECRET=None)
    assert (result.exit_code, "90s" in result.stdout) == (0, True)


def test_a_module_that_cannot_be_imported_is_shown_beside_the_others(place: Place) -> None:
    (place.processors / "broken.py").write_text("import json\nimport no_such_module\n")
    result = hookline(place, "plugins")
    assert result.exit_code == 78
    assert "broken.py: line 2: cannot be imported: ModuleNotFoundError" in result.stderr
    assert "pack" in result.stdout
    faults = json.loads(hookline(place, "plugins", "--json").stdout)["faults"]
    assert [each["key"] for each in faults] == ["line 2"]


# schema


@pytest.mark.parametrize("which", TITLES)
def test_the_committed_schema_is_the_one_of_the_models(which: str, place: Place) -> None:
    committed = ROOT / "docs" / "schema" / f"{which}.json"
    printed = hookline(place, "schema", which).stdout
    assert committed.read_text() == printed, "run: hookline schema --write docs/schema"


def test_schema_prints_the_gateways_unless_told_otherwise(place: Place) -> None:
    schema = data_of(hookline(place, "schema"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "Hookline: gateway.toml"
    assert schema["additionalProperties"] is False


def test_schemas_are_written_where_they_are_wanted(place: Place, tmp_path: Path) -> None:
    assert hookline(place, "schema", "--write", str(tmp_path / "new")).exit_code == 0
    assert {path.stem for path in (tmp_path / "new").iterdir()} == set(TITLES)


def test_a_schema_gives_defaults_as_a_file_would_and_knows_no_null() -> None:
    schema = schema_of("gateway")["$defs"]
    assert schema["WorkerSettings"]["properties"]["lease"]["default"] == "30s"
    assert schema["ServerSettings"]["properties"]["max_header_bytes"]["default"] == "32KiB"
    assert "null" not in json.dumps([schema_of(which) for which in TITLES])


def test_every_schema_comment_in_config_leads_to_a_committed_schema() -> None:
    for path in (ROOT / "config").rglob("*.toml"):
        first = path.read_text().splitlines()[0]
        assert first.startswith("#:schema "), f"{path}: begin with #:schema, so that editors know it"
        target = (path.parent / first.removeprefix("#:schema ")).resolve()
        which = "gateway" if path.name == "gateway.toml" else "source"
        assert target == ROOT / "docs" / "schema" / f"{which}.json"
        assert target.is_file()


def test_the_keys_of_every_committed_file_are_in_its_schema() -> None:
    folders = {"source": "config/sources", "preset": "gateway/presets", "gateway": "config"}
    for which, folder in folders.items():
        for path in (ROOT / folder).glob("*.toml"):
            keys = set(tomllib.loads(path.read_text()))
            assert keys <= set(schema_of(which)["properties"]), path


# dashboard


@pytest.fixture
def app(place: Place) -> Application:
    return load_application(place, {key: value or "" for key, value in environ(place).items()})


def bury(app: Application, redis: "Redis") -> str:
    """A dead letter's delivery id."""
    source = app.config.source("github")
    assert source
    event = Event(event_id("github", "id", b"1"), "github", "push", "1", (), b"{}", 0.0)
    run(redis, Keys(), ledger.accept([(event, source, ["watch"])]))
    call = ledger.claim(lease_ms=60_000, worker="w", keep_books=True, queues=[("github", 1)])
    (held,) = run(redis, Keys(), call)
    assert isinstance(held, Claimed)
    dead = Finish(held.delivery, held.fence, Dead(DeadReason.EXHAUSTED), AttemptOutcome.FAILED)
    run(redis, Keys(), ledger.finish([dead], keep_books=True))
    return delivery_id(event.id, 1)


def test_requeue_replays_a_dead_letter_and_nothing_else(app: Application, redis: "Redis") -> None:
    dead = bury(app, redis)
    replay = replayer(app, redis)
    assert replay(dead)
    assert not replay(dead), "it is pending now"
    assert not replay("another-programs-job")


@pytest.fixture(autouse=True)
def _keep_signal_handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `hookline dashboard` would have served: (token, host, port)."""
    pytest.importorskip("rq_dashboard", reason="needs the dashboard extra")
    from gateway.adapters.dashboard import guard as dashboard

    calls: list[Any] = []
    monkeypatch.setattr(
        dashboard, "serve_dashboard", lambda app, host, port: calls.append((app.token, host, port))
    )
    return calls


def test_the_dashboard_is_on_loopback_without_a_token(
    place: Place, redis_url: str, served: list[Any]
) -> None:
    result = hookline(place, "dashboard", REDIS_URL=redis_url)
    assert result.exit_code == 0, result.output
    assert served == [(None, "127.0.0.1", 9181)]


def test_the_dashboard_takes_the_admin_apps_token_or_its_own(
    place: Place, redis_url: str, served: list[Any]
) -> None:
    (place.config / "gateway.toml").write_text('admin.token = "env:ADMIN_TOKEN"\n')
    tokens = {"ADMIN_TOKEN": "the admin app's own token", "OTHER": "the dashboard's own token"}
    for words in ((), ("--token", "env:OTHER")):
        result = hookline(place, "dashboard", *words, REDIS_URL=redis_url, **tokens)
        assert result.exit_code == 0, result.output
    assert [token for token, _, _ in served] == [text.encode() for text in tokens.values()]


def test_the_dashboard_does_not_leave_loopback_without_a_token(place: Place, redis_url: str) -> None:
    result = hookline(place, "dashboard", "--host", "0.0.0.0", "--port", "0", REDIS_URL=redis_url)
    assert (result.exit_code, "without a token" in result.stderr) == (78, True)


def test_an_unset_token_is_a_fault(place: Place, redis_url: str) -> None:
    result = hookline(place, "dashboard", "--token", "env:NOBODY_SET_ME", REDIS_URL=redis_url)
    assert (result.exit_code, "NOBODY_SET_ME is not set" in result.stderr) == (78, True)


def test_a_taken_port_is_said_so(place: Place, redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = hookline(place, "dashboard", "--port", port, REDIS_URL=redis_url)
    assert (result.exit_code, "in use" in result.stderr) == (1, True)


def test_the_dashboard_of_an_absent_redis_is_unavailable(place: Place) -> None:
    result = hookline(place, "dashboard")
    assert (result.exit_code, "cannot be reached" in result.stderr) == (69, True)


def test_sigterm_ends_the_dashboard_as_ctrl_c_does(place: Place, redis_url: str) -> None:
    pytest.importorskip("rq_dashboard", reason="needs the dashboard extra")
    env = {**os.environ, **{key: value or "" for key, value in environ(place).items()}}
    command = [sys.executable, "-m", "gateway", "dashboard", "--port", "0"]
    with subprocess.Popen(
        command, env={**env, "REDIS_URL": redis_url}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("Dashboard of unix://")
        process.terminate()
        _, notes = process.communicate(timeout=60)
    assert (process.returncode, notes) == (0, "Stopped.\n")


def test_every_small_command_is_reached_by_its_name() -> None:
    context = click.Context(main)
    for name in ("sources", "presets", "plugins", "schema", "dashboard"):
        assert main.get_command(context, name) is not None
