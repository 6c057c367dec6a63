"""What must go on whatever processors do: leases renewed, due deliveries rung, dead letters shown,
expired index entries pruned. A thread in every worker and in every gateway.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.application import Application
from gateway.logs import logger

PRUNE_SECONDS: Final = 60.0
PRUNE_AT_ONCE: Final = 100  # calls of `accept`, each of at most 128 events
PRUNES_AT_ONCE: Final = 10
SWEEP_AT_ONCE: Final = 200  # deliveries of a source in one call, while others wait for the server
SWEEPS_AT_ONCE: Final = 10
REFILE_AT_ONCE: Final = 100  # dead letters of a source in one call, for the same reason
REFILES_AT_ONCE: Final = 5

Lease = tuple[str, int]


class Keeper:
    """`leases` gives the (delivery, fence) pairs to keep."""

    def __init__(self, app: Application, url: str, leases: Callable[[], Iterable[Lease]]) -> None:
        worker = app.config.settings.worker
        self._client = blocking_client(url, app.config.settings.redis.timeout)
        self._app = app
        self._keys = Keys(app.prefix)
        self._pruned: dict[str, str] = {}
        self._letters: dict[str, int] = {}
        self._alarm = worker.dead_letters_alarm
        self._alarmed: set[str] = set()
        self._leases = leases
        self._refusals: dict[Lease, int] = {}
        self._lease_ms = int(worker.lease * 1000)
        self._renew_every = worker.lease / 3
        self._sweep_every = worker.sweep_interval
        self._look_ms = int(worker.look_interval * 1000)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        renew_at = prune_at = refile_at = 0.0
        while not self._stopped.wait(min(self._sweep_every, self._renew_every)):
            try:
                if time.monotonic() >= renew_at:
                    self._renew()
                    renew_at = time.monotonic() + self._renew_every
                self._sweep()
                if time.monotonic() >= refile_at:
                    self._refile()
                    refile_at = time.monotonic() + self._look_ms / 1000
                if time.monotonic() >= prune_at:
                    self._prune()
                    prune_at = time.monotonic() + PRUNE_SECONDS
            except Exception as error:  # without this thread, what runs would be run again elsewhere
                logger().error("keeper.interrupted", error=type(error).__name__)
        self._client.close()

    def _renew(self) -> None:
        leases = list(self._leases())
        if not leases:
            return
        kept = run(self._client, self._keys, ledger.renew(leases, self._lease_ms))
        refused = [lease for lease, ours in zip(leases, kept, strict=True) if not ours]
        self._refusals = {lease: self._refusals.get(lease, 0) + 1 for lease in refused}
        for (delivery, fence), times in self._refusals.items():
            if times == 2:  # the first may be an attempt whose end was being recorded
                logger().warning("lease.lost", delivery=delivery, fence=fence)

    def _sweep(self) -> None:
        sources = self._sources()
        for _ in range(SWEEPS_AT_ONCE):
            call = ledger.sweep(sources, self._look_ms, SWEEP_AT_ONCE)
            looked, rung = run(self._client, self._keys, call)
            if rung:
                logger().debug("sweep.rung", deliveries=rung)
            if looked < SWEEP_AT_ONCE:
                return

    def _refile(self) -> None:
        """Dead letters that RQ's tools have dropped, a bounded piece at a time, round and round."""
        for name in self._sources():
            for _ in range(REFILES_AT_ONCE):
                if self._refile_some(name) < REFILE_AT_ONCE:
                    break

    def _refile_some(self, source: str) -> int:
        """How many it has looked at."""
        first = self._letters.get(source, 0)
        call = ledger.refile(source, first, REFILE_AT_ONCE, self._look_ms)
        found = run(self._client, self._keys, call)
        self._letters[source] = first + found.looked if found.looked == REFILE_AT_ONCE else 0
        if found.filed or found.replayed:
            logger().warning(
                "dead_letters.restored", source=source, filed=found.filed, replayed=found.replayed
            )
        self._warn(source, found.total)
        return found.looked

    def _warn(self, source: str, letters: int) -> None:
        """Once, until they are fewer again: none of them is ever dropped, whatever memory they take."""
        if letters < self._alarm:
            self._alarmed.discard(source)
        elif source not in self._alarmed:
            self._alarmed.add(source)
            logger().error(
                "dead_letters.too_many", source=source, dead_letters=letters, alarm=self._alarm
            )

    def _prune(self) -> None:
        """Takes events whose record has expired out of the index, a bounded piece at a time."""
        for name in self._sources():
            for _ in range(PRUNES_AT_ONCE):
                call = ledger.prune(name, self._pruned.get(name, ""), PRUNE_AT_ONCE)
                # Round and round: what is kept for long (dead letters) must not hide what is behind it.
                self._pruned[name], _gone = run(self._client, self._keys, call)
                if not self._pruned[name]:
                    break

    def _sources(self) -> list[str]:
        """Configured ones, and those that left the configuration with deliveries still open."""
        stored: Any = self._client.smembers(self._keys.sources)
        configured = {each.name for each in self._app.config.sources}
        return sorted({name.decode() for name in stored} | configured)
