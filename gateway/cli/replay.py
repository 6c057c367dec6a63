"""`hookline replay`: puts deliveries back, named by id or described."""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from gateway.cli.shared.desk import open_desk
from gateway.cli.shared.options import (
    Moment,
    json_option,
    place_options,
    processor_option,
    since_option,
    source_option,
    type_option,
    until_option,
    yes_option,
)
from gateway.cli.shared.orders import REPLAYS_A_SECOND, carry_out, replay_order, status_of
from gateway.cli.shared.printing import counted, iso, local, note, print_json
from gateway.cli.shared.tables import print_table
from gateway.core.outcomes import DeliveryState

if TYPE_CHECKING:
    from gateway.replay import Candidate, Result

RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h|second|minute|hour)")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
COLUMNS: Final = ("delivery", "received", "source", "type", "processor", "state")
STEPS: Final = (("type", 12), ("processor", 12), ("state", 0), ("source", 0), ("type", 0))


def parse_rate(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Deliveries a second."""
    match = RATE.fullmatch(value.strip())
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is no rate: write 20/s, 100/m or 500/h", ctx, param)
    return float(match[1]) / SECONDS[match[2][0]]


@click.command()
@place_options
@click.argument("ids", nargs=-1, metavar="[ID]...")
@source_option
@type_option
@click.option(
    "--state",
    type=click.Choice(["dead", "done"]),
    default="dead",
    show_default=True,
    help="Put back dead ones, or run again what is done.",
)
@since_option
@until_option
@processor_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N, the oldest first.")
@click.option("--dry-run", is_flag=True, help="Only show which.")
@click.option(
    "--rate",
    default=f"{REPLAYS_A_SECOND:g}/s",
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
    from gateway.replay import Selection

    _check_usage(ids, (source, glob, since, until, processor), limit)
    with open_desk() as desk:
        bounds = desk.between(since, until)
        wanted = DeliveryState(state)
        selection = Selection(desk.sources(source), wanted, glob or "*", processor, None, *bounds)
        chosen, refused = desk.choose(ids, selection, limit)
        if dry_run:
            _show_candidates(chosen, refused, as_json=as_json)
        order = replay_order(desk, also_done=state == "done", rate=rate)
        carry_out(order, [each.delivery for each in chosen], refused, yes=yes, as_json=as_json)


def _check_usage(ids: Sequence[str], filters: Sequence[object], limit: int | None) -> None:
    if ids and any(each is not None for each in filters):
        raise click.UsageError("Give IDs, or say which by options; not both.")
    if not ids and all(each is None for each in (*filters, limit)):
        raise click.UsageError(
            "Say which: IDs, or --source, --type, --since, --until, --processor, --limit."
        )


def _show_candidates(
    candidates: "Sequence[Candidate]", refused: "Sequence[Result]", *, as_json: bool
) -> NoReturn:
    if as_json:
        print_json([_candidate_json(each) for each in candidates])
    else:
        _show_table(candidates)
    for each in refused:
        note(f"{each.id!r}: {each.word}")
    note(f"{counted(len(candidates), 'delivery', 'deliveries')} would be replayed; nothing was done.")
    sys.exit(status_of(["replayed"] * len(candidates) + [each.word for each in refused], "replayed"))


def _show_table(candidates: "Sequence[Candidate]") -> None:
    rows = [
        (each.delivery, local(each.received), each.source, each.type, each.processor, each.state)
        for each in candidates
    ]
    print_table(COLUMNS, rows, STEPS)


def _candidate_json(each: "Candidate") -> dict[str, Any]:
    names = ("delivery", "event", "source", "type", "processor", "state")
    return {name: getattr(each, name) for name in names} | {"received": iso(each.received)}
