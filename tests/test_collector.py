"""What a process has loaded is not looked through again, and nothing that is over stays for ever."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapters.http import server
from gateway.collector import YOUNG, spare_what_stays
from tests.e2e.deployments import SIGNED
from tests.e2e.rig import PATIENT, PROCESSORS, Deployment, Gateway

MOST_OF_IT = 10_000  # objects; several times as many live in a process of ours
TELLS_AT_ITS_END = """
import atexit, gc, os, pathlib

def tell() -> None:
    place = pathlib.Path(__file__).with_name(f"{os.getpid()}.spared")
    place.write_text(str(gc.get_freeze_count()))

atexit.register(tell)
"""


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
    assert gc.get_freeze_count() > MOST_OF_IT
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


# The processes that are to call it


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, {"plain": SIGNED}, PATIENT, {"tells": TELLS_AT_ITS_END})


def spared(deployment: Deployment) -> dict[int, int]:
    """How many objects each process has spared that has ended, by its id."""
    found = (deployment.root / PROCESSORS).glob("*.spared")
    return {int(path.stem): int(path.read_text()) for path in found}


def test_a_gateway_spares_what_it_has_loaded(redis_url: str, deployment: Deployment) -> None:
    with Gateway(deployment, redis_url) as gateway:
        assert gateway.stop() == 0
    assert spared(deployment)[gateway.process.pid] > MOST_OF_IT


def test_each_process_of_several_spares_what_it_has_loaded(
    redis_url: str, deployment: Deployment
) -> None:
    with Gateway(deployment, redis_url, "--workers", "2") as gateway:
        assert gateway.stop() == 0
    children = {pid: many for pid, many in spared(deployment).items() if pid != gateway.process.pid}
    assert children, "none has served"  # one that did not come so far has nothing to tell
    assert min(children.values()) > MOST_OF_IT


def test_a_worker_spares_what_it_has_loaded(redis_url: str, deployment: Deployment) -> None:
    ended = deployment.run("worker", "--burst", redis_url=redis_url)
    assert ended.returncode == 0, ended.stderr
    (many,) = spared(deployment).values()
    assert many > MOST_OF_IT
