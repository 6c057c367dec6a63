"""How a request ended, and what the ledger is asked before one can end."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.event import Arrival, Event
from gateway.core.outcomes import Absence, Acceptance, Ignored, Outcome, Overload, Refusal
from gateway.core.reply import Reply, ReplyTemplate
from gateway.core.source import Source
from gateway.core.verification import VerifiedRequest


class Ending(NamedTuple):
    """How a request ended, with what the log line and the response need.

    `acceptances` are the ledger's answers to `events`, in order; none for what it was not asked.
    `filtered` names the conditions that kept an event from somebody (see `core/routing.py`).
    """

    outcome: Outcome
    refusal: Refusal | None = None
    events: tuple[Event, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    reply: Reply | None = None
    retry_after: float | None = None
    key_index: int | None = None
    quarantined: bool = False
    filtered: tuple[str, ...] = ()
    absence: Absence | None = None
    overload: Overload | None = None

    @property
    def reason(self) -> str:
        """Of a closed list, for logs and metrics; empty where the outcome says it all."""
        if self.outcome is Outcome.IGNORED and self.filtered:
            return Ignored.FILTERED
        return str(self.refusal or self.absence or self.overload or self.acceptance or "")

    @property
    def event(self) -> Event | None:
        """The first one, which stands for all in the log."""
        return self.events[0] if self.events else None

    @property
    def acceptance(self) -> Acceptance | None:
        """`accepted` when anything was stored now, else what became of the first one."""
        if Acceptance.ACCEPTED in self.acceptances:
            return Acceptance.ACCEPTED
        return self.acceptances[0] if self.acceptances else None


class Asked(NamedTuple):
    """What the ledger has to be asked for a request that needs nobody else. `since` is of
    `time.monotonic`."""

    verified: VerifiedRequest
    source: Source
    events: tuple[Event, ...]
    arrivals: list[Arrival]
    filtered: tuple[str, ...]
    since: float

    def ending(self, outcome: Outcome, answers: Sequence[Acceptance] = ()) -> Ending:
        return Ending(
            outcome,
            events=self.events,
            acceptances=tuple(answers),
            filtered=self.filtered,
            reply=_acknowledgement(self.verified, self.source),
            key_index=self.verified.key_index,
        )

    def answered(self, answers: Sequence[Acceptance]) -> Ending:
        return self.ending(_outcome(answers), answers)


def _outcome(answers: Sequence[Acceptance]) -> Outcome:
    return Outcome.ACCEPTED if Acceptance.ACCEPTED in answers else Outcome.DUPLICATE


def _acknowledgement(verified: VerifiedRequest, source: Source) -> Reply | None:
    """The answer, where it says something of the request; None: it is the same every time."""
    template = source.acknowledgement
    if not isinstance(template, ReplyTemplate):
        return None
    return template.render(verified.fields, source.known)
