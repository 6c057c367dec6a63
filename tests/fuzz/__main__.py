"""`python -m tests.fuzz`: any number of inputs over every preset. `scripts/fuzz` runs it."""

import random
import sys
import time

import click

from tests.fuzz import campaign


@click.command()
@click.option("--inputs", default=1_000_000, show_default=True)
@click.option("--seed", default=None, type=int, help="Of what is tried; default: by chance.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
def main(inputs: int, seed: int | None, processes: int) -> None:
    """Fuzz the scheme of every preset; exit status 1 when one raised, or accepted what is forged."""
    chosen = random.randrange(10**6) if seed is None else seed
    start, result = time.monotonic(), campaign.Result()
    with click.progressbar(length=inputs, label="inputs", file=sys.stderr) as bar:
        for part in campaign.run(inputs, chosen, processes):
            result.add(part)
            bar.update(part.total.inputs)
    seconds = time.monotonic() - start
    click.echo(str(result))
    click.echo(
        f"seed {chosen}, {processes} processes, {seconds:.1f} s, {inputs / seconds:,.0f} inputs/s"
    )
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
