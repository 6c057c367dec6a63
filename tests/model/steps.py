"""Every step that anybody can take in a state: gateways, workers, operators, RQ's tools, bad luck.

Whoever asks the server may hear nothing ("unheard"): the call was carried out. That it was not is no
step at all. And whoever holds something may be killed at any time.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.model import scripts
from tests.model.state import LONGEST_QUEUE, Hand, State, World, put

MOST_SENT: Final = 2
DECISIONS: Final = ("done", "wait", "dead")
IDLE: Final = Hand()


class Step(NamedTuple):
    """`word`: how a run ended, which delivery is meant, or that nothing was heard."""

    who: str
    what: str
    delivery: int = 0
    decision: str = ""
    heard: bool = True

    def __str__(self) -> str:
        which = f" {self.delivery}" if self.delivery else ""
        unheard = "" if self.heard else ", unheard"
        return f"{self.who}: {self.what}{which}{' ' + self.decision if self.decision else ''}{unheard}"


def possible(state: State) -> Iterator[Step]:
    if state.sent < MOST_SENT:
        yield Step("sender", "sends")
        yield Step("sender", "sends", heard=False)
    if not state.deliveries:
        return
    if any(each.open and not each.look for each in state.deliveries):
        yield Step("clock", "time passes")
    yield Step("sweeper", "sweeps")
    yield Step("sweeper", "refiles")
    yield from _of_worker(state)
    yield from _of_stock_worker(state)
    yield from _of_operator(state)


def _of_worker(state: State) -> Iterator[Step]:
    hand = state.one
    if (hand.phase == "idle" and state.queue) or hand.phase == "bell":
        yield from _asks("worker", "claims")
    elif hand.phase == "doubt":
        yield Step("worker", "recovers")
    elif hand.phase in ("held", "ran"):
        yield Step("worker", "gives up")
    yield from _of_holder("worker", hand)
    if hand.phase != "idle":
        yield Step("worker", "is killed")


def _of_stock_worker(state: State) -> Iterator[Step]:
    hand = state.stock
    if hand.phase == "idle" and state.queue:
        yield Step("stock", "pops")
    elif hand.phase == "bell":
        yield from _asks("stock", "claims")
    yield from _of_holder("stock", hand)
    if hand.phase != "idle":
        yield Step("stock", "is killed")
        yield Step("stock", "is seen to crash")


def _of_holder(who: str, hand: Hand) -> Iterator[Step]:
    if hand.phase == "held":
        yield Step(who, "runs")
        if who == "worker":
            yield from _asks(who, "finishes", "release")
    elif hand.phase == "ran":
        for decision in DECISIONS:
            yield from _asks(who, "finishes", decision)
    elif hand.phase == "tried":
        yield Step(who, "finishes", 0, hand.decision)
    if hand.phase in ("held", "ran"):
        yield Step(who, "renews")


def _asks(who: str, what: str, decision: str = "") -> Iterator[Step]:
    yield Step(who, what, 0, decision)
    yield Step(who, what, 0, decision, heard=False)


def _of_operator(state: State) -> Iterator[Step]:
    for number in state.numbers():
        delivery = state.of(number)
        if delivery.state == "dead":
            yield Step("operator", "replays", number)
            yield Step("operator", "discards", number)
        if delivery.shown:
            yield Step("operator", "deletes the failed job", number)
        if delivery.shown and delivery.job == "failed" and len(state.queue) < LONGEST_QUEUE:
            yield Step("operator", "presses Requeue", number)
    if state.queue:
        yield Step("operator", "empties the queue")
        if len(state.queue) < LONGEST_QUEUE:
            yield Step("bad luck", "doubles a bell")


def take(state: State, step: Step, world: World) -> tuple[State, str]:
    """The state then, and what the server answers: "" where it was not asked for a word."""
    match step.who:
        case "sender":
            return _send(state, step, world)
        case "clock":
            return scripts.pass_time(state), ""
        case "sweeper":
            swept = scripts.sweep(state) if step.what == "sweeps" else scripts.refile(state, world)
            return swept, ""
        case "worker":
            return _worker_does(state, step, world)
        case "stock":
            return _stock_does(state, step, world)
    return _operator_does(state, step, world)


def _send(state: State, step: Step, world: World) -> tuple[State, str]:
    state, word = scripts.accept(state, world)
    heard = state.acknowledged or step.heard
    return state._replace(sent=state.sent + 1, acknowledged=heard), word


def _worker_does(state: State, step: Step, world: World) -> tuple[State, str]:
    hand = state.one
    match step.what:
        case "claims":
            return _worker_claims(state, step, world)
        case "recovers":
            mine = sorted(each for each in state.books if each[2])
            for number, fence, _ in mine:
                state, _ = scripts.finish(state, number, fence, "release", world, books=True)
            return state._replace(one=IDLE), ""
        case "gives up":
            state, word = scripts.give_up(state, hand.delivery, hand.number)
            return state._replace(one=Hand("bell", hand.delivery, -1)), word
        case "is killed":
            books = frozenset((number, fence, False) for number, fence, _ in state.books)
            return state._replace(one=IDLE, books=books), ""
    state, hand, word = _holder_does(state, hand, step, world, books=True)
    return state._replace(one=hand), word


def _worker_claims(state: State, step: Step, world: World) -> tuple[State, str]:
    number, look = state.one.delivery, -1
    if state.one.phase == "idle":
        (number, look), state = state.queue[0], state._replace(queue=state.queue[1:])
    state, word = scripts.claim(state, number, world, books=True, look=look)
    hand = Hand("held", number, state.of(number).fence) if word == "run" else IDLE
    return state._replace(one=hand if step.heard else Hand("doubt")), word


def _stock_does(state: State, step: Step, world: World) -> tuple[State, str]:
    hand = state.stock
    match step.what:
        case "pops":
            number, look = state.queue[0]
            hand = Hand("bell", number, look, "", look)
            return state._replace(queue=state.queue[1:], stock=hand), ""
        case "claims":
            return _stock_claims(state, step, world)
        case "is killed":
            return state._replace(stock=IDLE), ""
        case "is seen to crash":
            return _seen_to_crash(state)._replace(stock=IDLE), ""
    state, hand, word = _holder_does(state, hand, step, world, books=False)
    return state._replace(stock=hand), word


def _stock_claims(state: State, step: Step, world: World) -> tuple[State, str]:
    """It asks until it hears: with its token once more for the same lease."""
    hand, number = state.stock, state.stock.delivery
    if hand.look == 0:
        state, word = scripts.revive(state, number, world)
        return state._replace(stock=IDLE if step.heard else hand), word
    state, word = scripts.claim(state, number, world, books=False, unheard=hand.unheard)
    fence = state.of(number).fence if word == "run" else hand.unheard
    if not step.heard:
        hand = hand._replace(unheard=fence)
    elif word == "run":
        hand = Hand("held", number, fence, "", hand.look)
    else:
        hand = IDLE
    return state._replace(stock=hand), word


def _seen_to_crash(state: State) -> State:
    """RQ files the job that its work horse had among the failed ones."""
    hand = state.stock
    if hand.look == 0:
        if state.of(hand.delivery).state != "dead":
            return state  # its job is gone
        return put(state, hand.delivery, shown=True, job="failed")
    return state._replace(failed=state.failed | {(hand.delivery, hand.look)})


def _holder_does(
    state: State, hand: Hand, step: Step, world: World, *, books: bool
) -> tuple[State, Hand, str]:
    number, fence = hand.delivery, hand.number
    if step.what == "runs":
        delivery = state.of(number)
        state = put(state, number, runs=delivery.runs + (fence > delivery.born))
        return state, hand._replace(phase="ran"), ""
    if step.what == "renews":
        state, word = scripts.renew(state, number, fence)
        return state, hand, word
    state, word = scripts.finish(state, number, fence, step.decision, world, books=books)
    tried = hand._replace(phase="tried", decision=step.decision)
    return state, IDLE if step.heard else tried, word


def _operator_does(state: State, step: Step, world: World) -> tuple[State, str]:
    number = step.delivery
    match step.what:
        case "replays":
            return scripts.revive(state, number, world)
        case "discards":
            return scripts.discard(state, number)
        case "deletes the failed job":
            return put(state, number, shown=False, job=""), ""
        case "presses Requeue":
            queue = (*state.queue, (number, 0))
            return put(state, number, shown=False, job="queued")._replace(queue=queue), ""
        case "empties the queue":
            return state._replace(queue=()), ""
    return state._replace(queue=(*state.queue, state.queue[0])), ""
