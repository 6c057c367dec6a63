"""`scripts/chaos rolling`: restarts of gateways under load, in three ways, and an account of it all.

The rules: no new connection fails; every request is answered, and by nothing but 200; what was answered
is stored, and processed once.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from gateway.core.event import event_id
from tests.chaos.gateway_kill import IDENTITY
from tests.chaos.rig import Crew, a_deployment, own_server
from tests.chaos.rolling.load import OK, Account, Load, Trouble
from tests.chaos.rolling.ways import Passed, Replaced, Way
from tests.e2e.rig import until

PROCESSORS: Final = """
@registry.processor(source="shop", name="process")
def process(event: Event) -> None:
    note(event, "start")
"""
PATH: Final = "/hooks/shop"
WAYS: Final = {
    "replace": "SIGUSR2",
    "passed": "stop, then start, on systemd's sockets",
    "pair": "one of two on one socket",
}
PAUSE: Final = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate`: new connections a second; `kept`: connections that are used again and again."""

    restarts: int
    seed: int
    workers: int = 1
    rate: float = 300.0
    kept: int = 20


@dataclass(frozen=True, slots=True)
class Found:
    """Of one way."""

    way: str
    restarts: int
    account: Account
    lost: int
    doubled: int
    unasked: int

    def figures(self) -> dict[str, float]:
        troubles = {str(each): self.account.troubles[each] for each in Trouble}
        statuses = self.account.statuses
        return {
            "restarts": self.restarts,
            "requests": self.account.requests,
            "connections": self.account.connections,
            **troubles,
            "answered 200": statuses[OK],
            "answered otherwise": statuses.total() - statuses[OK],
            "events acknowledged": len(self.account.acknowledged),
            "lost": self.lost,
            "processed twice": self.doubled,
            "longest gap between answers, ms": round(self.account.longest_gap * 1000),
            "longest request, ms": round(self.account.longest_request * 1000),
        }

    def faults(self) -> list[str]:
        """The rules that were broken."""
        figures = self.figures()
        forbidden = [*(each for each in Trouble if each is not Trouble.RACE), "answered otherwise"]
        forbidden += ["lost", "processed twice"]
        broken = [f"{self.way}: {name}: {figures[name]:g}" for name in forbidden if figures[name]]
        if others := {status: many for status, many in self.account.statuses.items() if status != OK}:
            broken.append(f"{self.way}: answers by status: {others}")
        if self.unasked:
            broken.append(f"{self.way}: {self.unasked} ran that were never stored")
        return broken


def run_way(name: str, plan: Plan, note: Callable[[str], None] = lambda _: None) -> Found:
    """On a server of its own."""
    with own_server() as (root, url):
        return run_on(name, plan, root, url, note)


def run_on(
    name: str, plan: Plan, root: Path, url: str, note: Callable[[str], None] = lambda _: None
) -> Found:
    chance = random.Random(f"{plan.seed} {name}")
    with Crew(a_deployment(root, PROCESSORS, ["shop"], more=IDENTITY), url) as crew:
        crew.worker()
        way = a_way(name, crew, plan.workers)
        try:
            way.start()
            load = Load(way.port, PATH, plan.rate, plan.kept)
            load.start()
            for number in range(plan.restarts):
                load.join(chance.uniform(*PAUSE))
                way.restart()
                note(f"{name}: {number + 1} of {plan.restarts} restarts")
            load.join(PAUSE[0])
            account = load.stop()
            way.end()
        finally:
            way.kill()
        until(lambda: not crew.rig.members("hookline:pending:shop"), 120, "the end of all deliveries")
        return count(name, plan.restarts, crew, account)


def a_way(name: str, crew: Crew, workers: int) -> Way:
    words = ("--workers", str(workers))
    if name == "replace":
        return Replaced(crew, words)
    return Passed(crew, words, at_once=2 if name == "pair" else 1)


def count(way: str, restarts: int, crew: Crew, account: Account) -> Found:
    """Once nothing is open any more: the sender's book against the ledger and the effect log."""
    runs = Counter(each.value for each in crew.runs())
    values = account.acknowledged | set(runs)
    stored = {
        value
        for value in values
        if crew.client.exists(crew.rig.keys.event(event_id("shop", "id", value.encode())))
    }
    return Found(
        way=way,
        restarts=restarts,
        account=account,
        lost=len(account.acknowledged - stored) + len(account.acknowledged - set(runs)),
        doubled=sum(many > 1 for many in runs.values()),
        unasked=len(set(runs) - stored),
    )


def table(found: list[Found]) -> str:
    names = list(found[0].figures())
    head = f"{'':<40}" + "".join(f"{each.way:>12}" for each in found)
    rows = [f"{name:<40}" + "".join(f"{each.figures()[name]:>12g}" for each in found) for name in names]
    ways = [f"{each.way}: {WAYS[each.way]}" for each in found]
    return "\n".join([head, *rows, "", *ways])


@click.command()
@click.option("--restarts", default=10, show_default=True, help="Of each way.")
@click.option("--seed", default=None, type=int, help="Of the moments; default: by chance.")
@click.option("--workers", default=1, show_default=True, help="Processes of each gateway.")
@click.option("--rate", default=300.0, show_default=True, help="New connections a second.")
@click.option(
    "--kept", default=20, show_default=True, help="Kept connections, 5 requests a second each."
)
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="Figures for a program.")
def main(
    restarts: int,
    seed: int | None,
    workers: int,
    rate: float,
    kept: int,
    ways: tuple[str, ...],
    as_json: bool,
) -> None:
    """Restart gateways under load; exit status 1 when a rule was broken."""
    plan = Plan(restarts, random.randrange(10**6) if seed is None else seed, workers, rate, kept)
    found = [run_way(name, plan, _note) for name in ways or WAYS]
    _note("")
    faults = [fault for each in found for fault in each.faults()]
    if as_json:
        click.echo(json.dumps(_as_json(plan, found, faults), indent=2))
    else:
        click.echo(f"Restarts under load, seed {plan.seed}, {workers} process(es) a gateway\n")
        click.echo(table(found))
        click.echo("\n" + ("\n".join(f"FAULT: {each}" for each in faults) or "every rule held"))
    if faults:
        again = f"--restarts {restarts} --seed {plan.seed} --workers {workers} --rate {rate:g}"
        click.echo(f"Again: scripts/chaos rolling {again} --kept {kept}", err=True)
    sys.exit(bool(faults))


def _as_json(plan: Plan, found: list[Found], faults: list[str]) -> dict[str, Any]:
    return {
        "seed": plan.seed,
        "workers": plan.workers,
        "ways": {each.way: each.figures() for each in found},
        "faults": faults,
    }


def _note(text: str) -> None:
    """A line of progress, where somebody looks."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


if __name__ == "__main__":
    main()
