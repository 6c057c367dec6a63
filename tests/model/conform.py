"""Holds the model against the real scripts: the same steps, answers, and states after each."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from redis import Redis

from tests.model.explore import Explored
from tests.model.server import Server
from tests.model.state import State, World
from tests.model.steps import Step, possible, take
from tests.model.view import View, modelled, stored

Dump = dict[bytes, bytes]


@dataclass(slots=True)
class Conformed:
    """`kinds`: the steps that were tried, with what was answered. `drift`: where the two part."""

    transitions: int = 0
    kinds: set[tuple[str, str, str]] = field(default_factory=set)
    drift: list[str] = field(default_factory=list)


def every_transition(redis: "Redis", found: Explored, most: int) -> Conformed:
    """The first `most` transitions, in the order in which they were explored; the server is put back
    into the state before each."""
    server, told = Server(redis, found.world), Conformed()
    redis.flushall()
    dumps: dict[State, Dump] = {State(): _dump(redis)}
    for state in found.came:
        dump = dumps.pop(state, None)
        if dump is None or told.transitions >= most or told.drift:
            break
        for step in possible(state):
            _restore(redis, dump)
            after = _compare(server, state, step, told, found.path(state))
            if found.came.get(after) == (state, step):
                dumps[after] = _dump(redis)
    return told


def walks(redis: "Redis", world: World, chance: random.Random, many: int, length: int) -> Conformed:
    """Random ones, each from an empty server: what no single step shows adds up there."""
    server, told = Server(redis, world), Conformed()
    for _ in range(many):
        redis.flushall()
        state, steps = State(), list[Step]()
        while len(steps) < length and not told.drift:
            step = chance.choice(_likely(state))
            state = _compare(server, state, step, told, steps)
            steps.append(step)
    return told


def _likely(state: State) -> list[Step]:
    """Once there is an event; what ends everything is rare."""
    steps = list(possible(state))
    rare = ("discards", "empties the queue", "doubles a bell", "deletes the failed job")
    return [each for each in steps if each.what not in rare] * 3 + steps


def _compare(server: Server, state: State, step: Step, told: Conformed, before: list[Step]) -> State:
    after, word = take(state, step, server.world)
    told.transitions += 1
    told.kinds.add((step.who, step.what, word))
    try:
        said, found = server.do(step, state), stored(server.rig)
    except AssertionError as error:
        told.drift += [f"{error}", *_told([*before, step])]
        return after
    if (said, found) != (word, modelled(after)):
        differences = _differences(modelled(after), found)
        if said != word:
            differences.insert(0, f"the server said {said!r}, the model {word!r}")
        told.drift += [*differences, *_told([*before, step])]
    return after


def _told(steps: list[Step]) -> Iterator[str]:
    return (f"  {number}. {step}" for number, step in enumerate(steps, 1))


def _differences(model: View, server: View) -> list[str]:
    return [
        f"{name}: the server has {theirs}, the model {ours}"
        for name, ours, theirs in zip(View._fields, model, server, strict=True)
        if ours != theirs
    ]


def _dump(redis: "Redis") -> Dump:
    keys: list[bytes] = sorted(redis.scan_iter(count=1000))
    with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.dump(key)
        return dict(zip(keys, pipeline.execute(), strict=True))


def _restore(redis: "Redis", dump: Dump) -> None:
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.flushall()
        for key, value in dump.items():
            pipeline.restore(key, 0, value)
        pipeline.execute()
