"""Where a fixture is written to, and the seed of those that are made in one place."""

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.cli.shared.deployment import DEV_DIR
from gateway.cli.shared.exits import FAILED, fail

if TYPE_CHECKING:
    from gateway.fixture import Fixture

SEED_FILE: Final = DEV_DIR / "capture.seed"


def seed_of_this_place() -> str:
    """One for all fixtures that are made here, so that they fit together. Nobody else may know it."""
    try:
        return SEED_FILE.read_text()
    except OSError:
        seed = secrets.token_hex(32)
    SEED_FILE.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(SEED_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(seed)
    return seed


def write_fixture(fixture: "Fixture", to: Path, *, force: bool) -> Path:
    """Into the directory, or to the file if `to` ends with .toml. What is not redacted is for its owner
    only. Status 1 when it is there already."""
    path = to if to.suffix == ".toml" else to / f"{slug(fixture)}.toml"
    how = os.O_TRUNC if force else os.O_EXCL
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o644 if fixture.redacted else 0o600
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | how, mode), "w", encoding="utf-8"
        ) as file:
            file.write(fixture.to_toml())
    except FileExistsError:
        fail(FAILED, f"{path} exists: name another with --to FILE.toml, or overwrite it with --force.")
    except OSError as error:
        fail(FAILED, f"{path} cannot be written: {error.strerror}.")
    return path


def slug(fixture: "Fixture") -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{fixture.source}-{fixture.type or 'event'}".lower()).strip("-")
