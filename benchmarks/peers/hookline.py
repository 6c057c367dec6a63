"""Hookline as it is deployed: `hookline serve` on a configuration made for the benchmark."""

import importlib.util
import sys
from pathlib import Path

from benchmarks.processes import free_port

SOURCE = "bench"
PATH = f"/{SOURCE}"

# The load comes from one address and must not be mistaken for a flood.
GATEWAY = """\
[server]
flood_limit = "100000000/minute"

[admin]
port = {admin_port}
"""
SOURCE_FILE = f"""\
path = "{PATH}"
preset = "github"
secrets = ["env:BENCH_SECRET"]
rate_limit = "100000000/minute"
"""
PROCESSOR = f'''\
"""The one processor of the benchmark's source; no worker runs it."""

from gateway.plugins import Event, Registry

registry = Registry()


@registry.processor(source="{SOURCE}", events=["*"])
def read(event: Event) -> None:
    """Does nothing."""
'''


def missing() -> str | None:
    """Why `python -m gateway` cannot be started here, or None."""
    return None if importlib.util.find_spec("gateway.__main__") else "gateway has no __main__"


def command(port: int, directory: Path) -> list[str]:
    """Writes a configuration and a processor under `directory`; the command that serves them."""
    # A name of its own: a regular package `processors` on the path would hide this folder.
    config, processors = directory / "config", directory / "bench_processors"
    (config / "sources").mkdir(parents=True, exist_ok=True)
    processors.mkdir(exist_ok=True)
    (config / "gateway.toml").write_text(GATEWAY.format(admin_port=free_port()))
    (config / "sources" / f"{SOURCE}.toml").write_text(SOURCE_FILE)
    (processors / "bench.py").write_text(PROCESSOR)
    serve = [sys.executable, "-m", "gateway", "serve", "--host", "127.0.0.1"]
    return [
        *serve,
        f"--port={port}",
        f"--config={config}",
        f"--processors={processors}",
    ]
