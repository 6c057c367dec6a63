"""Slots: every queue gets its share, none gets the last ones, and chance decides among equals."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.worker.slots import RESERVED, Slots

QUEUES = ["a", "b", "c"]


def slots_of(concurrency: int, caps: dict[str, int], seed: int = 1) -> Slots:
    return Slots(concurrency, caps, Random(seed))


def settled(slots: Slots, busy: list[str], queues: list[str] = QUEUES) -> Counter[str]:
    """What runs in the end when these queues never run empty and nothing ends."""
    running: Counter[str] = Counter()
    for _ in range(500):  # where one queue of twenty never runs empty, its turn comes seldom
        shares = slots.shares(queues, running)
        running += Counter({queue: many for queue, many in shares.items() if queue in busy})
    return running


def test_an_idle_worker_shares_half_of_its_slots_evenly_then_the_other_half() -> None:
    slots = slots_of(30, {})
    assert slots.shares(QUEUES, Counter()) == {"a": 5, "b": 5, "c": 5}
    assert slots.shares(QUEUES, Counter(a=5, b=5, c=5)) == {"a": 5, "b": 5, "c": 5}


def test_the_only_slot_is_not_halved() -> None:
    assert slots_of(1, {}).shares(["a"], Counter()) == {"a": 1}


def test_a_queue_that_is_alone_gets_all_slots() -> None:
    assert settled(slots_of(5, {}), ["a"], ["a"]) == {"a": 5}


def test_a_busy_queue_leaves_a_quarter_to_the_others() -> None:
    assert settled(slots_of(12, {}), ["a"]) == {"a": 9}
    assert settled(slots_of(12, {}), ["a", "b"]).total() >= 9
    assert settled(slots_of(12, {}), QUEUES).total() == 12


def test_beside_a_queue_whose_deliveries_never_end_another_has_several_at_a_time() -> None:
    slots = slots_of(32, {})
    running = settled(slots, ["a"])
    for _ in range(3):
        running["b"] += 1
        assert slots.open(QUEUES, running) == ["b", "c"]


def test_never_more_than_a_quarter_is_left_free() -> None:
    many = [f"q{number}" for number in range(20)]
    assert settled(slots_of(8, {}), ["q0"], many) == {"q0": 8 - 8 // RESERVED}
    assert settled(slots_of(3, {}), ["q0"], many) == {"q0": 3}


def test_the_slot_that_was_left_free_is_for_who_runs_nothing() -> None:
    slots, running = slots_of(8, {}), Counter({"a": 6})
    assert slots.open(QUEUES, running) == ["b", "c"]
    assert set(slots.shares(QUEUES, running)) == {"b", "c"}


def test_a_cap_is_never_exceeded() -> None:
    assert settled(slots_of(12, {"a": 2}), QUEUES)["a"] == 2
    assert slots_of(12, {"a": 2}).open(QUEUES, Counter({"a": 2})) == ["b", "c"]
    assert "a" not in slots_of(12, {"a": 2}).shares(QUEUES, Counter({"a": 3}))


def test_with_one_slot_every_queue_has_its_turn() -> None:
    slots = slots_of(1, {})
    chosen = {queue for _ in range(200) for queue in slots.shares(QUEUES, Counter())}
    assert chosen == set(QUEUES)


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 12)), min_size=1, max_size=8),
)
def test_shares_fit_into_what_is_free_and_waste_nothing(
    concurrency: int, queues: list[tuple[int, int]]
) -> None:
    """A cap of 0 stands for none."""
    names = [f"q{number}" for number in range(len(queues))]
    caps = {name: cap for name, (_, cap) in zip(names, queues, strict=True) if cap}
    running = Counter({name: many for name, (many, _) in zip(names, queues, strict=True)})
    slots = slots_of(concurrency, caps)
    free = concurrency - running.total()
    shares = slots.shares(names, running)
    assert all(many > 0 for many in shares.values())
    assert sum(shares.values()) <= max(0, free)
    assert all(running[name] + many <= caps.get(name, concurrency) for name, many in shares.items())
    assert set(shares) <= set(slots.open(names, running))
    assert bool(shares) == bool(slots.open(names, running))
