"""What a load is and what came of it; `generator.py` makes it, as a process of its own."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass

from benchmarks import push

BUSY_CLIENT = 0.9  # of one core: above it the client may be what was measured


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw. `lost` counts requests that were never answered."""

    seconds: float
    statuses: dict[str, int]
    lost: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def accepted(self) -> int:
        return self.statuses.get("200", 0)

    @property
    def refused(self) -> int:
        return sum(self.statuses.values()) - self.accepted


def judge(warmup: Load, load: Load, stored: int | None) -> tuple[str, ...]:
    """Why a round's figures are not to be believed; empty when they are.

    `stored` is what the queue held after both loads, None for a peer that stores nothing.
    """
    accepted = warmup.accepted + load.accepted
    refused, lost = warmup.refused + load.refused, warmup.lost + load.lost
    checks = {
        "nothing was accepted": load.accepted == 0,
        f"{refused} answers were not 200: {load.statuses}": refused > 0,
        f"{lost} requests were not answered": lost > 0,
        f"{accepted} answered 200 but {stored} stored": stored not in (None, accepted),
        "the client was busy throughout": load.cpu_seconds > BUSY_CLIENT * load.seconds,
    }
    return tuple(fault for fault, found in checks.items() if found)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed; NaN of no values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the generator. `rate` 0: a closed loop. `spread` 1: from many addresses.
    `fresh` 1: a connection for each request."""

    port: int
    path: str
    connections: int
    seconds: float
    secret: str = push.SECRET
    rate: float = 0.0
    spread: int = 0
    fresh: int = 0

    @property
    def command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in asdict(self).items()]
        return [sys.executable, "-m", "benchmarks.generator", *options]

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.command, stdout=subprocess.PIPE)

    def run(self) -> Load:
        """Runs the generator as a process and returns what it counted."""
        return counted(self.start())


def counted(process: "subprocess.Popen[bytes]") -> Load:
    """Raises RuntimeError when the generator failed; its own words are on stderr."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with status {process.returncode}")
    return Load(**json.loads(output))


def run_process(
    port: int, path: str, connections: int, seconds: float, secret: str = push.SECRET
) -> Load:
    """A closed loop."""
    return Plan(port, path, connections, seconds, secret).run()
