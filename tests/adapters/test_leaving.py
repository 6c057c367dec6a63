"""Which signal makes a gateway leave in which way."""

import asyncio
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from gateway.adapters.http import leaving as module
from gateway.adapters.http.leaving import Leaving


class Server:
    """What Leaving does with one."""

    def __init__(self) -> None:
        self.should_exit = self.force_exit = self.handed_on = self.parting = False

    def part(self) -> None:
        self.parting = True


class Scene:
    def __init__(self, drain: float = 0.0, succession: Any = None) -> None:
        self.server = Server()
        self.readiness = SimpleNamespace(draining=False)
        self.passed: list[signal.Signals] = []
        servers: Any = [self.server]
        readiness: Any = self.readiness
        self.leaving = Leaving(servers, readiness, drain, succession, self.passed.append)


def played(act: Callable[[Scene], None], drain: float = 0.0) -> Scene:
    async def main() -> Scene:
        scene = Scene(drain)
        act(scene)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return scene

    return asyncio.run(main())


def test_a_stop_says_so_and_closes() -> None:
    scene = played(lambda scene: scene.leaving.stop())
    assert scene.readiness.draining
    assert scene.server.parting
    assert scene.server.should_exit
    assert not scene.server.force_exit
    assert scene.passed == [signal.SIGTERM]


def test_with_a_drain_connections_are_taken_for_a_while_and_each_answer_is_the_last() -> None:
    scene = played(lambda scene: scene.leaving.stop(), drain=60.0)
    assert scene.readiness.draining
    assert scene.server.parting
    assert not scene.server.should_exit


def test_somebody_at_a_terminal_waits_for_no_load_balancer() -> None:
    scene = played(lambda scene: scene.leaving.stop(signal.SIGINT), drain=60.0)
    assert scene.server.should_exit


def test_the_second_stop_is_at_once(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "ECHO_SECONDS", 0.0)

    def twice(scene: Scene) -> None:
        scene.leaving.stop()
        scene.leaving.stop()

    scene = played(twice, drain=60.0)
    assert scene.server.should_exit
    assert scene.server.force_exit
    assert scene.passed == [signal.SIGTERM] * 2


def test_what_a_terminal_and_the_parent_say_at_the_same_time_is_one_request() -> None:
    def twice(scene: Scene) -> None:
        scene.leaving.stop(signal.SIGINT)
        scene.leaving.stop(signal.SIGTERM)

    scene = played(twice)
    assert not scene.server.force_exit
    assert scene.passed == [signal.SIGINT]


def test_one_whose_place_is_taken_stays_ready_for_those_that_still_ask_it() -> None:
    scene = played(lambda scene: scene.leaving.hand_on())
    assert scene.server.should_exit
    assert scene.server.handed_on
    assert not scene.readiness.draining
    assert scene.passed == [signal.SIGUSR2]


def test_one_that_stops_is_not_replaced_any_more() -> None:
    begun: list[object] = []

    async def main() -> None:
        succession = SimpleNamespace(begin=begun.append, give_up=lambda: None)
        scene = Scene(60.0, succession)
        scene.leaving.replace()
        scene.leaving.stop()
        scene.leaving.replace()

    asyncio.run(main())
    assert len(begun) == 1
