"""Hookline as it is deployed: its commands, on a configuration made for the benchmark."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import push
from benchmarks.peers.installed import COMPILED
from benchmarks.processes import free_port

SOURCE = "bench"
PATH = f"/{SOURCE}"

# Every step is on. The load comes from one address and must not be mistaken for a flood.
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
allow_ips = ["127.0.0.0/8"]
rate_limit = "100000000/minute"
"""
PROCESSOR = '''\
"""The one processor of the benchmark's source."""

import asyncio
import os
import time

from gateway.plugins import Event, Registry

registry = Registry()


@registry.processor(source="bench", events=["*"])
{function}
'''
FUNCTIONS = {
    "nothing": 'def read(event: Event) -> None:\n    """Does nothing."""',
    "wait": "def read(event: Event) -> None:\n    time.sleep(0.05)",
    "wait async": "async def read(event: Event) -> None:\n    await asyncio.sleep(0.05)",
    "stamp": (
        "def read(event: Event) -> None:\n"
        "    now = time.time()\n"
        '    with open(os.environ["BENCH_STAMPS"], "a") as stamps:\n'
        '        stamps.write(f"{event.provider_id} {now}\\n")'
    ),
}


@dataclass(frozen=True, slots=True)
class Hookline:
    """A deployment in `directory`. `function` names what its processor does.

    `compiled`: its hot parts are (`scripts/compile`).
    """

    directory: Path
    redis_url: str
    function: str = "nothing"
    compiled: bool = False
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)

    def write(self) -> "Hookline":
        """Makes its files."""
        (self.config / "sources").mkdir(parents=True, exist_ok=True)
        self.processors.mkdir(exist_ok=True)
        (self.config / "gateway.toml").write_text(GATEWAY.format(admin_port=self.admin_port))
        (self.config / "sources" / f"{SOURCE}.toml").write_text(SOURCE_FILE)
        text = PROCESSOR.format(function=FUNCTIONS[self.function])
        (self.processors / "bench.py").write_text(text)
        return self

    @property
    def config(self) -> Path:
        return self.directory / "config"

    @property
    def processors(self) -> Path:
        # A name of its own: a regular package `processors` on the path would hide this folder.
        return self.directory / "bench_processors"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def stamps(self) -> Path:
        return self.directory / "stamps"

    @property
    def environment(self) -> dict[str, str]:
        # Where it is compiled it is a package like any other, which the checkout's must not hide.
        imports = {"PYTHONSAFEPATH": "1", "PYTHONPATH": ""} if self.compiled else {}
        return {
            **imports,
            "REDIS_URL": self.redis_url,
            "BENCH_SECRET": push.SECRET,
            "BENCH_STAMPS": str(self.stamps),
            "HOOKLINE_CONFIG": str(self.config),
            "HOOKLINE_PROCESSORS": str(self.processors),
        }

    def serve(self, workers: int = 1) -> list[str]:
        options = [f"--port={self.port}", f"--workers={workers}", "--host=127.0.0.1"]
        return [self.python, "-m", "gateway", "serve", *options]

    def worker(self, concurrency: int) -> list[str]:
        return [self.python, "-m", "gateway", "worker", f"--concurrency={concurrency}"]

    @property
    def python(self) -> str:
        return str(COMPILED) if self.compiled else sys.executable
