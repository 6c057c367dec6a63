"""`handshake` as an operator meets it: nothing is learnt unless a source has just been armed."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from gateway.adapters.ledger.lessons import arming, learn, learnt
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.cli import main
from tests.e2e.rig import PATIENT

SECRET = "a secret of 27 random bytes"


@pytest.fixture
def console(redis: "Redis", redis_url: str, tmp_path: Path) -> "Console":
    return Console(redis, redis_url, tmp_path)


class Console:
    """A deployment with a source that learns and one that does not."""

    def __init__(self, redis: "Redis", url: str, folder: Path) -> None:
        self.redis = redis
        sources = folder / "config" / "sources"
        sources.mkdir(parents=True)
        (folder / "config" / "gateway.toml").write_text(PATIENT)
        (folder / "no_processors_here").mkdir()
        (sources / "asana.toml").write_text('preset = "asana"\n')
        (sources / "github.toml").write_text('preset = "github"\nsecrets = ["env:SECRET"]\n')
        self.environ = {
            "REDIS_URL": url,
            "SECRET": SECRET,
            "HOOKLINE_CONFIG": str(folder / "config"),
            "HOOKLINE_PROCESSORS": str(folder / "no_processors_here"),
        }

    def __call__(self, *args: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, ["handshake", *args], env=self.environ, prog_name="hookline")
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def status(self) -> Any:
        return json.loads(self("status", "asana", "--json").stdout)

    def teach(self, secret: str) -> bool:
        return run(self.redis, Keys(), learn("asana", secret.encode()))


def test_an_armed_source_learns_one_secret_and_says_so_without_telling_it(console: Console) -> None:
    assert not console.teach("taught-too-early")
    console("arm", "asana", "--for", "2m")
    assert 0 < console.status()["armed_seconds"] <= 120
    assert console.teach("taught-in-time")
    assert console.teach("taught-in-time")
    assert not console.teach("taught-by-another")
    assert console.status() == {
        **console.status(),
        "armed": False,
        "taught_now": True,
        "secrets_learnt": 1,
    }
    assert "taught-in-time" not in console("status", "asana").output


def test_disarming_ends_it_and_keeps_what_was_learnt(console: Console) -> None:
    console("arm", "asana")
    console.teach("first-secret")
    assert "disarmed" in console("disarm", "asana").output
    assert arming(console.redis, Keys(), "asana") is None
    assert "was not armed" in console("disarm", "asana").output
    assert learnt(console.redis, Keys(), "asana") == 1


def test_forgetting_leaves_the_newest_secret_only(console: Console) -> None:
    for secret in ("first-secret", "second-secret"):
        console("arm", "asana")
        console.teach(secret)
    assert "1 older secret" in console("forget", "asana").output
    assert console.redis.lrange(Keys().learnt("asana"), 0, -1) == [b"second-secret"]


def test_a_source_whose_provider_teaches_nothing_cannot_be_armed(console: Console) -> None:
    assert "teaches nothing" in console("arm", "github", status=1).output
    assert arming(console.redis, Keys(), "github") is None


def test_an_unknown_source_and_a_mistyped_time_are_told_as_such(console: Console) -> None:
    assert "asana" in console("arm", "asna", status=3).output
    assert "is not a duration" in console("arm", "asana", "--for", "soon", status=2).output
