"""A slice of `scripts/chaos model`, and that it would notice: rules are broken once, in the model."""

import random
from typing import Any

import pytest
from redis import Redis

from tests.model import rules, scripts
from tests.model.conform import every_transition, walks
from tests.model.explore import Explored, explore
from tests.model.state import WORLDS, State, World, put

FREE, REVIVED, LINE, BLOCKED, WORN, VANISHED = WORLDS


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world.name))
def test_every_rule_holds_in_every_state_that_a_few_steps_lead_to(world: World) -> None:
    found = explore(world, 4)
    assert found.depths[-1] > 100
    assert not found.broken


@pytest.mark.parametrize("world", [LINE, WORN], ids=lambda world: str(world.name))
def test_the_server_does_what_the_model_says(redis: "Redis", world: World) -> None:
    told = every_transition(redis, explore(world, 4), 150)
    assert not told.drift, "\n".join(told.drift)
    assert told.transitions >= 150


@pytest.mark.parametrize("world", [REVIVED, BLOCKED, VANISHED], ids=lambda world: str(world.name))
def test_the_server_walks_as_the_model_does(redis: "Redis", world: World) -> None:
    told = walks(redis, world, random.Random(world.name), 4, 50)
    assert not told.drift, "\n".join(told.drift)


def broken(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any, world: World, depth: int) -> str:
    """The rule that is noticed first, where a script does wrong."""
    monkeypatch.setattr(scripts, name, wrong)
    rules._never_ends.cache_clear()
    found: Explored = explore(world, depth)
    rules._never_ends.cache_clear()
    assert found.broken
    return found.broken[0][0]


def test_a_fence_that_nobody_asks_for_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Any = lambda state, number, fence: state.of(number).state in ("leased", "done")  # noqa: E731
    assert "was recorded" in broken(monkeypatch, "is_held", wrong, FREE, 7)


def test_a_sweeper_that_looks_at_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "never ends" in broken(monkeypatch, "sweep", lambda state: state, FREE, 4)


def test_a_turn_that_everybody_takes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(state: State, number: int) -> State:
        return scripts.ring(put(state, number, state="pending"), number)

    monkeypatch.setattr(scripts, "_may_run", lambda state, number: True)
    assert "two of one line" in broken(monkeypatch, "_stand_in_line", both, LINE, 4)


def test_dead_letters_that_nobody_shows_again_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Any = lambda state, world: state  # noqa: E731
    assert "is not shown" in broken(monkeypatch, "refile", wrong, WORN, 6)
