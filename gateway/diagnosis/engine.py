"""Explains a verdict: tries what could have happened to a request until one change makes it verify.

Nothing here guesses where it can recompute: a suspicion is a finding once the real scheme accepts it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.core.outcomes import Refusal
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.verification import VerifiedRequest
from gateway.diagnosis.bodies import bodies, light_bodies
from gateway.diagnosis.case import LATE_OR_EARLY, Case, Court, Family, Finding, Suspicion
from gateway.diagnosis.clocks import clocks, is_plausible
from gateway.diagnosis.codes import Code
from gateway.diagnosis.digests import digests
from gateway.diagnosis.elsewhere import other_presets, other_sources
from gateway.diagnosis.facts import facts
from gateway.diagnosis.headers import headers
from gateway.diagnosis.schemes import innermost
from gateway.diagnosis.secrets import secrets
from gateway.diagnosis.signed import Signed, hidden, masked, signed
from gateway.diagnosis.tokens import claims, tokens
from gateway.diagnosis.urls import urls
from gateway.diagnosis.words import in_words

# The cheapest and likeliest first. Two changes at once: the first of a pair, and what may follow it.
ALONE: Final[tuple[Family, ...]] = (
    headers, tokens, other_sources, secrets, digests, urls, bodies, claims, other_presets,
)  # fmt: skip
PAIRS: Final[tuple[tuple[Family, tuple[Family, ...]], ...]] = (
    (headers, (tokens, secrets, digests, urls, light_bodies)),
    (urls, (urls, secrets, digests)),
    (bodies, (digests, other_sources, secrets, urls, light_bodies)),
    (other_sources, (headers, digests, urls)),
    (secrets, (digests, tokens)),
)
BOTH: Final = "Only with both changes it verifies."
UNSURE: Final = "Nothing is proven: this source believes whoever knows its URL."


@dataclass(frozen=True, slots=True)
class Explanation:
    """`reason` is None when it is verified. `signed`: what the proof is compared with, as the request
    came; `mended`: what its sender has signed, where that is proven and differs. `matched` is the
    position of the secret that fits, from 0: as it came, or once what was found is mended."""

    verified: bool
    reason: Refusal | None
    scheme: str
    signed: Signed | None
    mended: Signed | None
    secrets: tuple[str, ...]
    matched: int | None = None
    findings: tuple[Finding, ...] = ()
    tries: int = field(default=0, compare=False)


class Answer(NamedTuple):
    """What was found, and the case as it should have been; None when nothing is proven."""

    findings: list[Finding]
    case: Case | None = None


def explain(case: Case, court: Court | None = None) -> Explanation:
    """Pure and total: any bytes in. Nothing in the answer holds a secret or an expected signature."""
    court = court or Court()
    allowed = court.tries
    verdict = court.judge(case)
    reason = None if isinstance(verdict, VerifiedRequest) else verdict
    answer = Answer(_notes(case), case) if reason is None else _why(case, reason, court)
    before, after = signed(case), signed(answer.case) if answer.case else None
    secret = hidden(case)
    return Explanation(
        verified=reason is None,
        reason=reason,
        scheme=_safe(in_words(case.scheme), secret),
        signed=before,
        mended=after if after != before else None,
        secrets=tuple(each.reference for each in case.secrets),
        matched=_matched(case, answer.case, court),
        findings=tuple(
            each._replace(message=_safe(each.message, secret), mend=_safe(each.mend, secret))
            for each in answer.findings
        ),
        tries=allowed - court.tries,
    )


def _matched(case: Case, mended: Case | None, court: Court) -> int | None:
    """Which of the secrets as they are given."""
    if mended is None or mended.secrets != case.secrets:
        return None
    verdict = court.judge(mended)
    positions = [at for at, _ in court.keys(mended)]
    if isinstance(verdict, VerifiedRequest) and verdict.key_index < len(positions):
        return positions[verdict.key_index]
    return None


def _notes(case: Case) -> list[Finding]:
    if any(isinstance(each, UnverifiedScheme) for each in innermost(case.scheme)):
        mend = "Give it a preset or a [verify] table with a secret, if its provider has any proof."
        return [Finding(Code.NOTHING_PROVEN, UNSURE, mend)]
    return []


def _why(case: Case, refusal: Refusal, court: Court) -> Answer:
    if refusal in LATE_OR_EARLY:
        found = _clock(case, court)
    else:
        found = _one_change(case, court)
        found = found if found.case else _two_changes(case, court)
    return found if found.case else Answer(facts(case, refusal, court))


def _one_change(case: Case, court: Court) -> Answer:
    for family in ALONE:
        for suspicion in family(case):
            if court.tired:
                return NOTHING
            if court.holds(suspicion.case):
                return _then_clock([_finding(suspicion)], suspicion.case, court)
    return NOTHING


def _two_changes(case: Case, court: Court) -> Answer:
    for first, followers in PAIRS:
        for one in first(case):
            for two in _followers(one.case, followers):
                if court.tired:
                    return NOTHING
                if court.holds(two.case):
                    both = two._replace(message=f"{two.message} {BOTH}")
                    return _then_clock([_finding(one), _finding(both)], two.case, court)
    return NOTHING


def _followers(case: Case, families: tuple[Family, ...]) -> Iterator[Suspicion]:
    for family in families:
        yield from family(case)


def _then_clock(found: list[Finding], case: Case, court: Court) -> Answer:
    """What else is wrong once that is mended: the time."""
    if isinstance(court.judge(case), VerifiedRequest):
        return Answer(found, case)
    late = _clock(case, court)
    return Answer([*found, *late.findings], late.case or case)


def _clock(case: Case, court: Court) -> Answer:
    """What is wrong with the time, of a proof that holds otherwise."""
    suspicions = list(clocks(case))
    units = [each for each in suspicions if each.code is Code.TIME_UNIT]
    moments = [each for each in suspicions if each.code is not Code.TIME_UNIT]
    for each in (*units, *(each for each in moments if is_plausible(each.case.now))):
        if _verified(each, court):
            return Answer([_finding(each)], each.case)
    for unit in units:
        for each in clocks(unit.case):
            sound = each.code is not Code.TIME_UNIT and is_plausible(each.case.now)
            if sound and _verified(each, court):
                return Answer([_finding(unit), _finding(each)], each.case)
    for each in moments:
        if _verified(each, court):
            return Answer([_finding(each)], each.case)
    return NOTHING


def _verified(suspicion: Suspicion, court: Court) -> bool:
    return isinstance(court.judge(suspicion.case), VerifiedRequest)


def _finding(suspicion: Suspicion) -> Finding:
    return Finding(suspicion.code, suspicion.message, suspicion.mend)


def _safe(text: str, secrets_hidden: list[bytes]) -> str:
    return masked(text.encode("utf-8", "surrogatepass"), secrets_hidden).decode("utf-8", "replace")


NOTHING: Final = Answer([])
