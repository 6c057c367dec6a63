"""A pass of the server: events accepted, claimed, finished, its append-only file rewritten meanwhile.

The rules: it starts again from what it left; an accept, and an end, that it has answered is there; at
last each delivery is done, and none that was told to be done runs again.
"""

import os
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redis import Redis, RedisError

from gateway.adapters.embedded.binary import find_binary
from gateway.adapters.embedded.process import SETTINGS, url_of
from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.core.delivery import Claimed
from tests.adapters.ledger_rig import LEASE, Rig, a_delivery, a_source
from tests.chaos.sweep.case import Outcome
from tests.chaos.syscalls.case import Case
from tests.chaos.syscalls.tracer import Tracer
from tests.e2e.rig import until

SOURCE: Final = a_source("shop")
ROUNDS: Final = 8
START_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 3.0


@dataclass(slots=True)
class Book:
    """What the server has answered."""

    accepted: set[str] = field(default_factory=set)
    finished: Counter[str] = field(default_factory=Counter)


def attempt(place: Path, harm: Case | None) -> tuple[Outcome, Tracer]:
    """`place`: an empty directory with a short name."""
    tracer, book = Tracer(harm, place / "trace"), Book()
    process = tracer.launch(_command(place))
    with suppress(RedisError, AssertionError), _client(place) as client:
        until(lambda: process.poll() is not None or _answers(client))
        _work(Rig(client), book)
    _shut_down(process, place)
    outcome = Outcome(struck=bool(tracer.came()))
    _end(process)
    _start_again(place, book, outcome)
    return outcome, tracer


def _start_again(place: Path, book: Book, outcome: Outcome) -> None:
    with (place / "log").open("wb") as log:
        again = subprocess.Popen(_command(place), stdout=log)
    try:
        with _client(place) as client:
            until(lambda: again.poll() is not None or _answers(client))
            if again.poll() is not None and mended(place / "aof"):
                outcome.figures["by hand"] += 1
                _start_again(place, book, outcome)
            else:
                _judge(Rig(client), book, outcome)
    except (RedisError, AssertionError) as error:
        text = (place / "log").read_text(errors="replace")[-300:]
        outcome.faults.append(f"what it left does not start: {error!r}; {text}")
    finally:
        again.kill()
        again.wait()


def mended(folder: Path) -> bool:
    """What docs/reliability.md tells operators to do with a manifest whose base is missing.

    At the end of a rewrite Valkey renames the new manifest into place, then syncs its folder. Where
    that fails it takes the rewrite for failed, removes the new base, goes on, and cannot start again.
    """
    manifest = folder / "appendonly.aof.manifest"
    files = [line.split() for line in manifest.read_text().splitlines()] if manifest.exists() else []
    there = [words for words in files if (folder / words[1]).exists()]
    if len(there) == len(files):
        return False
    for words in there:
        words[5] = "b" if ".base." in words[1] else "i"
    there.sort(key=lambda words: (words[5] != "b", int(words[3])))
    manifest.write_text("".join(" ".join(words) + "\n" for words in there))
    return True


def _command(place: Path) -> list[str]:
    settings = SETTINGS | {"dir": str(place), "unixsocket": str(place / "s"), "appenddirname": "aof"}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return [str(find_binary(prefer_bundled=True).path), *words]


def _client(place: Path) -> "Redis":
    return blocking_client(url_of(place / "s"), PATIENCE_SECONDS)


def _answers(client: "Redis") -> bool:
    with suppress(RedisError):
        return bool(client.ping())
    return False


def _work(rig: Rig, book: Book) -> None:
    """Until it is through. Raises RedisError when the server is gone or refuses."""
    for number in range(ROUNDS):
        names = [f"{number}-{each}" for each in range(3)]
        rig.accept(*names, source=SOURCE)
        book.accepted |= set(names)
        for row in rig.claim(("shop", 2)):
            if isinstance(row, Claimed) and rig.finish(row):
                book.finished[row.provider_id] += 1
        if number in (2, 5):
            rig.raw("BGREWRITEAOF")
            until(lambda: not rig.redis.info("persistence")["aof_rewrite_in_progress"])


def _shut_down(process: "subprocess.Popen[bytes]", place: Path) -> None:
    """In order, if it can: strace passes no signal on."""
    with suppress(RedisError), _client(place) as client:
        client.shutdown(nosave=True)
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills what is left of strace and server."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _judge(rig: Rig, book: Book, outcome: Outcome) -> None:
    rows = {name: _state(rig, name) for name in sorted(book.accepted)}
    lost = [name for name, state in rows.items() if not state]
    undone = [name for name in book.finished if rows.get(name) != "done"]
    rig.pass_time(LEASE)
    again = Counter(_drained(rig))
    doubled = [name for name in again if again[name] > 1 or book.finished[name]]
    left = [name for name in rows if name not in lost and _state(rig, name) != "done"]
    outcome.figures.update(
        acknowledged=len(book.accepted) + book.finished.total(), lost=len(lost), doubled=len(doubled)
    )
    outcome.faults += [
        *(f"{name} was accepted and is not there: lost" for name in lost),
        *(f"{name} was finished and is {rows.get(name)!r}: that end is lost" for name in undone),
        *(f"{name} ran again" for name in doubled),
        *(f"{name} does not end" for name in left),
    ]


def _state(rig: Rig, name: str) -> str:
    """Of its delivery; empty when there is none."""
    delivery = a_delivery(name, source="shop")
    if not rig.redis.exists(rig.keys.event(f"evt_{delivery.removeprefix('dlv_').split('-')[0]}")):
        return ""
    return rig.row(delivery).state


def _drained(rig: Rig) -> list[str]:
    """The provider's ids of all that was still to be run, as a worker would."""
    found: list[str] = []
    for _ in range(3):
        rig.sweep("shop")
        for row in rig.claim(("shop", 200)):
            if isinstance(row, Claimed) and rig.finish(row):
                found.append(row.provider_id)
    return found
