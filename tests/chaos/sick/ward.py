"""One server with a real gateway, a real worker and senders, on which faults are tried one by one."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import RedisError

from gateway.adapters.ledger.redis_clients import blocking_client
from tests.adapters.ledger_rig import Rig
from tests.chaos.rig import Crew, a_deployment
from tests.chaos.servers import Sentinel, Server
from tests.chaos.sick.fault import IN_TIME, Fault, Row
from tests.chaos.sick.relay import Relay
from tests.chaos.sick.street import Street, acknowledged
from tests.e2e.rig import Gateway, until

IDENTITY: Final = '[identity]\nevent_id = ["{header.X-Event-Id}"]\n'
PROCESSORS: Final = """
def process(event: Event) -> None:
    note(event, "start")
    note(event, "end")

for source in ("shop", "kept"):
    registry.processor(source=source, name=source)(process)
"""
REFUSED: Final = ("request.unavailable", "request.overloaded")
LEASE: Final = "4s"
PATIENCE_SECONDS: Final = 40.0
NOTICE_SECONDS: Final = 60.0


class Staff(Crew):
    """A crew whose server may be away, or elsewhere."""

    def __enter__(self) -> Self:
        self.client = blocking_client(self.url, 10.0)
        self.rig = Rig(self.client)
        return self


class Ward:
    """`server` is where everything leads at first; the others are there for some faults only."""

    def __init__(
        self,
        root: Path,
        server: Server,
        *,
        durability: str = "always",
        replica: Server | None = None,
        sentinel: Sentinel | None = None,
        relay: Relay | None = None,
    ) -> None:
        self.server = server
        self.replica = replica
        self.sentinel = sentinel
        self.led = 0  # the port of the server that was the primary when the fault began
        self.relay = relay
        self.url = (sentinel or relay or server).url
        made = a_deployment(root, PROCESSORS, ["shop", "kept"], lease=LEASE, more=IDENTITY, redis="")
        self._deployment = replace(
            made,
            sources={**made.sources, "kept": "spool = true\n" + made.sources["kept"]},
            gateway=made.gateway + f'[redis]\ndurability = "{durability}"\n',
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.crew = stack.enter_context(Staff(self._deployment, self.url))
            self.worker = self.crew.worker()
            self.gateway = stack.enter_context(Gateway(self._deployment, self.url))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def suffer(self, fault: Fault) -> Row:
        row = Row(fault)
        logged = len(self.gateway.logs())
        street = Street(self.gateway.address[1], fault.name.replace(" ", "_"))
        until(lambda: len(acknowledged(street.answers)) >= 6, what="a healthy start")
        struck = time.monotonic()
        heal = fault.strike(self)
        try:
            self._last(fault, struck, row)
        except AssertionError as error:
            row.breaches.append(str(error))
        finally:
            heal()
        healed = time.monotonic()
        self._recover(row, street, healed)
        self._count(row, street, logged)
        return row

    def _last(self, fault: Fault, struck: float, row: Row) -> None:
        if fault.problem:
            until(lambda: fault.problem in self.problems(), NOTICE_SECONDS, fault.problem)
            row.noticed = time.monotonic() - struck
        if over := fault.over:
            until(lambda: over(self), NOTICE_SECONDS, "the end of the fault")
            row.noticed = time.monotonic() - struck
        until(lambda: time.monotonic() - struck >= fault.seconds, fault.seconds + 1)

    def problems(self) -> set[str]:
        """What an operator sees in the metrics."""
        families = text_string_to_metric_families(self.gateway.metrics())
        samples = [each for family in families for each in family.samples]
        return {each.labels["problem"] for each in samples if each.name == "hookline_redis_problem"}

    def _recover(self, row: Row, street: Street, healed: float) -> None:
        def served() -> list[float]:
            return [
                each.at for each in street.since(healed) if each.status == 200 and each.source == "shop"
            ]

        try:
            row.recovery = min(until(served, PATIENCE_SECONDS, "a 200 after the fault")) - healed
            offset = time.time() - time.monotonic()
            row.worked = max(0.0, until(lambda: self._ends(healed + offset)) - healed - offset)
        except AssertionError as error:
            row.breaches.append(str(error))
        if not street.stop(PATIENCE_SECONDS):
            row.breaches.append("a sender that comes again gets no 200")

    def _ends(self, after: float) -> float:
        ends = (each.ended or 0.0 for each in self.crew.runs())
        return min((each for each in ends if each > after), default=0.0)

    def _count(self, row: Row, street: Street, logged: int) -> None:
        answers = list(street.answers)
        told = acknowledged(answers)
        self._await_runs(told, row.fault)
        values = {each.value for each in answers}
        runs = Counter(each.value for each in self.crew.runs() if each.ended and each.value in values)
        lines = self.gateway.logs()[logged:]
        row.sent, row.acknowledged = len(values), len(told)
        row.spooled = sum(line["event"] == "request.spooled" for line in lines)
        refused = [line for line in lines if line["event"] in REFUSED]
        row.refused = dict(Counter(line.get("reason") or "" for line in refused))
        row.slowest = max(each.seconds for each in answers)
        row.lost = len(told - set(runs))
        row.doubled = sum(many - 1 for many in runs.values())
        row.breaches += _breaches(row, {each.status for each in answers})
        row.breaches += self._silences(row.fault, lines)

    def _silences(self, fault: Fault, lines: list[dict[str, Any]]) -> Iterator[str]:
        """What has ended, and what nobody was told."""
        told = [line["problem"] for line in lines if line["event"] == "redis.problem"]
        if fault.problem and not any(fault.problem in each for each in told):
            yield f"the log does not tell of {fault.problem}"
        for name, process in (("worker", self.worker.process), ("gateway", self.gateway.process)):
            if process.poll() is not None:
                yield f"the {name} has ended: {process.poll()}"

    def _await_runs(self, told: set[str], fault: Fault) -> None:
        def done() -> bool:
            return told <= {each.value for each in self.crew.runs() if each.ended}

        try:
            until(lambda: done() and not self._open(), 10.0 if fault.loses else PATIENCE_SECONDS)
        except AssertionError:
            return  # what is missing is counted

    def _open(self) -> int:
        keys = self.crew.rig.keys
        try:
            return sum(int(self.crew.client.zcard(keys.pending(name))) for name in ("shop", "kept"))
        except RedisError:
            return 1


def _breaches(row: Row, statuses: set[int]) -> list[str]:
    fault = row.fault
    rules: tuple[tuple[Any, str], ...] = (
        (statuses - {200, 503}, f"answers were {sorted(statuses)}"),
        (row.slowest > IN_TIME, f"an answer took {row.slowest:.2f} s"),
        (row.lost and not fault.loses, f"{row.lost} lost"),
        (row.doubled and not fault.repeats, f"{row.doubled} processed again"),
        (set(row.refused) - fault.reasons, f"a 503 for {sorted(set(row.refused) - fault.reasons)}"),
    )
    return [text for broken, text in rules if broken]
