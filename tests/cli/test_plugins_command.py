"""`hookline plugins`: what processors say about themselves, and what has no effect."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

MODULE = """
from collections.abc import Iterator
from gateway.plugins import Event, Registry, Retry

registry = Registry()

class Database: ...

@registry.lifespan
def database() -> Iterator[Database]:
    yield Database()

@registry.transform(source="stripe")
def flatten(event: Event) -> object:
    return event.payload["data"]

@registry.processor(
    source="stripe",
    when={"field": "livemode", "equals": True},
    retry=Retry(attempts=3, schedule=[1, 60]),
    retry_on=ConnectionError,
    order_by="data.object.customer",
    latest_only=True,
)
def book(event: Event, database: Database) -> None: ...

@registry.processor(source="github")
def plain(event: Event) -> None: ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / f"listed_{tmp_path.name}"
    path.mkdir()
    (path / "money.py").write_text(MODULE)
    yield path
    for module in [each for each in sys.modules if each.partition(".")[0] == path.name]:
        del sys.modules[module]


def plugins(folder: Path, *words: str) -> Result:
    # In the environment, which the runner puts back: options stay there for the processes of a command.
    place = {"HOOKLINE_PROCESSORS": str(folder), "HOOKLINE_CONFIG": str(folder / "nowhere")}
    return CliRunner().invoke(main, ["plugins", *words], env=place)


def test_what_a_processor_says_about_itself_is_listed(folder: Path) -> None:
    result = plugins(folder, "--json")
    assert result.exit_code == 0, result.stderr
    book, plain = json.loads(result.stdout)["processors"]
    assert book["when"] == "livemode equals true"
    assert book["retry"] == "attempts 3, after 1s 60s; on ConnectionError"
    assert book["order_by"] == "data.object.customer, latest only"
    assert book["lifespans"] == ["database"]
    assert book["transform"].endswith("money.py:13")
    assert [plain[key] for key in ("when", "retry", "order_by", "transform")] == [None] * 4


def test_columns_that_nobody_needs_are_left_out(folder: Path) -> None:
    with_all = plugins(folder).stdout.splitlines()[0].split()
    assert with_all[3:8] == ["WHEN", "KIND", "TIMEOUT", "RETRY", "ORDER_BY"]
    text = (folder / "money.py").read_text().partition("@registry.processor(\n")[0]
    (folder / "plain.py").write_text("from gateway.plugins import *\nregistry = Registry()\n")
    (folder / "money.py").write_text(
        text + '@registry.processor(source="github")\ndef one(event): ...\n'
    )
    for module in [each for each in sys.modules if each.partition(".")[0] == folder.name]:
        del sys.modules[module]
    result = plugins(folder)
    assert result.stdout.splitlines()[0].split() == [
        *("NAME", "SOURCE", "EVENTS", "KIND", "TIMEOUT", "ORIGIN", "REGISTRY"),
    ]
    assert "plain.py: its registry has no processor" in result.stderr
    assert "no processor below it takes what the lifespan database yields" in result.stderr
