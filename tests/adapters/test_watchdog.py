"""The watchdog ends a process that stands still, and no other."""

from typing import NoReturn

import pytest

from gateway.adapters.worker.watchdog import Watchdog


def test_without_a_free_thread_for_a_moment_what_runs_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("unable to start watchdog thread")

    monkeypatch.setattr("faulthandler.dump_traceback_later", none_left)
    Watchdog(30.0).feed()
