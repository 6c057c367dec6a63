"""Flow 2: from a claimed delivery to how its attempt is recorded.

`prepare` turns what was claimed into a call of the author's function; `conclude` turns how that call
ended into a Finish. Who runs the call, in a thread, on an event loop or in a process, is the worker's.
"""

import json
import os
import sysconfig
import traceback
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final

from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Done, RetryPolicy, decide
from gateway.plugins import Defer, Discard, Event, Processor, RetryAfter
from gateway.plugins.lifespan import Lifespan
from gateway.plugins.outbox import Outbox
from gateway.plugins.payload import Payload, PayloadMismatch
from gateway.plugins.steps import MemorySteps, Outdated, Steps, StepsUnavailable

MAX_TRACE: Final = 8000
MAX_MESSAGE: Final = 500
MAX_MISMATCH: Final = 4000
SHORTEST_DEFERRAL: Final = 1.0
NOTHING_OPEN: Final[Mapping[Lifespan, Any]] = MappingProxyType({})
UNSAID: Final = RetryPolicy()
LONGEST_ASKED: Final = 365 * 86400.0
PACKAGE: Final = str(Path(__file__).parent) + os.sep
LIBRARY: Final = sysconfig.get_path("stdlib") + os.sep
INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class AttemptTimeout(BaseException):
    """The attempt took longer than its processor's or source's timeout.

    Put into the author's running code: no Exception, or `except Exception` in a loop would go on.
    """


class NotBegun(Exception):  # noqa: N818 - an outcome
    """The attempt did not come to its processor, and says nothing about it. `origin`: the place."""

    def __init__(self, text: str, origin: str = "") -> None:
        self.origin = origin
        super().__init__(text)


class ProcessorMissing(Exception):  # noqa: N818 - an outcome
    """No processor of that name is registered any more."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery with its processor: call `function(*arguments)`."""

    claimed: Claimed
    processor: Processor
    event: Event
    timeout: float

    def arguments(self, opened: Mapping[Lifespan, Any] = NOTHING_OPEN) -> tuple[Any, ...]:
        """`opened`: what the lifespans gave. Raises PayloadMismatch, and what a transform raises."""
        transform = self.processor.transform
        if transform is not None:
            made = copy_context().run(transform.function, self.event)
            # A cached property keeps its value here: what is in this place is what it gives.
            self.event.__dict__["payload"] = made
        return (self.event, *(self._argument(each, opened) for each in self.processor.takes))

    def _argument(self, wanted: Payload | Lifespan, opened: Mapping[Lifespan, Any]) -> Any:
        event = self.event
        if isinstance(wanted, Lifespan):
            return opened[wanted]
        if self.processor.transform is not None:
            return wanted.from_object(event.payload)
        return wanted.from_body(event.body, lambda: event.payload)


def prepare(
    claimed: Claimed,
    processors: Mapping[str, Processor],
    default_timeout: float,
    policy: RetryPolicy = UNSAID,
    steps: Steps | None = None,
) -> Ready | ProcessorMissing:
    """`default_timeout` in seconds and `policy` are the source's, where the processor says nothing.
    `steps`: where the delivery's are kept; None: in memory.
    """
    processor = processors.get(claimed.processor)
    if processor is None:
        return ProcessorMissing(f"no processor is named {claimed.processor!r}")
    attempts = policy_of(processor, policy).attempts
    event = event_of(claimed, attempts, steps)
    return Ready(claimed, processor, event, processor.timeout or default_timeout)


def policy_of(processor: Processor | None, policy: RetryPolicy) -> RetryPolicy:
    """`policy` is the source's."""
    return processor.retry.over(policy) if processor and processor.retry else policy


def event_of(claimed: Claimed, attempts: int = 0, steps: Steps | None = None) -> Event:
    """What the author sees. A repeated header's values are joined, as HTTP allows."""
    headers: dict[str, str] = {}
    for name, value in claimed.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Event(
        id=claimed.event,
        source=claimed.source,
        type=claimed.type,
        provider_id=claimed.provider_id,
        headers=headers,
        body=claimed.body,
        received_at=datetime.fromtimestamp(claimed.received_ms / 1000, UTC),
        attempt=claimed.attempt,
        fence=claimed.fence,
        processor=claimed.processor,
        attempts=attempts,
        delivery=claimed.delivery,
        steps=steps or MemorySteps(),
    )


OUTCOMES: Final[tuple[tuple[type[BaseException], AttemptOutcome], ...]] = (
    (RetryAfter, AttemptOutcome.RETRY_ASKED),
    (Defer, AttemptOutcome.DEFERRED),
    (Discard, AttemptOutcome.DISCARDED),
    (AttemptTimeout, AttemptOutcome.TIMED_OUT),
    (PayloadMismatch, AttemptOutcome.PAYLOAD_MISMATCH),
    (ProcessorMissing, AttemptOutcome.PROCESSOR_MISSING),
)


# What says nothing about the processor, whatever it gives up on.
NO_FAULT_OF_ITS: Final = (NotBegun, StepsUnavailable, Outdated)


def outcome_of(error: BaseException | None, processor: Processor | None = None) -> AttemptOutcome:
    if error is None:
        return AttemptOutcome.DONE
    for kind, outcome in OUTCOMES:
        if isinstance(error, kind):
            return outcome
    gave_up = processor and not isinstance(error, NO_FAULT_OF_ITS) and processor.gives_up_on(error)
    return AttemptOutcome.GAVE_UP if gave_up else AttemptOutcome.FAILED


def conclude(
    claimed: Claimed,
    error: BaseException | None,
    policy: RetryPolicy,
    *,
    jitter: float,
    seconds: float,
    at: datetime,
    processor: Processor | None = None,
    outbox: Outbox | None = None,
) -> Finish:
    """`policy` is the source's. `jitter` in [0, 1); `seconds` is how long the attempt took, `at` when
    it ended. `outbox` has what the attempt emitted, which counts when it is done.

    Whatever the author's exception is and does, this never raises.
    """
    outcome = outcome_of(error, processor)
    own_policy = policy_of(processor, policy)
    decision = decide(outcome, claimed.attempt, own_policy, jitter, asked_delay(error, at))
    note = describe(claimed, error, outcome, seconds, at) if error else ""
    done = isinstance(decision, Done)
    emitted = outbox.events(at.timestamp()) if outbox and done else ()
    return Finish(claimed.delivery, claimed.fence, decision, outcome, note, emitted)


def asked_delay(error: BaseException | None, now: datetime) -> float | None:
    """What RetryAfter or Defer asks for, in seconds, at most a year; None: no length of time.

    A deferral lasts a second at least: it is no attempt, and would never come to an end.
    """
    seconds = None
    try:
        if isinstance(error, RetryAfter):
            seconds = error.seconds
        elif isinstance(error, Defer):
            seconds = max(error.seconds_from(now), SHORTEST_DEFERRAL)
    except Exception:  # an author's own, which goes round what ours checks
        return None
    if not isinstance(seconds, int | float) or not (seconds <= 0 or seconds > 0):  # NaN is neither
        return None
    return float(min(max(seconds, 0), LONGEST_ASKED))


def describe(
    claimed: Claimed,
    error: BaseException,
    outcome: AttemptOutcome,
    seconds: float,
    at: datetime,
) -> str:
    """What operators read about a failed attempt, as JSON. Kept beside the body, never logged."""
    return json.dumps(
        {
            "attempt": claimed.attempt,
            "outcome": outcome,
            "at": at.isoformat(timespec="milliseconds"),
            "seconds": round(seconds, 4),
            "error": type(error).__name__,
            "message": _message(error),
            "where": where(error),
            "trace": authors_trace(error),
        }
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)[: MAX_MISMATCH if isinstance(error, PayloadMismatch) else MAX_MESSAGE]
    except Exception:  # the author's __str__
        return ""


def where(error: BaseException) -> str:
    """`file:line` of the innermost frame of the author's own code.

    Where all of that is installed, its outermost; of a payload that does not fit, the processor.
    """
    if isinstance(error, PayloadMismatch | NotBegun):
        return error.origin
    return place_in(error.__traceback__)


def place_in(trace: TracebackType | None) -> str:
    """`file:line`, as `where` has it."""
    places = _places(trace)
    return authors_place(trace) or (f"{places[0][0]}:{places[0][1]}" if places else "")


def authors_place(trace: TracebackType | None) -> str:
    """`file:line` of the innermost frame that is neither ours nor a library's; "" without one."""
    own = [f"{file}:{line}" for file, line in _places(trace) if _is_authors(file)]
    return own[-1] if own else ""


def _places(trace: TracebackType | None) -> list[tuple[str, int]]:
    """Files and lines from the outermost on, without this package's."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]
    return [place for place in places if not place[0].startswith(PACKAGE)]


def _is_authors(file: str) -> bool:
    installed = any(part in file for part in INSTALLED)
    return not installed and not file.startswith((LIBRARY, "<frozen"))


def authors_trace(error: BaseException) -> str:
    """The traceback from the author's first frame on."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(PACKAGE):
        frames = frames.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, frames))[-MAX_TRACE:]
    except Exception:  # a SyntaxError made by hand, for one
        return ""
