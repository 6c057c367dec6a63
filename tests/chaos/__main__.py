"""`python -m tests.chaos`: both campaigns of kills, one after the other; `order`, that of lines;
`mixed`, that of unlike processors; `sweep`, a fault at every command; `mutate`, bugs that all this must
notice. `scripts/chaos` runs it.
"""

import random
import sys

import click

from tests.chaos import gateway_kill, kill, mixed, mutate, order_kill
from tests.chaos.rig import own_server
from tests.chaos.sweep import campaign as sweep


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
main.add_command(sweep.main, "sweep")
main.add_command(mutate.main, "mutate")

if __name__ == "__main__":
    main()
