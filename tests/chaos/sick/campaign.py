"""`scripts/chaos sick`: every fault of a server, on a real one, beneath a real gateway and worker.

The rules that are counted by:

* Every request is answered within 1.5 s: 200, or 503 for a reason that fits the fault.
* What was answered 200 is run, once. Only a fail-over may have it run again, and only one that was not
  waited for (`durability` is not "replicated") or a server without its data may lose it.
* Where an operator has to do something, the metrics say so within a minute.
* After the fault everything goes on by itself.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click

from tests.chaos.servers import Pair, Sentinel, Server
from tests.chaos.sick.cost import cost
from tests.chaos.sick.fault import Fault, Place, Row
from tests.chaos.sick.faults import FAULTS
from tests.chaos.sick.relay import Relay
from tests.chaos.sick.ward import Ward

SMALL_DISK: Final = "24m"


@contextmanager
def ward_at(place: Place, root: Path) -> Iterator[Ward]:
    """Raises subprocess.CalledProcessError where a small disk cannot be mounted."""
    with ExitStack() as stack:
        if place in (Place.REPLICATED, Place.SENTINEL, Place.ASYNC):
            pair = stack.enter_context(Pair(root))
            watched = place is not Place.REPLICATED
            sentinel = Sentinel(root / "sentinel", pair.primary) if watched else None
            if sentinel:
                stack.enter_context(sentinel)
            durability = "always" if place is Place.ASYNC else "replicated"
            server, replica = pair.primary, pair.replica
            ward = Ward(root, server, durability=durability, replica=replica, sentinel=sentinel)
        else:
            small = place in (Place.SMALL_DISK, Place.EVERYSEC)
            folder = stack.enter_context(small_disk(root / "disk")) if small else root
            durability = "everysec" if place is Place.EVERYSEC else "always"
            server = stack.enter_context(Server(folder / "data", appendfsync=durability))
            relay = stack.enter_context(Relay(server.port)) if place is Place.RELAY else None
            ward = Ward(root, server, durability=durability, relay=relay)
        yield stack.enter_context(ward)


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def run_all(faults: Iterable[Fault]) -> Iterator[Row]:
    """Those of one place one after the other, on the same server."""
    for place, some in groupby(faults, key=lambda each: each.place):
        with (
            tempfile.TemporaryDirectory(prefix="hookline-sick-") as folder,
            ward_at(place, Path(folder)) as ward,
        ):
            for fault in some:
                yield ward.suffer(fault)


HEAD: Final = (
    "| fault | expected | observed | sent | 200 | lost | again | slowest s | recovery s | worker s |"
)


def line(row: Row) -> str:
    fault = row.fault
    cells = (
        fault.name,
        fault.expected,
        row.observed,
        row.sent,
        row.acknowledged,
        row.lost,
        row.doubled,
    )
    times = (f"{each:.1f}" for each in (row.slowest, row.recovery, row.worked))
    return f"| {' | '.join(map(str, (*cells, *times)))} |"


def facts(row: Row) -> dict[str, Any]:
    """For a program."""
    fault = {"fault": row.fault.name, "expected": row.fault.expected, "place": row.fault.place}
    return fault | {name: getattr(row, name) for name in Row.__slots__ if name != "fault"}


@click.command()
@click.option("--only", multiple=True, help="Faults whose name holds this; may be repeated.")
@click.option("--list", "listing", is_flag=True, help="Only name the faults.")
@click.option(
    "--cost", "measuring", is_flag=True, help="Only measure what waiting for a replica costs."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a fault.")
def main(only: tuple[str, ...], listing: bool, measuring: bool, as_json: bool) -> None:
    """Make a server sick in every way; exit status 1 when a rule was broken."""
    chosen = [each for each in FAULTS if not only or any(part in each.name for part in only)]
    if not chosen:
        raise click.UsageError("no fault is named so; --list names them")
    if listing:
        click.echo("\n".join(f"{each.name} ({each.place}): {each.expected}" for each in chosen))
        return
    if measuring:
        click.echo(cost())
        return
    began = time.monotonic()
    rows = []
    for row in run_all(chosen):
        rows.append(row)
        if sys.stderr.isatty():
            click.echo(f"{len(rows)} of {len(chosen)}: {row.fault.name}", err=True)
        if as_json:
            click.echo(json.dumps(facts(row)))
    if not as_json:
        click.echo("\n".join([HEAD, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|", *map(line, rows)]))
        click.echo(f"{len(rows)} faults in {time.monotonic() - began:.0f} s")
    broken = [row for row in rows if row.breaches]
    for row in broken:
        click.echo(f"FAULT: {row.fault.name}: {'; '.join(row.breaches)}", err=True)
        click.echo(f"  again: scripts/chaos sick --only {row.fault.name!r}", err=True)
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
