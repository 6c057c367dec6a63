"""How one operation on many deliveries is carried out: asked for, paced, watched, and told."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import click

from gateway.cli.shared.exits import FAILED, INTERRUPTED, NOT_FOUND, UNAVAILABLE, fail
from gateway.cli.shared.printing import counted, note, print_json
from gateway.cli.shared.progress import Patience, progress
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from redis import Redis

    from gateway.adapters.ledger.scripts import Call
    from gateway.application import Application
    from gateway.cli.shared.desk import Desk
    from gateway.replay import Result

    Operation = Callable[[Sequence[str]], list[str]]

REPLAYS_A_SECOND: Final = 50.0
DISCARDS_A_SECOND: Final = 5000.0


@dataclass(frozen=True, slots=True)
class Order:
    """An operation of the ledger, and its words: "replay" asks for it, "replayed" says it was done.
    `noun`: one and several of what it works on."""

    verb: str
    word: str
    ledger: "Operation"
    rate: float
    noun: tuple[str, str] = ("delivery", "deliveries")


def replay_order(desk: "Desk", *, also_done: bool = False, rate: float = REPLAYS_A_SECOND) -> Order:
    return Order("replay", "replayed", replaying(desk.app, desk.client, also_done=also_done), rate)


def discard_order(desk: "Desk") -> Order:
    from gateway.adapters.ledger import calls as ledger

    operation = _operation(desk.app, desk.client, ledger.discard)
    return Order("discard", "discarded", operation, DISCARDS_A_SECOND)


def replaying(app: "Application", client: "Redis", *, also_done: bool = False) -> "Operation":
    """Puts deliveries back; a word each. Raises redis.RedisError."""
    from gateway.adapters.ledger import calls as ledger

    look_ms = int(app.config.settings.worker.look_interval * 1000)

    def call(deliveries: Sequence[str]) -> "Call[list[str]]":
        return ledger.replay(deliveries, also_done=also_done, look_ms=look_ms)

    return _operation(app, client, call)


def _operation(
    app: "Application", client: "Redis", call: "Callable[[Sequence[str]], Call[list[str]]]"
) -> "Operation":
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.adapters.ledger.scripts import run

    return lambda deliveries: run(client, Keys(app.prefix), call(deliveries))


def carry_out(
    order: Order,
    deliveries: Sequence[str],
    refused: "Sequence[Result]" = (),
    *,
    yes: bool,
    as_json: bool,
    then: "Callable[[], int] | None" = None,
) -> NoReturn:
    """Asks, does it, shows what became of each, and exits: whatever ends it, what was done is told.

    `then` tells instead once all of it was done; its status is the command's.
    """
    from redis.exceptions import RedisError

    from gateway.replay import Pace, Steps

    agree(order.verb, len(deliveries), order.noun, yes=yes)
    results, trouble = list(refused), None
    with Patience() as clock, progress(order.verb, len(deliveries)) as advance:
        try:
            for step in Steps(order.ledger, clock).take(deliveries, Pace(order.rate)):
                results += step
                advance(len(step))
        except RedisError as error:
            trouble = error
    if then and results and {each.word for each in results} == {order.word} and not trouble:
        sys.exit(then())
    _show_results(results, as_json=as_json)
    words = [each.word for each in results]
    many = f"{words.count(order.word)} of {len(deliveries) + len(refused)} {order.word}"
    if trouble:
        fail(UNAVAILABLE, f"Redis does not answer any more: {trouble}\nKnown to be done: {many}.")
    if len(words) < len(deliveries) + len(refused):
        fail(INTERRUPTED, f"Interrupted: {many}.")
    told = sorted(Counter(words).items(), key=lambda each: each[0] != order.word)
    said = ", ".join(f"{count} {word}" for word, count in told)
    note(f"{said}." if said else f"Nothing to {order.verb}.")
    sys.exit(status_of(words, order.word))


def agree(verb: str, many: int, noun: tuple[str, str], *, yes: bool) -> None:
    """Asks before it is done to several; where nobody can be asked, --yes must say so."""
    if yes or many < 2:
        return
    said = counted(many, *noun)
    if not sys.stdin.isatty():
        raise click.UsageError(f"This would {verb} {said}: add --yes.")
    try:
        agreed = click.confirm(f"{verb.capitalize()} {said}?", err=True)
    except click.Abort:
        fail(INTERRUPTED, "Interrupted: nothing was done.")
    if not agreed:
        fail(FAILED, "Nothing was done.")


def _show_results(results: "Sequence[Result]", *, as_json: bool) -> None:
    if as_json:
        print_json([{"id": each.id, "result": each.word} for each in results])
    else:
        print_table(("id", "result"), [(each.id, each.word) for each in results])


def status_of(words: Sequence[str], good: str) -> int:
    """0: all are good; 3: none was found; 1: something else stood in the way of some."""
    if all(word == "missing" for word in words):
        return NOT_FOUND
    return 0 if all(word == good for word in words) else FAILED
