"""Who takes what is sent on, and what the answer means."""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from gateway.core.builtin import Forward
from gateway.plugins import Discard, RetryAfter

Pairs = list[tuple[bytes, bytes]]
BUSY: Final = (429, 503)
LONGEST_ASKED: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is looked at of an answer; `retry_after` is the header's text, "" for none."""

    status: int
    retry_after: str = ""


class Receiver(Protocol):
    """Takes POSTs, at one URL."""

    async def post(self, headers: Pairs, body: bytes) -> Answer:
        """Raises ForwardFailed when there is no answer."""


class ForwardFailed(Exception):  # noqa: N818 - an outcome
    """It was not taken. The message tells host and status; never the query, which may hold a token."""


class ReceiverBusy(RetryAfter):
    """The receiver says when it wants to be asked again."""

    def __init__(self, place: str, status: int, seconds: float) -> None:
        super().__init__(seconds)
        self._text = f"{place} answered {status}: again in {seconds:g} s"

    def __str__(self) -> str:
        return self._text


def judge(work: Forward, answer: Answer, now: float) -> None:
    """Returns for a 2xx; else raises what the answer means. `now` in Unix seconds.

    As senders of webhooks do it, every other answer is tried again: a 401 or a 404 is most often a
    deployment under way. 410 means: no more of these.
    """
    place, status = work.target.place, answer.status
    if 200 <= status < 300:
        return
    if status in work.discard_on:
        raise Discard(f"{place} answered {status}")
    asked = retry_after(answer.retry_after, now)
    if status in BUSY and asked is not None:
        raise ReceiverBusy(place, status, asked)
    hint = ", and redirects are not followed: write the last URL" if 300 <= status < 400 else ""
    raise ForwardFailed(f"{place} answered {status}{hint}")


def retry_after(text: str, now: float) -> float | None:
    """The seconds from `now` (Unix seconds) that Retry-After asks for, at most a day; None: nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:20]), LONGEST_ASKED)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(aware.timestamp() - now, 0.0), LONGEST_ASKED)
