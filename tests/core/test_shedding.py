"""Shedding: its own bound first, then who fills the memory, then all whose senders come again."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.outcomes import Overload
from gateway.core.shedding import CROWDED, SHORT, Load, shed
from tests.adapters.edge_rig import SHOP

QUIET = replace(SHOP, name="quiet")
LOUD = replace(SHOP, name="loud")
ONCE = replace(SHOP, name="once", spool=True)  # its sender does not come again
ALL = (QUIET, LOUD, ONCE)
OPEN = {"quiet": 10, "loud": 500, "once": 100}
SHARES = st.floats(0, 2)
COUNTS = st.fixed_dictionaries(dict.fromkeys(OPEN, st.integers(0, 1000)))


def test_a_source_at_its_own_bound_is_refused_and_no_other() -> None:
    sources = [replace(each, max_pending=100) for each in ALL]
    assert shed(Load(OPEN), sources) == {
        "loud": Overload.BACKLOG_FULL,
        "once": Overload.BACKLOG_FULL,
    }


def test_when_memory_gets_short_who_fills_it_gives_way_first() -> None:
    assert shed(Load(OPEN, CROWDED), ALL) == {"loud": Overload.MEMORY_SHORT}


def test_dead_letters_fill_the_memory_too() -> None:
    load = Load(OPEN, CROWDED, {"quiet": 700})
    assert shed(load, ALL) == {"quiet": Overload.MEMORY_SHORT}


def test_when_it_is_shorter_all_give_way_whose_senders_come_again() -> None:
    assert set(shed(Load(OPEN, SHORT), ALL)) == {"quiet", "loud"}


def test_one_source_alone_has_all_the_memory_there_is_until_it_is_short() -> None:
    assert shed(Load({"loud": 500}, CROWDED), [LOUD]) == {}
    assert shed(Load({"loud": 500}, SHORT), [LOUD]) == {"loud": Overload.MEMORY_SHORT}


@given(COUNTS, SHARES)
def test_memory_never_keeps_out_a_sender_that_does_not_come_again(
    opened: dict[str, int], memory: float
) -> None:
    assert "once" not in shed(Load(opened, memory), ALL)


@given(COUNTS, SHARES)
def test_without_a_bound_and_with_memory_everybody_is_taken(
    opened: dict[str, int], memory: float
) -> None:
    assert bool(shed(Load(opened, memory), ALL)) <= (memory >= CROWDED)
