"""What is deployed in a soak: four sources by real presets, and processors that write down each run."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.chaos.soak.providers import PROVIDERS, SECRET, Provider
from tests.chaos.sweep.zygote import REPOSITORY
from tests.e2e.rig import PROCESSORS, Deployment

LEASE_SECONDS: Final = 2.0
REPLY_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 5.0
FAILS_EVERY: Final = 101
DIES_EVERY: Final = 997
"""Of the events of a source the first run of each such one fails, or is discarded."""
LASTS: Final = {151: 0.7, 1009: 2.6}
"""Each such one runs for so many seconds: what comes late finds somebody else at work, and some outlast
a lease that is not renewed."""

GATEWAY: Final = f"""
[worker]
concurrency = 16
lease = "{LEASE_SECONDS}s"
look_interval = "2s"
sweep_interval = "250ms"
grace = "{GRACE_SECONDS}s"
[defaults]
retention = "5s"
dedup_window = "1h"
[defaults.retry]
attempts = 8
first_delay = "100ms"
longest_delay = "300ms"
[redis]
timeout = "{REPLY_SECONDS}s"
[server]
flood_limit = "100000000/minute"
grace = "3s"
[log]
format = "json"
"""
# One write of one line on a descriptor opened for appending: lines never mix, whoever dies.
ALL: Final = f"""
import asyncio, os, time
from gateway.plugins import *

registry = Registry()
LOG = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
PARENT = os.getppid()  # of a child that runs one attempt: its worker, which may be gone later

def note(event, phase):
    words = (event.source, event.provider_id, event.fence, os.getpid(), PARENT, time.time(), phase)
    os.write(LOG, (" ".join(map(str, words)) + "\\n").encode())

def number_of(event):
    return int(event.provider_id.rpartition("-")[2])

def seconds_of(event):
    return sum(seconds for every, seconds in {LASTS}.items() if number_of(event) % every == every - 1)

def finish(event):
    number = number_of(event)
    if event.fence == 1 and number % {DIES_EVERY} == {DIES_EVERY - 1}:
        note(event, "discard")
        raise Discard("once")
    if event.fence == 1 and number % {FAILS_EVERY} == {FAILS_EVERY - 1}:
        note(event, "fail")
        raise ValueError
    note(event, "end")

def process(event: Event) -> None:
    note(event, "start")
    if seconds := seconds_of(event):
        time.sleep(seconds)
    finish(event)

async def process_async(event: Event) -> None:
    note(event, "start")
    if seconds := seconds_of(event):
        await asyncio.sleep(seconds)
    finish(event)

for number, source in enumerate({[each.source for each in PROVIDERS]!r}):
    registry.processor(source=source, name=source)(process if number % 2 else process_async)
"""


def deploy(root: Path) -> dict[str, str]:
    """Writes it to a directory. What its processes need in their environment."""
    sources = dict(_sources(PROVIDERS))
    Deployment(root, sources, GATEWAY, {"all": ALL}).write()
    return {
        "HOOKLINE_CONFIG": str(root / "config"),
        "HOOKLINE_PROCESSORS": str(root / PROCESSORS),
        "HOOKLINE_SPOOL": str(root / "spool"),
        "EFFECTS": str(root / "effects"),
        "PYTHONPATH": str(REPOSITORY),  # for the child that runs what has crashed once
        "SECRET": SECRET,
    }


def _sources(providers: Iterable[Provider]) -> Iterable[tuple[str, str]]:
    for each in providers:
        spool = str(each.spool).lower()
        yield each.source, f'preset = "{each.source}"\nsecrets = ["env:SECRET"]\nspool = {spool}\n'
