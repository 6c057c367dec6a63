"""Breadth first through all that can happen, each state once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.model.rules import broken_by_state, broken_by_step
from tests.model.state import State, World
from tests.model.steps import Step, possible, take

Came = tuple[State, Step] | None


@dataclass(slots=True)
class Explored:
    """`came`: from where and by which step each state was reached first. `broken`: rules that did not
    hold, and the steps that led there."""

    world: World
    came: dict[State, Came] = field(default_factory=dict)
    transitions: int = 0
    depths: list[int] = field(default_factory=list)
    broken: list[tuple[str, list[Step]]] = field(default_factory=list)

    def path(self, state: State) -> list[Step]:
        steps: list[Step] = []
        while came := self.came[state]:
            state, step = came
            steps.append(step)
        return steps[::-1]


def explore(
    world: World, depth: int, told: Callable[[Explored], None] = lambda _: None, most: int = 10**9
) -> Explored:
    """All states that at most `depth` steps lead to, or the first `most` of them; stops at the first
    rule that does not hold."""
    found = Explored(world, {State(): None})
    layer = [State()]
    while layer and len(found.depths) < depth and not found.broken and len(found.came) < most:
        layer = list(_next_layer(found, layer, most))
        found.depths.append(len(layer))
        told(found)
    return found


def _next_layer(found: Explored, layer: list[State], most: int) -> Iterator[State]:
    for state in layer:
        for step in possible(state):
            after, word = take(state, step, found.world)
            found.transitions += 1
            new = after not in found.came
            if new:
                found.came[after] = (state, step)
                yield after
            _judge(found, state, step, after, word, new=new)
        if found.broken or len(found.came) >= most:
            return


def _judge(found: Explored, state: State, step: Step, after: State, word: str, *, new: bool) -> None:
    faults = list(broken_by_step(state, step, after, word))
    if new:
        faults += broken_by_state(after, found.world)
    if faults:
        found.broken.append((faults[0], [*found.path(state), step]))
