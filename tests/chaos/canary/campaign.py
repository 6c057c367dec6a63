"""`scripts/chaos canary`: nothing secret is found where it has no business to be."""

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.chaos.canary.life import Life
from tests.chaos.canary.planted import ALLOWED, Canaries
from tests.chaos.canary.search import Sighting, sightings


def campaign(seed: int) -> tuple[list[Sighting], dict[str, int]]:
    """What was found where; how many bytes of each place were searched."""
    canaries = Canaries(seed)
    with TemporaryDirectory(prefix="hookline-canary-") as folder:
        life = Life(Path(folder), canaries)
        life.run()
    return list(sightings(canaries, life.seen)), {place: len(text) for place, text in life.seen.items()}


def table(found: Sequence[Sighting], searched: dict[str, int]) -> str:
    """Place by place what was found there, and what was not found anywhere."""
    lines = [f"  {'place':<34}{'bytes':>10}  found there"]
    for place, size in sorted(searched.items()):
        here = [
            ("" if each.allowed else "LEAK ") + each.canary for each in found if each.place == place
        ]
        lines.append(f"  {place:<34}{size:>10}  {', '.join(here) or '-'}")
    nowhere = sorted(set(ALLOWED) - {each.canary for each in found})
    return "\n".join([*lines, f"  nowhere: {', '.join(nowhere)}"])


@click.command()
@click.option("--seed", default=None, type=int, help="Of the words that are planted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(seed: int | None, as_json: bool) -> None:
    """Plant secrets and personal data, live through every mishap, and search all that is left.

    Exit status 1 when one was found where it may not be.
    """
    chosen = random.randrange(10**6) if seed is None else seed
    found, searched = campaign(chosen)
    leaks = [each for each in found if not each.allowed]
    if as_json:
        rows = [{"canary": e.canary, "place": e.place, "allowed": e.allowed} for e in found]
        click.echo(json.dumps({"seed": chosen, "searched": searched, "found": rows}, indent=2))
    else:
        click.echo(f"{len(ALLOWED)} canaries, {len(searched)} places, seed {chosen}")
        click.echo(table(found, searched))
        for leak in leaks:
            click.echo(f"  LEAK: {leak.canary} in {leak.place}: …{leak.near!r}…")
        click.echo(f"  again: scripts/chaos canary --seed {chosen}" if leaks else "  every rule held")
    sys.exit(bool(leaks))
