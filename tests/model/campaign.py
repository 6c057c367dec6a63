"""`scripts/chaos model`: every order of steps up to a depth; a part of them on a real server, too."""

import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

import click
from redis import Redis

from gateway.adapters.ledger.redis_clients import blocking_client
from tests.chaos.rig import own_server
from tests.model.conform import Conformed, every_transition, walks
from tests.model.explore import Explored, explore
from tests.model.state import WORLDS, World

LENGTH: Final = 60
COLUMNS: Final = "{:<33}{:>6}{:>10}{:>13}{:>11}{:>9}{:>7}"
HEAD: Final = COLUMNS.format("", "depth", "states", "transitions", "on server", "walked", "kinds")


@dataclass(slots=True)
class Judged:
    """One world. `states` and `transitions` of the model; `compared` one by one with the server, and
    `walked` on it; `kinds`: of steps, with what was answered. `broken`: rule or drift, and the way."""

    world: str
    depth: int
    states: int
    transitions: int
    compared: int
    walked: int
    kinds: int
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        figures = (self.depth, self.states, self.transitions, self.compared, self.walked, self.kinds)
        return COLUMNS.format(self.world, *(f"{each:,}" for each in figures))


def judge(redis: "Redis", world: World, depth: int, transitions: int, walked: int, seed: int) -> Judged:
    """Stops at the first rule that is broken, and at the first drift."""
    found = explore(world, depth, lambda found: _tell(world, found))
    one_by_one, apart = Conformed(), Conformed()
    if not found.broken:
        one_by_one = every_transition(redis, found, transitions)
        apart = walks(redis, world, random.Random(seed), walked, LENGTH)
    return Judged(
        world.name,
        len(found.depths),
        len(found.came),
        found.transitions,
        one_by_one.transitions,
        apart.transitions,
        len(one_by_one.kinds | apart.kinds),
        [*_broken(found), *one_by_one.drift, *apart.drift],
    )


def _broken(found: Explored) -> Iterator[str]:
    for rule, steps in found.broken[:1]:
        yield rule
        yield from (f"  {number}. {step}" for number, step in enumerate(steps, 1))


def _tell(world: World, found: Explored) -> None:
    if sys.stderr.isatty():
        line = f"{world.name}: depth {len(found.depths)}, {len(found.came):,} states"
        click.echo(f"\r{line:<78}", nl=False, err=True)


def _progress(text: str = "") -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{text:<78}\r", nl=False, err=True)


@click.command()
@click.option("--depth", default=8, show_default=True, help="Steps from nothing.")
@click.option("--transitions", default=5000, show_default=True, help="Compared one by one.")
@click.option("--walks", "walked", default=200, show_default=True, help=f"Of {LENGTH} steps.")
@click.option("--only", default="", help="Worlds whose name holds this.")
@click.option("--seed", default=None, type=int, help="Of the walks; default: by chance.")
@click.option("--json", "as_json", is_flag=True)
def main(depth: int, transitions: int, walked: int, only: str, seed: int | None, as_json: bool) -> None:
    """Try every order of steps of two workers, a sweeper, a sender, an operator and bad luck on the
    ledger's state machine, and hold the machine against the real scripts. Exit status 1 when a rule was
    broken, or the server did something else."""
    chosen = random.randrange(10**6) if seed is None else seed
    began, found = time.monotonic(), []
    with own_server() as (_, url), blocking_client(url, 30.0) as client:
        client.config_set("appendfsync", "no")  # nothing here is to outlive the campaign
        for world in (each for each in WORLDS if only in each.name):
            found.append(judge(client, world, depth, transitions, walked, chosen))
            _progress()
    report = {"seed": chosen, "seconds": round(time.monotonic() - began)}
    if as_json:
        click.echo(json.dumps(report | {"worlds": [asdict(each) for each in found]}))
    else:
        _print(found, chosen, report["seconds"], depth)
    sys.exit(any(each.broken for each in found))


def _print(found: list[Judged], seed: int, seconds: int, depth: int) -> None:
    click.echo(f"the ledger's state machine, seed {seed}, {seconds} s")
    click.echo("\n".join([HEAD, *map(str, found)]))
    for each in (each for each in found if each.broken):
        click.echo(f"FAULT in {each.world}: " + "\n".join(each.broken))
        click.echo(f'again: scripts/chaos model --only "{each.world}" --depth {depth} --seed {seed}')
    if not any(each.broken for each in found):
        click.echo("every rule held, and the server did what the model says")


if __name__ == "__main__":
    main()
