"""This deployment, for tests: its own files, and made-up secrets."""

import os
import re
from functools import cache
from pathlib import Path
from typing import Final

from gateway.application import Application
from gateway.fixture import SECRETS
from gateway.wiring import Place, load_application

REFERENCE: Final = re.compile(r"\"env:(\w+)\"|'env:(\w+)'")


def this_deployment() -> Application:
    """`config/` and `processors/` here, or as HOOKLINE_CONFIG and HOOKLINE_PROCESSORS say.

    Loaded once. Raises ConfigError with every fault.
    """
    place = Place.from_environ()
    return load_for_tests(Place(place.config.absolute(), place.processors.absolute()))


@cache
def load_for_tests(place: Place) -> Application:
    """With made-up secrets, whatever the environment holds: a test must not know the real ones."""
    return load_application(place, {**os.environ, **_made_up(place.config)})


def _made_up(config: Path) -> dict[str, str]:
    """A secret for each `env:` reference of the configuration, of a form that its file takes."""
    made: dict[str, str] = {}
    for path in sorted(config.rglob("*.toml")):
        names = {first or second for first, second in REFERENCE.findall(_text(path))}
        made |= dict.fromkeys(names, _fitting(path, names))
    return {name: secret for name, secret in made.items() if secret}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # told when the configuration is loaded
        return ""


def _fitting(path: Path, names: set[str]) -> str:
    """None of them fits where a public key is wanted: then the environment's own is taken."""
    from gateway.configuration import read_file
    from gateway.settings import Settings
    from gateway.sources import SourceFile, build_source

    file = read_file(path, SourceFile, []) if path.parent.name == "sources" else None
    if file is None:
        return SECRETS[0]
    for secret in SECRETS:
        environ = {**os.environ, **dict.fromkeys(names, secret)}
        _, faults = build_source(path.stem, file, Settings(), environ, str(path))
        if not any(each.key.startswith("secrets") for each in faults):
            return secret
    return ""
