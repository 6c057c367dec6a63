"""`hookline spool`: what waits on this machine's disk while Redis is away, or since it was."""

import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.deployment import load_or_exit
from gateway.cli.shared.exits import FAILED, NOT_FOUND, UNAVAILABLE, fail
from gateway.cli.shared.options import (
    json_option,
    limit_option,
    place_options,
    source_option,
    type_option,
)
from gateway.cli.shared.printing import body_text, counted, local, note, print_json
from gateway.cli.shared.server import connect_or_exit, url_or_exit
from gateway.cli.shared.spooled import event_json, event_row, file_row, state_json
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.core.event import Event

MOST_FAILURES: Final = 4
COLUMNS: Final = ("received", "source", "type", "event", "provider's id", "bytes")


@click.group()
def command() -> None:
    """Show or drain what waits on disk until Redis is back."""


@command.command("status")
@place_options
@json_option
def show_status(as_json: bool) -> None:
    """What waits in each file, and which source it is of. Needs neither Redis nor a gateway.

    Status 1: something is damaged, and an operator should look at it.
    """
    from gateway.adapters.spool.slots import survey
    from gateway.units import size_text

    app = load_or_exit()
    directory = _directory(app)
    with _telling():
        state = survey(directory)
    if as_json:
        print_json({"directory": str(directory), **state_json(state, app)})
    else:
        print_table(
            ("file", "used", "requests", "size", "oldest"), [file_row(each) for each in state.files]
        )
        for source, many in sorted(state.requests.items()):
            known = "" if app.config.source(source) else ": not configured, kept until it is"
            note(f"{counted(many, 'request')} of {source}{known}.")
        for path in state.damaged:
            note(f"damaged: {path}: set aside at {local(path.stat().st_mtime)}, see the log.")
        note(f"{counted(sum(state.requests.values()), 'request')}, {size_text(state.size)}.")
    sys.exit(FAILED if state.set_aside else 0)


@command.command("show")
@place_options
@source_option
@type_option
@click.option("--body", is_flag=True, help="Also the bodies.")
@limit_option
@json_option
def show_events(source: str | None, glob: str | None, body: bool, limit: int, as_json: bool) -> None:
    """Show the events that wait, the oldest of each file first."""
    from itertools import islice

    app = load_or_exit()
    with _telling():
        found = list(islice(_events(_directory(app), source, glob), limit + 1))
    if as_json:
        print_json([event_json(each, body=body) for each in found[:limit]])
    else:
        print_table(COLUMNS, [event_row(each) for each in found[:limit]])
        for each in found[:limit] if body else ():
            click.echo(f"\n{each.id}\n{body_text(each.body)}")
    if len(found) > limit:
        note(f"The first {limit}; there are more: --limit shows them.")
    elif not found:
        note("Nothing waits.")


@command.command("drain")
@place_options
def drain_files() -> None:
    """Bring what waits to Redis now. What a running gateway has open it drains by itself.

    Status 0: nothing is left that nobody sees to; 1: something is.
    """
    import asyncio

    from gateway.adapters.spool.slots import survey

    app = load_or_exit()
    url = url_or_exit(app)
    connect_or_exit(app).close()
    directory = _directory(app)
    with _telling():
        drained, answered = asyncio.run(_drain(app, url, directory))
    note(f"{counted(drained, 'request')} drained.")
    if not answered:
        fail(UNAVAILABLE, "Redis does not answer any more: what is left stays where it is.")
    left = [each for each in survey(directory).files if not each.used]
    used = [each for each in survey(directory).files if each.used]
    if used:
        note(f"{counted(len(used), 'file')} of running gateways left to them.")
    waiting = sum(each.totals.many if each.totals else 1 for each in left)
    if waiting:
        note(f"{counted(waiting, 'request')} stay: see `hookline spool status`.")
    sys.exit(FAILED if waiting else 0)


async def _drain(app: "Application", url: str, directory: Path) -> tuple[int, bool]:
    """How many were drained, and whether Redis answered to the end."""
    from gateway.adapters.ledger.async_ledger import AsyncLedger
    from gateway.adapters.ledger.redis_clients import async_client
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.adapters.ledger.script_line import ScriptLine
    from gateway.adapters.spool.drain import Drainer
    from gateway.adapters.spool.slots import orphans
    from gateway.adapters.spool.store import Store

    async def at_once(function: Any, *args: Any) -> Any:
        return function(*args)

    settings = app.config.settings
    sources = {each.name: each for each in app.config.sources}
    look_ms = int(settings.worker.look_interval * 1000)
    drained = 0
    async with (
        async_client(url, settings.redis.timeout) as client,
        aclosing(ScriptLine(client, Keys(app.prefix))) as line,
    ):
        ledger = AsyncLedger(line, look_ms=look_ms, replicas=settings.redis.awaited_replicas)
        slots = orphans(directory)
        try:
            for slot in slots:
                with Store(slot.path) as store:
                    drainer = Drainer(store, at_once, ledger, sources)
                    failures = 0  # several: one request may be what the ledger does not take
                    while failures < MOST_FAILURES and await drainer.step() is not None:
                        failures = 0 if drainer.answered else failures + 1
                    drained += drainer.drained
                if not drainer.answered:
                    return drained, False
        finally:
            for slot in slots:
                slot.release()
    return drained, True


@contextmanager
def _telling() -> Iterator[None]:
    """What a disk says, as a message."""
    import sqlite3

    try:
        yield
    except (sqlite3.Error, OSError) as error:
        fail(FAILED, f"The spool cannot be used: {error}")


def _directory(app: "Application") -> Path:
    directory = Path(app.config.settings.spool.directory)
    if not directory.is_dir():
        note(f"{directory} does not exist: no gateway has kept anything here.")
    return directory


def _events(directory: Path, source: str | None, glob: str | None) -> "Iterator[Event]":
    from fnmatch import fnmatchcase

    from gateway.adapters.spool.looking import read
    from gateway.adapters.spool.slots import survey

    for file in survey(directory).files:
        if file.totals is None:
            fail(NOT_FOUND, f"{file.path} cannot be read: the gateway that takes it over will mend it.")
        for kept in read(file.path):
            for each in kept.arrivals:
                if source in (None, kept.source) and fnmatchcase(each.event.type, glob or "*"):
                    yield each.event
