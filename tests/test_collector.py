"""What a process has loaded is not looked through again, and nothing that is over stays for ever."""

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapters.http import server
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


def test_a_reload_of_the_gateway_spares_what_it_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    spared: list[str] = []
    monkeypatch.setattr(server, "spare_what_stays", lambda: spared.append("all"))
    app: Any = SimpleNamespace(config=SimpleNamespace(sources=()))
    parts: Any = SimpleNamespace(load=lambda: app, build=lambda *_: "new", url="")
    edge: Any = SimpleNamespace(deployment="old")
    nothing: Any = None
    assert server._reload(parts, edge, nothing, nothing) is app
    assert (edge.deployment, spared) == ("new", ["all"])
