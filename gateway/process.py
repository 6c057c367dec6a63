"""Flow 2: from a claimed delivery to how its attempt is recorded.

`prepare` turns what was claimed into a call of the author's function; `conclude` turns how that call
ended into a Finish. Who runs the call, in a thread, on an event loop or in a process, is the worker's.
"""

import json
import os
import sysconfig
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import RetryPolicy, decide
from gateway.plugins import Discard, Event, Processor, RetryAfter

MAX_TRACE: Final = 8000
LONGEST_ASKED: Final = 365 * 86400.0
PACKAGE: Final = str(Path(__file__).parent) + os.sep
LIBRARY: Final = sysconfig.get_path("stdlib") + os.sep
INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class AttemptTimeout(BaseException):
    """The attempt took longer than its processor's or source's timeout.

    Put into the author's running code: no Exception, or `except Exception` in a loop would go on.
    """


class PayloadMismatch(Exception):  # noqa: N818 - an outcome
    """The body does not fit the model that the processor is annotated with."""

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

    def arguments(self) -> tuple[Any, ...]:
        """Raises PayloadMismatch."""
        processor = self.processor
        if processor.model is None:
            return (self.event,)
        return (self.event, parse_payload(self.event, processor.model, processor.origin))


def prepare(
    claimed: Claimed, processors: Mapping[str, Processor], default_timeout: float
) -> Ready | ProcessorMissing:
    processor = processors.get(claimed.processor)
    if processor is None:
        return ProcessorMissing(f"no processor is named {claimed.processor!r}")
    return Ready(claimed, processor, event_of(claimed), processor.timeout or default_timeout)


def event_of(claimed: Claimed) -> Event:
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
    )


def parse_payload(event: Event, model: type[BaseModel], origin: str = "") -> BaseModel:
    """Raises PayloadMismatch naming field and expectation; never the value, which may be personal."""
    try:
        return model.model_validate_json(event.body)
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)[:10]
        )
        raise PayloadMismatch(f"{model.__name__}: {details}", origin) from None


OUTCOMES: Final[tuple[tuple[type[BaseException], AttemptOutcome], ...]] = (
    (RetryAfter, AttemptOutcome.RETRY_ASKED),
    (Discard, AttemptOutcome.DISCARDED),
    (AttemptTimeout, AttemptOutcome.TIMED_OUT),
    (PayloadMismatch, AttemptOutcome.PAYLOAD_MISMATCH),
    (ProcessorMissing, AttemptOutcome.PROCESSOR_MISSING),
)


def outcome_of(error: BaseException | None) -> AttemptOutcome:
    if error is None:
        return AttemptOutcome.DONE
    for kind, outcome in OUTCOMES:
        if isinstance(error, kind):
            return outcome
    return AttemptOutcome.FAILED


def conclude(
    claimed: Claimed,
    error: BaseException | None,
    policy: RetryPolicy,
    *,
    jitter: float,
    seconds: float,
    at: datetime,
) -> Finish:
    """`jitter` in [0, 1); `seconds` is how long the attempt took, `at` when it ended.

    Whatever the author's exception is and does, this never raises.
    """
    outcome = outcome_of(error)
    decision = decide(outcome, claimed.attempt, policy, jitter, asked_delay(error))
    note = describe(claimed, error, outcome, seconds, at) if error else ""
    return Finish(claimed.delivery, claimed.fence, decision, outcome, note)


def asked_delay(error: BaseException | None) -> float | None:
    """What RetryAfter asks for, in seconds, at most a year; None when that is no length of time."""
    seconds = getattr(error, "seconds", None) if isinstance(error, RetryAfter) else None
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
        return str(error)[:500]
    except Exception:  # the author's __str__
        return ""


def where(error: BaseException) -> str:
    """`file:line` of the innermost frame of the author's own code.

    Where all of that is installed, its outermost; of a payload that does not fit, the processor.
    """
    if isinstance(error, PayloadMismatch):
        return error.origin
    places = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    places = [place for place in places if not place[0].startswith(PACKAGE)]
    chosen = [place for place in places if _is_authors(place[0])][-1:] or places[:1]
    return f"{chosen[0][0]}:{chosen[0][1]}" if chosen else ""


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
