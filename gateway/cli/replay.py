"""`hookline replay`: puts deliveries back, named by id or described."""

import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from gateway.cli.shared.candidates import show_candidates
from gateway.cli.shared.desk import Desk, open_desk
from gateway.cli.shared.listing import MOST_LOOKED_AT
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
from gateway.cli.shared.orders import REPLAYS_A_SECOND, carry_out, replay_order
from gateway.core.outcomes import DeliveryState

if TYPE_CHECKING:
    from gateway.replay import Candidate, Result, Selection

RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h|second|minute|hour)")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


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
    help="Put back dead ones (the default), or run again what is done. With --last both.",
)
@since_option
@until_option
@processor_option
@click.option(
    "--last",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=1,
    metavar="[N]",
    help="The event received last, or the N last ones, whatever became of them.",
)
@click.option(
    "--shadow",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.py",
    help="Only show what this version of a file would do otherwise; the ledger stays as it is.",
)
@click.option("--wait", is_flag=True, help="Wait for the outcome, and show it.")
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
    state: str | None,
    since: Moment,
    until: Moment,
    processor: str | None,
    last: int | None,
    shadow: Path | None,
    wait: bool,
    limit: int | None,
    dry_run: bool,
    rate: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Put deliveries back as if they had just been accepted.

    ID is a delivery's, or an event's (for its deliveries in that state), or SOURCE:ID with the id that
    the provider gave. Without an ID, options say which; what was discarded is put back by its ID only.

    With --last what still runs or waits is left alone. With --shadow the events whose body is kept run
    through FILE.py in a process of its own: the newest 20 without --last, --since or an ID.

    Status 0: all were replayed (with --wait: and are done; with --shadow: nothing would differ);
    1: some could not be; 3: none was found.
    """
    from gateway.replay import Selection

    if shadow:
        _check_shadow(ids, (state, until, limit, wait or None, dry_run or None), last)
    else:
        _check_usage(ids, (source, glob, since, until, processor), (last, limit))
    with open_desk() as desk:
        bounds = desk.between(since, until)
        wanted = DeliveryState(state or "dead")
        selection = Selection(desk.sources(source), wanted, glob or "*", processor, None, *bounds)
        if shadow:
            _shadow(desk, shadow, ids, selection, last, yes=yes, as_json=as_json)
        if last:
            states = {wanted} if state else {DeliveryState.DEAD, DeliveryState.DONE}
            chosen, refused = _choose_last(desk, selection, last, states)
        else:
            chosen, refused = desk.choose(ids, selection, limit)
        if dry_run:
            show_candidates(chosen, refused, as_json=as_json)
        order = replay_order(desk, also_done=bool(last) or state == "done", rate=rate)
        then = _waiting(desk, chosen, as_json=as_json) if wait else None
        deliveries = [each.delivery for each in chosen]
        carry_out(order, deliveries, refused, yes=yes or last == 1, as_json=as_json, then=then)


def _choose_last(
    desk: Desk, selection: "Selection", many: int, states: set[DeliveryState]
) -> "tuple[list[Candidate], list[Result]]":
    from gateway.adapters.ledger.reader import candidate
    from gateway.replay import latest, runnable

    bounds = selection.since, selection.until
    newest = desk.reader.received(selection.sources, *bounds, newest_first=True)
    events = islice(newest, MOST_LOOKED_AT)
    candidates = (candidate(event, each) for event in events for each in event.deliveries)
    return runnable(latest(candidates, selection, many), states)


def _waiting(desk: Desk, chosen: "Sequence[Candidate]", *, as_json: bool) -> Callable[[], int]:
    """Begins to look before anything is put back: an outcome may follow at once."""
    from gateway.adapters.ledger.vigil import Vigil
    from gateway.cli.shared.awaiting import await_outcomes

    vigil = Vigil(desk.reader, [each.event for each in chosen])
    return lambda: await_outcomes(vigil, [each.delivery for each in chosen], as_json=as_json)


def _shadow(
    desk: Desk,
    file: Path,
    ids: Sequence[str],
    selection: "Selection",
    last: int | None,
    *,
    yes: bool,
    as_json: bool,
) -> NoReturn:
    from fnmatch import fnmatchcase

    from gateway.cli.shared.shadowing import USUAL, Order, run_shadow

    most = last or (None if ids or selection.since else USUAL)
    order = Order(
        file,
        ids,
        selection.sources,
        selection.since,
        most,
        selection.processor,
        lambda event: fnmatchcase(event.type, selection.type),
    )
    run_shadow(desk, order, yes=yes, as_json=as_json)


def _check_shadow(ids: Sequence[str], strange: Sequence[object], last: int | None) -> None:
    if any(each is not None for each in strange):
        raise click.UsageError(
            "With --shadow say which events by IDs, --source, --type, --processor, --last or --since."
        )
    if ids and last:
        raise click.UsageError("Give IDs, or --last; not both.")


def _check_usage(
    ids: Sequence[str], filters: Sequence[object], counts: tuple[int | None, int | None]
) -> None:
    last, limit = counts
    if last and (ids or limit):
        raise click.UsageError("--last says which and how many: leave IDs and --limit out.")
    if ids and any(each is not None for each in filters):
        raise click.UsageError("Give IDs, or say which by options; not both.")
    if not ids and all(each is None for each in (*filters, last, limit)):
        raise click.UsageError(
            "Say which: IDs, or --last, --source, --type, --since, --until, --processor, --limit."
        )
