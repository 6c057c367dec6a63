"""`spool` as an operator meets it: with a gateway or without, with Redis or without."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from gateway.adapters.spool.slots import Slot, claim
from gateway.adapters.spool.store import Store
from gateway.cli import main
from tests.adapters.spool_rig import record
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import PATIENT

SHOP = 'secrets = ["env:SECRET"]\n[verify]\nscheme = "token"\nheader = "X-Door"\n'
NOWHERE = "redis://127.0.0.1:1/0"


class Console:
    """A deployment whose spool has three requests: two of a source that is configured."""

    def __init__(self, url: str, folder: Path) -> None:
        self.directory = folder / "spool"
        sources = folder / "config" / "sources"
        sources.mkdir(parents=True)
        (folder / "config" / "gateway.toml").write_text(PATIENT)
        (folder / "nothing").mkdir()
        (sources / "shop.toml").write_text(f"spool = true\n{SHOP}")
        self.environ = {
            "REDIS_URL": url,
            "SECRET": "a secret of 27 random bytes",
            "HOOKLINE_CONFIG": str(folder / "config"),
            "HOOKLINE_PROCESSORS": str(folder / "nothing"),
            "HOOKLINE_SPOOL": str(self.directory),
        }

    def __call__(self, *args: str, status: int = 0, url: str = "") -> Result:
        environ = {**self.environ, **({"REDIS_URL": url} if url else {})}
        result = CliRunner().invoke(main, args, env=environ, prog_name="hookline")
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def status(self, status: int = 0) -> Any:
        return json.loads(self("spool", "status", "--json", status=status, url=NOWHERE).stdout)

    def fill(self, *names: str, source: str = "shop") -> None:
        slot = claim(self.directory)
        with Store(slot.path) as store:
            store.add([record(name, source, b'{"number": "%b"}' % name.encode()) for name in names])
        slot.release()


@pytest.fixture
def console(redis_url: str, tmp_path: Path) -> Console:
    return Console(redis_url, tmp_path)


@pytest.fixture
def held(console: Console) -> Slot:
    return claim(console.directory)


def test_status_needs_neither_redis_nor_a_gateway_nor_even_a_spool(console: Console) -> None:
    assert console.status()["requests"] == {}
    assert "does not exist" in console("spool", "status", url=NOWHERE).stderr
    console.fill("1", "2")
    console.fill("3", source="gone")
    found = console.status()
    assert found["requests"] == {"shop": 2, "gone": 1}
    assert found["not_configured"] == ["gone"]
    assert [each["used"] for each in found["files"]] == [False]
    text = console("spool", "status", url=NOWHERE)
    assert "1 request of gone: not configured" in text.stderr
    assert "3 requests" in text.stderr


def test_drain_brings_all_to_redis_that_is_configured_and_says_what_stays(
    console: Console, redis: "Redis"
) -> None:
    console.fill("1", "2")
    console.fill("3", source="gone")
    result = console("spool", "drain", status=1)
    assert "2 requests drained." in result.stderr
    assert "1 request stay" in result.stderr
    assert console.status()["requests"] == {"gone": 1}
    view = LedgerView(redis)
    assert view.stored("shop", "1") == b'{"number": "1"}'
    assert view.headers("shop", "2") == (("x-id", "2"), ("x-odd", "\xff\x00"))
    assert len(view.bells("shop", "1")) == 1


def test_drain_leaves_to_a_running_gateway_what_it_has_open(console: Console, held: Slot) -> None:
    with Store(held.path) as store:
        store.add([record("1")])
        result = console("spool", "drain")
        assert "0 requests drained." in result.stderr
        assert "1 file of running gateways" in result.stderr
        assert console.status()["files"][0]["used"]
    held.release()
    assert "1 request drained." in console("spool", "drain").stderr
    assert list(console.directory.glob("*.db")) == []


def test_drain_without_redis_says_so_and_changes_nothing(console: Console) -> None:
    console.fill("1")
    assert "cannot be reached" in console("spool", "drain", status=69, url=NOWHERE).stderr
    assert console.status()["requests"] == {"shop": 1}


def test_show_lists_what_waits_and_bodies_only_where_they_are_asked_for(console: Console) -> None:
    assert "Nothing waits." in console("spool", "show", url=NOWHERE).stderr
    console.fill("1", "2")
    console.fill("3", source="gone")
    rows = json.loads(console("spool", "show", "--json", url=NOWHERE).stdout)
    assert [each["provider_id"] for each in rows] == ["1", "2", "3"]
    assert "number" not in console("spool", "show", url=NOWHERE).output
    text = console("spool", "show", "--source", "gone", "--type", "pu*", "--body", url=NOWHERE)
    assert '"number": "3"' in text.stdout
    assert '"number": "1"' not in text.stdout
    assert "there are more" in console("spool", "show", "--limit", "2", url=NOWHERE).stderr


def test_what_is_damaged_is_told_with_a_status_of_its_own(console: Console) -> None:
    console.fill("1")
    (console.directory / "0.db").write_bytes(b"no database" * 500)
    assert console.status(status=1)["files"][0]["readable"] is False
    console("spool", "drain")
    assert len(console.status(status=1)["damaged"]) == 1


def test_a_directory_that_cannot_be_used_is_a_fault_where_a_source_needs_it(
    console: Console, tmp_path: Path
) -> None:
    console("check")
    (tmp_path / "file").touch()
    console.environ["HOOKLINE_SPOOL"] = str(tmp_path / "file" / "spool")
    for words in (("check",), ("serve", "--port", "0", "--admin-port", "0")):
        assert "spool.directory" in console(*words, status=78).output
    shop = tmp_path / "config" / "sources" / "shop.toml"
    shop.write_text(SHOP)
    console("check")


def test_a_check_makes_no_directory(console: Console) -> None:
    console("check")
    assert not console.directory.exists()
