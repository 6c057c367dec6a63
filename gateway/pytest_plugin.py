"""For the tests of a deployment: `pytest_plugins = ["gateway.pytest_plugin"]` in its conftest.py.

Nothing is loaded by itself. The fixtures are `gateway.testing` at hand; and where a test fails that ran
deliveries or sent requests, its report tells what became of each.
"""

from collections.abc import Callable, Generator
from functools import wraps
from pathlib import Path
from typing import Any, Final

import pytest

from gateway import testing
from gateway.application import Application
from gateway.core.request import InboundRequest
from gateway.plugins import Event, Registry
from gateway.testing import App, Clock, DeliveryResult, Received
from gateway.wiring import Place

STORIES: Final = pytest.StashKey[list[str]]()
TITLE: Final = "What became of it"


class TellingApp(App):
    """Notes how its requests and deliveries ended."""

    def __init__(self, application: Application, stories: list[str]) -> None:
        super().__init__(application.config.sources, application.processors)
        self._stories = stories

    def receive(self, *sent: Any, source: str = "") -> Received:
        received = super().receive(*sent, source=source)
        self._stories.append(str(received))
        return received

    def run(self, **options: Any) -> list[DeliveryResult]:
        results = super().run(**options)
        self._stories += map(str, results)
        return results


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("hookline_config", "Directory of gateway.toml and sources/ (default: config).")
    parser.addini("hookline_processors", "Directory of processor modules (default: processors).")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed and (stories := item.stash.get(STORIES, [])):
        report.sections.append((TITLE, "\n".join(stories)))
    return report


@pytest.fixture
def make_event() -> Callable[..., Event]:
    """`gateway.testing.make_event`: of a sample, a captured fixture or a recorded event's id."""
    return testing.make_event


@pytest.fixture
def signed_request() -> Callable[..., InboundRequest]:
    """`gateway.testing.signed_request`: as the preset's provider would send it."""
    return testing.signed_request


@pytest.fixture
def frozen_clock() -> Clock:
    """Stands at noon of the first of January 2026 until it is moved; `run_delivery` moves it."""
    return Clock()


@pytest.fixture
def run_delivery(
    request: pytest.FixtureRequest, _hookline_stories: list[str]
) -> Callable[..., DeliveryResult]:
    """`gateway.testing.run_delivery`; when the test fails, its report has every attempt."""

    @wraps(testing.run_delivery)
    def run(
        processor: Any, event: Event, registry: Registry | None = None, **options: Any
    ) -> DeliveryResult:
        if registry is None:
            application: Application = request.getfixturevalue("hookline_application")
            registry = Registry(list(application.processors.values()))
        result = testing.run_delivery(processor, event, registry, **options)
        _hookline_stories.append(str(result))
        return result

    return run


@pytest.fixture(scope="session")
def hookline_application(pytestconfig: pytest.Config) -> Application:
    """This deployment's configuration and processors with made-up secrets, loaded once.

    Raises ConfigError with every fault.
    """
    usual = Place.from_environ()
    config = _place(pytestconfig, "hookline_config", usual.config)
    processors = _place(pytestconfig, "hookline_processors", usual.processors)
    return testing.load_for_tests(Place(config, processors))


@pytest.fixture
def hookline_app(hookline_application: Application, _hookline_stories: list[str]) -> App:
    """The deployment over an empty ledger in memory: `receive` requests, `run` what they lead to."""
    return TellingApp(hookline_application, _hookline_stories)


@pytest.fixture
def _hookline_stories(request: pytest.FixtureRequest) -> list[str]:
    """What is told of this test when it fails."""
    stories: list[str] = []
    request.node.stash[STORIES] = stories
    return stories


def _place(config: pytest.Config, name: str, usual: Path) -> Path:
    """Relative to pytest's root directory."""
    said: str = config.getini(name)
    return config.rootpath / (said or usual)
