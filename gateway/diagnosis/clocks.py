"""Times: too old, from the future, in another unit. Only asked of a proof that holds."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.core.fields import Fields
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.message_signature import MessageSignatureScheme
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.structured import inner_lists, integer
from gateway.core.schemes.timestamp import seconds_of
from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import exchanged, innermost, stamped

UNITS: Final = {
    "s": "in seconds",
    "ms": "in milliseconds",
    "iso8601": "as a date (ISO 8601)",
    "http-date": "as a date (as HTTP has it)",
    "auto": "in seconds or milliseconds",
}
LATEST: Final = 253_402_300_799  # the end of the year 9999
HOUR: Final = 3600


def clocks(case: Case) -> Iterator[Suspicion]:
    """Each is sure when the same proof holds at the time it was made, or in another unit."""
    yield from _units(case)
    for made, tolerance in times(case):
        yield _skewed(case, made, tolerance)


def times(case: Case) -> list[tuple[float, float | None]]:
    """When it was signed by its own word, in Unix seconds, and the tolerance."""
    fields = Fields(case.request)
    found: list[tuple[float, float | None]] = []
    for inner in innermost(case.scheme):
        if isinstance(inner, SignatureScheme) and inner.timestamp:
            unit, tolerance = inner.timestamp.unit, inner.timestamp.tolerance
            told = [seconds_of(each, unit) for each in stamped(inner, fields)]
            found += [(each, tolerance) for each in told if each is not None]
        elif isinstance(inner, JwtScheme):
            claims = inner.unverified_claims(fields) or {}
            found += [(each, inner.max_age or inner.leeway) for each in _claimed(claims)]
        elif isinstance(inner, MessageSignatureScheme):
            found += [(each, inner.tolerance) for each in _created(fields)]
    return [each for each in found if 0 <= each[0] <= LATEST]


def _claimed(claims: dict[str, Any]) -> list[float]:
    """A moment at which the token was good."""
    told = [claims.get(name) for name in ("iat", "nbf", "exp")]
    sound = [
        float(each)
        for each in told
        if isinstance(each, int | float) and not isinstance(each, bool) and abs(each) < LATEST
    ]
    return [each for each in dict.fromkeys(sound) if math.isfinite(each)]


def _created(fields: Fields) -> list[float]:
    lists = inner_lists(fields.request.headers.one(b"signature-input") or b"") or {}
    told = [integer(each.params.get(b"created")) for each in lists.values()]
    return [float(each) for each in told if each is not None]


def _units(case: Case) -> Iterator[Suspicion]:
    for inner in innermost(case.scheme):
        if isinstance(inner, SignatureScheme) and inner.timestamp:
            for unit, name in UNITS.items():
                if unit != inner.timestamp.unit:
                    timestamp = replace(inner.timestamp, unit=unit)
                    changed = exchanged(case.scheme, inner, replace(inner, timestamp=timestamp))
                    text = f"The time is written {name}, not {UNITS[inner.timestamp.unit]}."
                    mend = "Send it as the provider does; or this is another version of its webhooks."
                    yield Suspicion(Code.TIME_UNIT, replace(case, scheme=changed), text, mend)


def _skewed(case: Case, made: float, tolerance: float | None) -> Suspicion:
    away, at = case.now - made, utc(case.now)
    most = f", and {span(tolerance)} is allowed" if tolerance is not None else ""
    changed = replace(case, now=made)
    if away >= 0:
        text = f"The proof is right but {span(away)} old: signed {utc(made)}, judged {at}{most}."
        mend = (
            "To explain an old capture, say when it came: --at. Else something held it back (a queue, a"
            " proxy that repeats), or our clock is fast: `timedatectl`."
        )
        return Suspicion(Code.STALE, changed, text, mend)
    zone = ", whole hours: a time zone was mixed in" if round(-away) % HOUR == 0 else ""
    text = (
        f"The proof is right but {span(-away)} ahead of our clock: signed {utc(made)}, judged"
        f" {at}{most}{zone}."
    )
    mend = "Set this machine's clock by NTP (`timedatectl`); if it is right, the sender's is fast."
    return Suspicion(Code.CLOCK_BEHIND, changed, text, mend)


def span(seconds: float) -> str:
    """For people: 3 d 4 h, 2 h 5 min, 45 s."""
    whole = round(seconds)
    parts = [
        (whole // 86400, "d"),
        (whole // 3600 % 24, "h"),
        (whole // 60 % 60, "min"),
        (whole % 60, "s"),
    ]
    told = [f"{many:,} {unit}" for many, unit in parts if many]
    return " ".join(told[:2]) or "0 s"


def utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"


def is_plausible(seconds: float) -> bool:
    """From 2005, before which there were no webhooks, to 2100."""
    return 1_104_537_600 <= seconds <= 4_102_444_800
