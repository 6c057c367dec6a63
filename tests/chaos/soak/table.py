"""What all epochs of a soak add up to, as a table and as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos.soak.books import Cause
from tests.chaos.soak.outcome import Outcome
from tests.chaos.soak.plan import Act
from tests.chaos.soak.wire import Harm

SHOWN: Final = 20  # broken rules


@dataclass(frozen=True, slots=True)
class Group:
    """Faults of one kind, what they may lead to, and which extra runs are theirs."""

    title: str
    acts: tuple[Act, ...]
    expected: str
    causes: tuple[Cause, ...] = ()


GROUPS: Final = (
    Group(
        "gateway",
        (Act.GATEWAY_KILLED, Act.GATEWAY_STOPPED, Act.GATEWAY_RESTARTED),
        "no answer, or a late one",
    ),
    Group(
        "worker killed or restarted",
        (Act.WORKER_KILLED, Act.WORKER_RESTARTED, Act.CHILD_KILLED),
        "what it held runs again",
        (Cause.KILLED, Cause.PAST_GRACE),
    ),
    Group(
        "worker stopped past its lease",
        (Act.WORKER_STOPPED,),
        "what it held runs again",
        (Cause.STOPPED,),
    ),
    Group(
        "server",
        (
            *(Act.SERVER_KILLED, Act.SERVER_TORN, Act.SERVER_REWRITING, Act.SERVER_STOPPED),
            *(Act.MEMORY_FULL, Act.SCRIPTS_FLUSHED, Act.CLIENTS_KILLED),
        ),
        "503 or spooled; leases run out",
        (Cause.AWAY,),
    ),
    Group(
        "operators' tools",
        (Act.QUEUE_EMPTIED, Act.JOBS_DELETED, Act.SUSPENDED, Act.COUNTED, Act.REQUEUED),
        "a delay",
    ),
)


class Totals:
    """Of these epochs."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.epochs = 0
        self.figures: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.extra: Counter[str] = Counter()
        self.broken: list[str] = []
        self._levels: set[str] = set()
        for outcome in outcomes:
            self.add(outcome)

    def add(self, outcome: Outcome) -> None:
        self.epochs += 1
        self.figures.update(outcome.figures)  # and keeps those that are 0
        self.faults.update(outcome.faults)
        self.extra.update(outcome.extra)
        self._levels.add(outcome.setting.level)
        if outcome.broken:
            self.broken += outcome.broken[:SHOWN]
            more = len(outcome.broken) - SHOWN
            self.broken += [f"and {more} more"] if more > 0 else []
            self.broken.append(f"again: {outcome.setting.command}")

    @property
    def seconds(self) -> int:
        return self.figures["seconds"]

    @property
    def acknowledged(self) -> int:
        return self.figures["events acknowledged"]

    @property
    def line(self) -> str:
        return (
            f"in all {self.acknowledged:,} acknowledged, {self.faults.total():,} faults, "
            f"{self.figures['lost']} lost, {self.seconds} s"
        )

    def as_json(self, options: Mapping[str, Any]) -> str:
        figures = {name.strip(): many for name, many in self.figures.items()}
        parts = {name: getattr(self, name) for name in ("epochs", "faults", "extra", "broken")}
        return json.dumps({**options, "figures": figures, **parts}, indent=2)

    def table(self, seed: int) -> str:
        level = "/".join(sorted(self._levels))
        title = (
            f"Soak, level {level}, seed {seed}: {self.epochs} epochs, {self.seconds / 60:.1f} minutes"
        )
        figures = [
            f"  {name:<44}{figure:>11,}" for name, figure in self.figures.items() if name != "seconds"
        ]
        return "\n".join([title, *figures, "", *self._rows(), "", *self._verdict()])

    def _rows(self) -> Iterator[str]:
        yield f"  {'fault':<44}{'injected':>11}  {'may lead to':<32}{'extra runs':>10}"
        for group in GROUPS:
            counts = {str(act): self.faults[act] for act in group.acts}
            yield self._row(group.title, sum(counts.values()), group.expected, group.causes)
            yield from (f"    {name:<42}{many:>11,}" for name, many in counts.items())
        harmed = {str(harm): Counter(_of(self.faults, harm)) for harm in Harm}
        many = sum(each.total() for each in harmed.values())
        yield self._row("harmed commands", many, "503 or spooled; leases run out", (Cause.PAST_LEASE,))
        for harm, commands in harmed.items():
            often = ", ".join(f"{name} {times:,}" for name, times in commands.most_common(4))
            yield f"    {harm:<42}{commands.total():>11,}  {often}"
        yield self._row("the machine stood still", 0, "leases run out", (Cause.STOOD_STILL,))
        yield f"  {'in all':<44}{self.faults.total():>11,}  {'':<32}{self.extra.total():>10,}"

    def _row(self, title: str, many: int, expected: str, causes: Iterable[Cause]) -> str:
        extra = sum(self.extra[cause] for cause in causes)
        return f"  {title:<44}{many:>11,}  {expected:<32}{extra:>10,}"

    def _verdict(self) -> Iterator[str]:
        if not self.broken:
            yield "  every rule held"
        yield from (f"  BROKEN: {each}" for each in self.broken)


def _of(faults: Mapping[str, int], harm: Harm) -> dict[str, int]:
    """By command."""
    head = f"{harm} "
    return {name.removeprefix(head): many for name, many in faults.items() if name.startswith(head)}
