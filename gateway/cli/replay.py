"""`hookline replay`: puts deliveries back. And how any operation on many deliveries is carried out."""

import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from gateway.cli.common import (
    FAILED,
    NOT_FOUND,
    UNAVAILABLE,
    fail,
    json_option,
    place_options,
    print_table,
)
from gateway.cli.events import (
    INTERRUPTED,
    Desk,
    Moment,
    iso,
    json_text,
    local,
    open_desk,
    parse_moment,
    printable,
)
from gateway.core.outcomes import DeliveryState

if TYPE_CHECKING:
    from gateway.adapters.scripts import Call
    from gateway.replay import Candidate, Result

DEFAULT_RATE: Final = 50.0
RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h|second|minute|hour)")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600}

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def parse_rate(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Deliveries a second."""
    match = RATE.fullmatch(value.strip())
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is no rate: write 20/s, 100/m or 500/h", ctx, param)
    return float(match[1]) / SECONDS[match[2][0]]


@click.command()
@place_options
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--source", help="Of this source.")
@click.option("--type", "glob", metavar="GLOB", help='Of events of this type, such as "pull_*".')
@click.option(
    "--state",
    type=click.Choice(["dead", "done"]),
    default="dead",
    show_default=True,
    help="Put back dead ones, or run again what is done.",
)
@click.option("--since", callback=parse_moment, metavar="2h|ISO", help="Of events received since then.")
@click.option("--until", callback=parse_moment, metavar="2h|ISO", help="Of events received until then.")
@click.option("--processor", help="For this processor.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N, the oldest first.")
@click.option("--dry-run", is_flag=True, help="Only show which.")
@click.option(
    "--rate",
    default="50/s",
    show_default=True,
    callback=parse_rate,
    metavar="20/s",
    help="At most so many a second, minute (m) or hour (h).",
)
@yes_option
@json_option
def command(
    ids: tuple[str, ...],
    source: str | None,
    glob: str | None,
    state: str,
    since: Moment,
    until: Moment,
    processor: str | None,
    limit: int | None,
    dry_run: bool,
    rate: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Put deliveries back as if they had just been accepted.

    ID is a delivery's, or an event's (for its deliveries in that state), or SOURCE:ID with the id that
    the provider gave. Without an ID, options say which; what was discarded is put back by its ID only.

    Status 0: all were replayed; 1: some could not be; 3: none was found.
    """
    from gateway.adapters.reader import ReplayArchive
    from gateway.replay import Selection, expand, select

    filters = (source, glob, since, until, processor)
    if ids and any(each is not None for each in filters):
        raise click.UsageError("Give IDs, or say which by options; not both.")
    if not ids and all(each is None for each in (*filters, limit)):
        raise click.UsageError(
            "Say which: IDs, or --source, --type, --since, --until, --processor, --limit."
        )
    with open_desk() as desk:
        archive, wanted = ReplayArchive(desk.reader), DeliveryState(state)
        refused: list[Result] = []
        if ids:
            found, refused = expand(archive, ids, wanted)
            chosen = found[:limit]
        else:
            bounds = desk.time(since, 0.0), desk.time(until, float("inf"))
            selection = Selection(desk.sources(source), wanted, glob or "*", processor, None, *bounds)
            chosen = list(islice(select(archive, selection), limit))
        if dry_run:
            _show_candidates(chosen, refused, as_json=as_json)
        order = replay_order(desk, also_done=state == "done", rate=rate)
        carry_out(order, [each.delivery for each in chosen], refused, yes=yes, as_json=as_json)


def _show_candidates(
    candidates: "Sequence[Candidate]", refused: "Sequence[Result]", *, as_json: bool
) -> NoReturn:
    if as_json:
        click.echo(json_text([_candidate_json(each) for each in candidates]))
    elif candidates:
        columns = ("delivery", "received", "source", "type", "processor", "state")
        rows = [
            (
                each.delivery,
                local(each.received),
                *map(printable, (each.source, each.type, each.processor)),
                each.state,
            )
            for each in candidates
        ]
        print_table(columns, rows)
    for each in refused:
        click.echo(f"{printable(each.id)}: {each.word}", err=True)
    click.echo(f"{_deliveries(len(candidates))} would be replayed; nothing was done.", err=True)
    sys.exit(_status(["replayed"] * len(candidates) + [each.word for each in refused], "replayed"))


def _candidate_json(each: "Candidate") -> dict[str, Any]:
    names = ("delivery", "event", "source", "type", "processor", "state")
    return {name: getattr(each, name) for name in names} | {"received": iso(each.received)}


@dataclass(frozen=True, slots=True)
class Order:
    """An operation of the ledger, and its words: "replay" asks for it, "replayed" says it was done."""

    verb: str
    word: str
    ledger: Callable[[Sequence[str]], list[str]]
    rate: float


def replay_order(desk: Desk, *, also_done: bool = False, rate: float = DEFAULT_RATE) -> Order:
    from gateway.adapters import ledger

    look_ms = int(desk.app.config.settings.worker.look_interval * 1000)

    def call(deliveries: Sequence[str]) -> "Call[list[str]]":
        return ledger.replay(deliveries, also_done=also_done, look_ms=look_ms)

    return order(desk, "replay", "replayed", call, rate)


def order(
    desk: Desk,
    verb: str,
    word: str,
    call: "Callable[[Sequence[str]], Call[list[str]]]",
    rate: float,
) -> Order:
    from gateway.adapters.scripts import run

    return Order(verb, word, lambda each: run(desk.client, desk.reader.keys, call(each)), rate)


def carry_out(
    order: Order,
    deliveries: Sequence[str],
    refused: "Sequence[Result]" = (),
    *,
    yes: bool,
    as_json: bool,
) -> NoReturn:
    """Asks, does it, shows what became of each, and exits: whatever ends it, what was done is told."""
    from redis.exceptions import RedisError

    from gateway.replay import Pace, Steps

    _agree(order.verb, len(deliveries), yes=yes)
    results, trouble = list(refused), None
    with Patience() as clock, _progress(order.verb, len(deliveries)) as advance:
        try:
            for step in Steps(order.ledger, clock).take(deliveries, Pace(order.rate)):
                results += step
                advance(len(step))
        except RedisError as error:
            trouble = error
    _show_results(results, as_json=as_json)
    words = [each.word for each in results]
    many = f"{words.count(order.word)} of {len(deliveries) + len(refused)} {order.word}"
    if trouble:
        fail(UNAVAILABLE, f"Redis does not answer any more: {trouble}\nKnown to be done: {many}.")
    if len(words) < len(deliveries) + len(refused):
        fail(INTERRUPTED, f"Interrupted: {many}.")
    told = sorted(Counter(words).items(), key=lambda each: each[0] != order.word)
    said = ", ".join(f"{count} {word}" for word, count in told)
    click.echo(f"{said}." if said else f"Nothing to {order.verb}.", err=True)
    sys.exit(_status(words, order.word))


def _agree(verb: str, many: int, *, yes: bool) -> None:
    if yes or many < 2:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"This would {verb} {_deliveries(many)}: add --yes.")
    try:
        agreed = click.confirm(f"{verb.capitalize()} {_deliveries(many)}?", err=True)
    except click.Abort:
        fail(INTERRUPTED, "Interrupted: nothing was done.")
    if not agreed:
        fail(FAILED, "Nothing was done.")


def _show_results(results: "Sequence[Result]", *, as_json: bool) -> None:
    if as_json:
        click.echo(json_text([{"id": each.id, "result": each.word} for each in results]))
    elif results:
        print_table(("id", "result"), [(printable(each.id), each.word) for each in results])


def _status(words: Sequence[str], good: str) -> int:
    if all(word == "missing" for word in words):
        return NOT_FOUND
    return 0 if all(word == good for word in words) else FAILED


def _deliveries(many: int) -> str:
    return f"{many} deliver{'y' if many == 1 else 'ies'}"


class Patience:
    """The flow's clock. Ctrl-C ends a sleep and lets a call end, so that its answer is counted."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> "Patience":
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def stopped(self) -> bool:
        return self._asked


@contextmanager
def _progress(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where somebody watches; call what it yields with how many more are done."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb.capitalize(), total=total)
        yield lambda many: bar.advance(task, many)
