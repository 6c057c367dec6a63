"""`scripts/chaos soak`: epochs of load and faults, one after the other, and what they add up to.

An epoch begins with an empty server and ends with the comparison of all books. Its seed decides its
faults, and follows from the campaign's: a campaign that was broken off goes on with the next one.
"""

import asyncio
import json
import logging
import os
import random
import shutil
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import click
import uvloop

from gateway.adapters.embedded.binary import ServerBinary, find_binary
from tests.chaos.soak.epoch import Epoch
from tests.chaos.soak.outcome import Outcome, Setting, as_json, from_json
from tests.chaos.soak.plan import LEVELS
from tests.chaos.soak.table import Totals
from tests.chaos.sweep.zygote import Zygote

STOCK_EVERY: Final = 4
LONGEST_PATH: Final = 70  # of the directory: a unix socket's path has 107 bytes at most


@dataclass(frozen=True, slots=True)
class Options:
    """What a campaign's epochs have in common."""

    seed: int
    level: str
    epoch_seconds: float


class State:
    """The directory of a campaign: its options, a line for each epoch, the evidence of broken ones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._options = root / "soak.json"
        self._epochs = root / "epochs.jsonl"

    def begin(self, options: Options) -> None:
        """Raises FileExistsError where one was begun."""
        if self._options.exists():
            raise FileExistsError
        self.root.mkdir(parents=True, exist_ok=True)
        self._options.write_text(json.dumps(asdict(options)))

    def options(self) -> Options:
        """Raises OSError where no campaign was begun."""
        return Options(**json.loads(self._options.read_text()))

    def outcomes(self) -> list[Outcome]:
        """Of whole epochs: the last line may have been cut off."""
        text = self._epochs.read_text() if self._epochs.exists() else ""
        whole, _, rest = text.rpartition("\n")
        if rest:
            self._epochs.write_text(whole + "\n" * bool(whole))
        return [from_json(line) for line in whole.splitlines()]

    def add(self, outcome: Outcome) -> None:
        with self._epochs.open("a") as file:
            file.write(as_json(outcome) + "\n")
            file.flush()
            os.fsync(file.fileno())


def setting_of(options: Options, seed: int) -> Setting:
    """Of the epoch with this seed."""
    return Setting(seed, options.epoch_seconds, options.level, stock=seed % STOCK_EVERY == 0)


def seeds(seed: int) -> Iterator[int]:
    """Of a campaign's epochs, in turn."""
    number = 0
    while True:
        yield random.Random(f"{seed}/{number}").randrange(10**9)
        number += 1


def run_epoch(setting: Setting, root: Path, zygote: Zygote, binary: ServerBinary) -> Outcome:
    """In this new directory, which stays when a rule was broken, or nobody knows whether one was."""
    root.mkdir(parents=True)
    try:
        outcome = uvloop.run(_watched(Epoch(setting, root, zygote, binary)))
    except Exception as error:  # the campaign goes on: it may have run for hours
        (root / "error").write_text(traceback.format_exc())
        where = f"{root / 'error'}: {type(error).__name__}: {error}"
        outcome = Outcome(setting, broken=[f"the epoch could not be judged: {where}"])
    if not outcome.broken:
        shutil.rmtree(root, ignore_errors=True)
    return outcome


async def _watched(epoch: Epoch) -> Outcome:
    progress = asyncio.create_task(_show_progress(epoch))
    try:
        return await epoch.run()
    finally:
        progress.cancel()


async def _show_progress(epoch: Epoch) -> None:
    while sys.stderr.isatty():
        await asyncio.sleep(1.0)
        text = f"\r  {epoch.acknowledged():>7,} acknowledged, {epoch.faults():>4} faults "
        click.echo(text, nl=False, err=True)


def soak(state: State, options: Options, minutes: float, events: int | None) -> Totals:
    """Until that long has gone by over all runs of it, or so many events were acknowledged."""
    totals = Totals(state.outcomes())
    for each in state.root.glob("epoch-*"):  # of one that was broken off
        if int(each.name.partition("-")[2]) >= totals.epochs:
            shutil.rmtree(each)
    binary = find_binary(prefer_bundled=True)
    with Zygote() as zygote:
        for number, seed in enumerate(seeds(options.seed)):
            if number < totals.epochs:
                continue
            if totals.seconds >= 60 * minutes or (events and totals.acknowledged >= events):
                break
            root = state.root / f"epoch-{number}"
            outcome = run_epoch(setting_of(options, seed), root, zygote, binary)
            state.add(outcome)
            totals.add(outcome)
            click.echo(f"\repoch {number}: {outcome}; {totals.line}", err=True)
    return totals


def _one(options: Options, seed: int, root: Path) -> Totals:
    with Zygote() as zygote:
        binary = find_binary(prefer_bundled=True)
        outcome = run_epoch(setting_of(options, seed), root / f"seed-{seed}", zygote, binary)
    return Totals([outcome])


@click.command()
@click.option("--minutes", default=5.0, show_default=True, help="How long; broken-off runs count.")
@click.option("--events", type=click.IntRange(1), help="End sooner, with so many acknowledged.")
@click.option("--level", type=click.Choice(list(LEVELS)), default="usual", show_default=True)
@click.option("--seed", default=None, type=int, help="Of the epochs' seeds; default: by chance.")
@click.option("--epoch-seconds", default=40.0, show_default=True, help="Of load in an epoch.")
@click.option("--epoch-seed", type=int, help="This epoch alone: what a broken rule tells to type.")
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Goes on with what is in DIR.", metavar="DIR"
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Where to keep it; default: a new one.",
    metavar="DIR",
)
@click.option("--json", "as_text", is_flag=True, help="The totals as JSON.")
def main(
    minutes: float,
    events: int | None,
    level: str,
    seed: int | None,
    epoch_seconds: float,
    epoch_seed: int | None,
    resume: Path | None,
    state: Path | None,
    as_text: bool,
) -> None:
    """Load from simulators of providers, faults all the time, and after each epoch all books compared.

    Exit status 1 when a rule was broken.
    """
    logging.getLogger("rq").addHandler(logging.NullHandler())  # what its tools do is counted here
    root = (resume or state or Path(mkdtemp(prefix="hookline-soak-"))).absolute()
    if len(str(root)) > LONGEST_PATH:
        raise click.UsageError(f"{root} is too long for a unix socket in it: choose a shorter one")
    kept = State(root)
    options = Options(random.randrange(10**6) if seed is None else seed, level, epoch_seconds)
    if epoch_seed is not None:
        options, totals = replace(options, seed=epoch_seed), _one(options, epoch_seed, root)
    else:
        options = _begun(kept, options, resume)
        click.echo(f"To go on after a break: scripts/chaos soak --resume {root}", err=True)
        totals = soak(kept, options, minutes, events)
    click.echo(totals.as_json(asdict(options)) if as_text else totals.table(options.seed))
    if totals.broken:
        click.echo(f"Logs and effects of broken epochs: {root}", err=True)
    sys.exit(bool(totals.broken))


def _begun(kept: State, options: Options, resume: Path | None) -> Options:
    """Those of the campaign that goes on, or these."""
    try:
        if resume is None:
            kept.begin(options)
        return kept.options()
    except FileExistsError:
        raise click.UsageError(f"{kept.root} holds a campaign: --resume it") from None
    except FileNotFoundError:
        raise click.UsageError(f"{kept.root} holds no campaign: leave out --resume") from None
