"""What must hold in every state and of every step, whatever happened before."""

from collections.abc import Iterator
from functools import cache

from tests.model import scripts
from tests.model.state import ABANDON_AFTER, Hand, State, World
from tests.model.steps import Step

ROUNDS = 6


def broken_by_state(state: State, world: World) -> Iterator[str]:
    if state.acknowledged and not state.deliveries:
        yield "acknowledged, and not stored"
    leased = [number for number in state.numbers() if state.of(number).state == "leased"]
    if world.line and len(leased) > 1:
        yield "two of one line are leased at once"
    for number in state.numbers():
        delivery = state.of(number)
        if delivery.runs > delivery.attempts:
            yield f"delivery {number} ran {delivery.runs} times in {delivery.attempts} attempts"
        crashes = delivery.crashes - (delivery.born == 0) * world.crashes
        if delivery.attempts > 1 + delivery.waits + crashes:
            yield f"delivery {number}: more attempts than failures, crashes and one"
        if delivery.reason == "poison" and delivery.own < 2:
            yield f"delivery {number} is poison, and nobody saw it crash"
        if delivery.reason == "abandoned" and delivery.crashes < ABANDON_AFTER:
            yield f"delivery {number} was abandoned too early"
    yield from _never_ends(state._replace(one=Hand(), stock=Hand(), sent=0, acknowledged=False), world)


def broken_by_step(before: State, step: Step, after: State, word: str) -> Iterator[str]:
    for number in before.numbers():
        was, now = before.of(number), after.of(number)
        if was.state == "done" and now.state != "done":
            yield f"delivery {number} was done, and is {now.state}"
        if now.fence < was.fence:
            yield f"the fence of delivery {number} went back"
        if word == "finished" and now.ended != was.ended and now.ended <= was.ended:
            yield f"delivery {number} ended twice under fence {now.ended}"
        if now.runs > was.runs and step.what != "runs":
            yield f"delivery {number} ran by {step}"
    if word == "finished" and before.deliveries == after.deliveries:
        yield f"{step} was recorded, and nothing changed"


@cache
def _never_ends(state: State, world: World) -> tuple[str, ...]:
    """Everybody dies. Then time passes, somebody sweeps, and one worker is left in peace."""
    for _ in range(ROUNDS):
        state = scripts.refile(scripts.sweep(scripts.pass_time(state)), world)
        state = _work_off(state, world)
    left = [f"delivery {n} never ends: {state.of(n)}" for n in state.numbers() if state.of(n).open]
    blocked = any(each.state == "dead" for each in state.deliveries) and world.blocks
    left = [] if blocked else left
    dead = (n for n in state.numbers() if state.of(n).state == "dead" and not state.of(n).shown)
    return (*left, *(f"dead letter {number} is not shown" for number in dead))


def _work_off(state: State, world: World) -> State:
    while state.queue:
        (number, look), state = state.queue[0], state._replace(queue=state.queue[1:])
        state, word = scripts.claim(state, number, world, books=True, look=look)
        if word == "run":
            fence = state.of(number).fence
            state, _ = scripts.finish(state, number, fence, "done", world, books=True)
    return state
