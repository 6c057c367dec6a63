"""What became of a delivery, in a form that a failing test explains."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, overload

from gateway.core.delivery import Finish
from gateway.core.event import Event as Stored
from gateway.core.outcomes import AttemptOutcome, DeadReason, DeliveryState
from gateway.core.retry import Dead, Decision, Done, Wait
from gateway.units import duration_text


class Emitted(NamedTuple):
    """An internal event that a processor emitted."""

    type: str
    payload: Any


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """One attempt: when it ran, how it ended and what was decided.

    `error` is the exception's message, `kind` its class, `where` the author's file and line.
    """

    attempt: int
    outcome: AttemptOutcome
    decision: Decision | None
    error: str = ""
    at: datetime | None = None
    kind: str = ""
    where: str = ""
    trace: str = field(default="", repr=False)

    def __str__(self) -> str:
        return (
            f"{self.attempt:>3}  {_clock(self.at)}  {self.outcome.value:<18}{self._why()}{self._then()}"
        )

    def _why(self) -> str:
        said = ": ".join(filter(None, (self.kind, self.error.split("\n")[0])))
        return "  ".join(filter(None, (said, self.where.removeprefix(f"{Path.cwd()}{os.sep}"))))

    def _then(self) -> str:
        match self.decision:
            case Wait(delay):
                return f"  → again in {duration_text(round(delay, 3))}"
            case Dead(reason):
                return f"  → dead: {reason.value}"
        return ""


@dataclass(frozen=True, slots=True, repr=False)
class DeliveryResult(Sequence[AttemptResult]):
    """A delivery from its first attempt to its end; a sequence of its attempts.

    `steps` are what `event.once` recorded, `stored` what became durable with its end.
    """

    processor: str
    event: str
    attempts: tuple[AttemptResult, ...]
    stored: tuple[Stored, ...] = field(default=(), repr=False)
    steps: Mapping[str, Any] = field(default_factory=dict)

    @property
    def emitted(self) -> list[Emitted]:
        return [Emitted(each.type, json.loads(each.body)) for each in self.stored]

    @property
    def outcome(self) -> AttemptOutcome:
        """Of the last attempt."""
        return self.attempts[-1].outcome

    @property
    def state(self) -> DeliveryState:
        """`done` or `dead`."""
        done = isinstance(self.attempts[-1].decision, Done)
        return DeliveryState.DONE if done else DeliveryState.DEAD

    @property
    def dead_reason(self) -> DeadReason | None:
        """None: it is done."""
        decision = self.attempts[-1].decision
        return decision.reason if isinstance(decision, Dead) else None

    @property
    def error(self) -> str:
        """What the last attempt said, if it failed."""
        return self.attempts[-1].error

    def assert_done(self) -> "DeliveryResult":
        """Raises AssertionError that tells every attempt."""
        if self.dead_reason is not None:
            raise AssertionError(f"expected the delivery to be done\n{self}")
        return self

    def assert_dead(self, reason: DeadReason | str | None = None) -> "DeliveryResult":
        """For `reason`, or for any. Raises AssertionError that tells every attempt."""
        if self.dead_reason is None or reason not in (None, self.dead_reason):
            raise AssertionError(f"expected a dead letter{f' ({reason})' if reason else ''}\n{self}")
        return self

    @overload
    def __getitem__(self, index: int) -> AttemptResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[AttemptResult]: ...
    def __getitem__(self, index: int | slice) -> AttemptResult | Sequence[AttemptResult]:
        return self.attempts[index]

    def __len__(self) -> int:
        return len(self.attempts)

    def __repr__(self) -> str:
        last = self.attempts[-1]
        end = f"{self.state.value}{f' ({self.dead_reason})' if self.dead_reason else ''}"
        why = ", ".join(filter(None, (last.error.split("\n")[0], last.where)))
        return f"<{self.processor}: {end} at attempt {last.attempt}{f': {why}' if why else ''}>"

    def __str__(self) -> str:
        """A line for each attempt, and where the last one failed."""
        lines = [f"{self.processor} on {self.event}: {self.state.value}", *map(str, self.attempts)]
        lines += [f"     emitted {each.type}" for each in self.emitted]
        return "\n".join([*lines, self.attempts[-1].trace.rstrip()]).rstrip()


def attempt_result(attempt: int, finish: Finish, at: datetime) -> AttemptResult:
    noted = json.loads(finish.error) if finish.error else {}
    return AttemptResult(
        attempt,
        finish.outcome,
        finish.decision,
        noted.get("message", ""),
        at,
        noted.get("error", ""),
        noted.get("where", ""),
        noted.get("trace", ""),
    )


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""
