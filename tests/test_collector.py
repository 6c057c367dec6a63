"""What a process has loaded is not looked through again, and nothing that is over stays for ever."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.collector import YOUNG, spare_what_stays


class Knot:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_loaded_is_not_looked_through_again() -> None:
    loaded = Knot()
    spare_what_stays()
    assert gc.get_threshold()[0] == YOUNG
    assert gc.get_freeze_count() > 10_000
    assert not any(each is loaded for each in gc.get_objects())


def test_what_was_over_before_is_freed_first() -> None:
    over = weakref.ref(Knot())
    spare_what_stays()
    assert over() is None


def test_what_a_reload_has_replaced_is_freed_with_the_next_one() -> None:
    configuration = Knot()
    seen = weakref.ref(configuration)
    spare_what_stays()
    del configuration
    gc.collect()
    assert seen() is not None, "it was spared"
    spare_what_stays()
    assert seen() is None
