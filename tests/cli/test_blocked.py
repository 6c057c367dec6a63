"""What an operator sees of deliveries that wait behind one another."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from gateway.adapters.http.metrics import read_snapshot, render
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.cli import main
from gateway.configuration import load_config
from gateway.core.event import INTERNAL, Turn
from gateway.faults import ConfigError
from tests.adapters.ledger_rig import GITHUB, LOOK, Rig, a_delivery, an_event
from tests.e2e.rig import PATIENT

UNVERIFIED = '[verify]\nscheme = "unverified"\n'


@pytest.fixture
def environ(redis_url: str, tmp_path: Path) -> dict[str, str]:
    sources = tmp_path / "config" / "sources"
    sources.mkdir(parents=True)
    (tmp_path / "config" / "gateway.toml").write_text(PATIENT)
    (sources / "github.toml").write_text(UNVERIFIED)
    empty = tmp_path / "empty_of_processors"
    empty.mkdir()
    return {
        "REDIS_URL": redis_url,
        "HOOKLINE_CONFIG": str(tmp_path / "config"),
        "HOOKLINE_PROCESSORS": str(empty),
    }


def hookline(environ: dict[str, str], *words: str) -> str:
    result = CliRunner().invoke(main, words, env=environ, prog_name="hookline")
    assert result.exit_code == 0, result.output
    return result.stdout


def line_up(redis: "Redis", *versions: str) -> None:
    rows = [
        (an_event(str(number)), GITHUB, ["archive"], [Turn(1, "k" * 26, False, version)])
        for number, version in enumerate(versions, 1)
    ]
    Rig(redis).run(ledger.accept(rows, LOOK))


def test_a_blocked_delivery_is_shown_with_the_one_that_it_waits_for(
    redis: "Redis", environ: dict[str, str]
) -> None:
    line_up(redis, "", "")
    text = hookline(environ, "events", "show", a_delivery("2"))
    assert f"{a_delivery('2')} waits behind {a_delivery('1')}" in text
    assert "blocked since" in text
    print(text)
    shown = json.loads(hookline(environ, "events", "show", a_delivery("2"), "--json"))
    assert shown["deliveries"][0]["behind"] == a_delivery("1")
    assert "waits behind" not in hookline(environ, "events", "show", a_delivery("1"))


def test_events_with_a_blocked_delivery_are_listed(redis: "Redis", environ: dict[str, str]) -> None:
    line_up(redis, "", "")
    rows = json.loads(hookline(environ, "events", "list", "--state", "blocked", "--json"))
    assert [(row["id"], row["state"]) for row in rows] == [(an_event("2").id, "blocked")]


@pytest.mark.anyio
async def test_blocked_overtaken_and_emitted_are_counted(redis: "Redis", redis_url: str) -> None:
    line_up(redis, "n2", "n3", "n1")
    redis.hincrby(Keys().counters, "emitted|github|archive|accepted", 4)
    async with async_client(redis_url, 5.0) as client:
        text = render(await read_snapshot(client, Keys(), [("github", "github")])).decode()
    assert 'hookline_open_deliveries{source="github"} 2.0' in text
    assert 'hookline_overtaken_deliveries_total{processor="archive",source="github"} 1.0' in text
    labels = 'processor="archive",result="accepted",source="github"'
    assert f"hookline_emitted_events_total{{{labels}}} 4.0" in text


def test_no_file_may_take_the_name_of_the_source_of_emitted_events(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config" / "sources" / f"{INTERNAL}.toml").write_text(UNVERIFIED)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "config", environ)
    (fault,) = caught.value.faults
    assert "source of what processors emit" in fault.problem
    assert fault.mend == "give the file another name"
