"""Requests down the whole path in one call: to this deployment, or to a preset and a registry alone."""

from dataclasses import replace
from pathlib import Path

from gateway.catalogue import preset_names
from gateway.faults import suggest
from gateway.fixture import Fixture
from gateway.plugins import Registry
from gateway.testing.app import App, Received, Sent
from gateway.testing.loading import load_for_tests, this_deployment
from gateway.testing.requests import SECRET, preset_source
from gateway.wiring import Place


def receive(where: str | Path, *sent: Sent, registry: Registry | None = None) -> Received:
    """Sends requests down the whole path, one after the other.

    `receive(FIXTURE)`: a captured fixture, to its source of this deployment. `receive("github",
    request)`: to this deployment's source of that name; with `registry`, to that preset and those
    processors alone.
    `receive("config/sources/github.toml", request)`: to the source of that file.
    """
    if not sent:
        fixture = Fixture.read(where)
        return _app(registry, fixture.preset, fixture.source).receive(fixture)
    if isinstance(where, Path) or where.endswith(".toml"):
        file = Path(where)
        config = Place(file.absolute().parents[1], Place.from_environ().processors)
        return App.of(load_for_tests(config)).receive(*sent, source=file.stem)
    app = _app(registry, where, "")
    return app.receive(*sent, source=where if registry is None else next(iter(app.sources)))


def _app(registry: Registry | None, preset: str, name: str) -> App:
    if registry is None:
        return App.of(this_deployment())
    if preset not in preset_names():
        raise LookupError(f"no preset is named {preset!r}: {suggest(preset, list(preset_names()))}")
    source = preset_source(preset, SECRET, registry=registry)
    own = replace(source, name=name) if name else source
    return App([own], {each.name: each for each in registry.processors})
