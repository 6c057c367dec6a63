"""`python -m tests.chaos`: both campaigns of kills, one after the other; by name, all the others.

One fault at a time: `sweep` (commands), `syscalls`, `torn` (the server's file); many: `soak`, `order`,
`mixed`, `overload`; the server: `outage`, `sick`; deploys: `rolling`; every order of steps: `model`;
bugs that all this must notice: `mutate`; what leaks: `canary`, `timing`. `scripts/chaos` runs it.
"""

import random
import sys

import click

from tests.adversary import timing
from tests.chaos import gateway_kill, kill, mixed, mutate, order_kill, outage, torn
from tests.chaos.canary import campaign as canary
from tests.chaos.overload import campaign as overload
from tests.chaos.rig import own_server
from tests.chaos.rolling import campaign as rolling
from tests.chaos.sick import campaign as sick
from tests.chaos.soak import campaign as soak
from tests.chaos.sweep import campaign as sweep
from tests.chaos.syscalls import campaign as syscalls
from tests.model import campaign as model


@click.group(invoke_without_command=True)
@click.option("--kills", default=20, show_default=True, help="Of each.")
@click.option("--deliveries", default=1000, show_default=True, help="For the worker that is killed.")
@click.option("--seed", default=None, type=int, help="Of the moments of the kills; default: by chance.")
@click.pass_context
def main(context: click.Context, kills: int, deliveries: int, seed: int | None) -> None:
    """Kill a worker, then a gateway, again and again; exit status 1 when a rule was broken."""
    if context.invoked_subcommand:
        return
    chosen = random.randrange(10**6) if seed is None else seed
    with own_server() as (root, url):
        first = kill.campaign(root, url, kills, deliveries, chosen)
    click.echo(str(first))
    with own_server() as (root, url):
        second = gateway_kill.campaign(root, url, kills, chosen)
    click.echo(str(second))
    sys.exit(bool(first.faults or second.faults))


main.add_command(order_kill.main, "order")
main.add_command(mixed.main, "mixed")
main.add_command(outage.main, "outage")
main.add_command(torn.main, "torn")
main.add_command(rolling.main, "rolling")
main.add_command(sweep.main, "sweep")
main.add_command(mutate.main, "mutate")
main.add_command(syscalls.main, "syscalls")
main.add_command(canary.main, "canary")
main.add_command(timing.main, "timing")
main.add_command(overload.main, "overload")
main.add_command(soak.main, "soak")
main.add_command(sick.main, "sick")
main.add_command(model.main, "model")

if __name__ == "__main__":
    main()
