"""The signed time: where it stands, how it is written, and how old it may be."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.core.outcomes import Refusal
from gateway.core.template import Reference

NUMBER: Final = re.compile(rb"[0-9]{1,15}")  # int() would also take ' +1_0 ' and other digits
ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})"
)
MILLISECONDS_FROM: Final = 100_000_000_000  # as seconds the year 5138, as milliseconds 1973
LONGEST: Final = 64
HTTP_DATE: Final = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} "
    r"[0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|UTC|[+-][0-9]{4})"
)
PLAUSIBLE: Final[tuple[float, ...]] = (1e9, 1e10)  # seconds: from 2001 to 2286


@dataclass(frozen=True, slots=True)
class Timestamp:
    """`place` None: beside the signature. `unit`: s, ms, auto (by size), iso8601 or http-date.
    `tolerance` in seconds; None: the provider says none, and its retries may carry the first time."""

    place: Reference | None
    unit: str = "s"
    tolerance: float | None = 300.0

    def judge(self, ts: bytes, now: float) -> Refusal | None:
        """Whether `ts` is a time within the tolerance of `now` (Unix seconds)."""
        sent = seconds_of(ts, self.unit)
        if sent is None:
            return Refusal.MALFORMED_TIMESTAMP
        if self.tolerance is None:
            # Where time and body are signed without anything between them, a digit moved from one to
            # the other leaves the signature good: a time of any age must at least be of our days.
            earliest, latest = PLAUSIBLE
            return None if earliest <= sent < latest else Refusal.MALFORMED_TIMESTAMP
        if now - sent > self.tolerance:
            return Refusal.STALE_TIMESTAMP
        return Refusal.FUTURE_TIMESTAMP if sent - now > self.tolerance else None

    def write(self, now: float) -> bytes:
        """`now` as this provider writes it."""
        moment = datetime.fromtimestamp(now, UTC)
        match self.unit:
            case "ms":
                return str(int(now * 1000)).encode()
            case "iso8601":
                return moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
            case "http-date":
                return moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
        return str(int(now)).encode()


def seconds_of(ts: bytes, unit: str) -> float | None:
    """The written time in Unix seconds; None for what is none."""
    if len(ts) > LONGEST:
        return None
    if unit in ("iso8601", "http-date"):
        return _from_date(ts, unit)
    if not NUMBER.fullmatch(ts):
        return None
    number = int(ts)
    in_ms = unit == "ms" or (unit == "auto" and number >= MILLISECONDS_FROM)
    return number / 1000 if in_ms else float(number)


def _from_date(ts: bytes, unit: str) -> float | None:
    try:
        text = ts.decode("ascii")
        moment = _from_http_date(text) if unit == "http-date" else _from_iso(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.timestamp() if moment and moment.tzinfo else None


def _from_http_date(text: str) -> datetime | None:
    """The parser alone passes over letters before the date."""
    return parsedate_to_datetime(text) if HTTP_DATE.fullmatch(text) else None


def _from_iso(text: str) -> datetime | None:
    found = ISO.fullmatch(text)
    # Some send nanoseconds, which Python does not read; a fraction of a second decides nothing here.
    return datetime.fromisoformat(text.replace(found[1] or ".", "", 1)) if found else None
