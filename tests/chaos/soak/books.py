"""The comparison: what senders were answered, what processors did, what the ledger has, what was done.

Pure: from values that an epoch has gathered to what was counted and which rules were broken.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

SLACK_SECONDS: Final = 0.02
WORDS: Final = 7  # of a line of the effect log
Key = tuple[str, str]
"""A source and the provider's id."""
Span = tuple[float, float]


@dataclass(slots=True)
class Life:
    """Of one process. Times are Unix seconds, 0.0: never. The last of `stops` may have no end yet."""

    kind: str
    killed: float = 0.0
    told: float = 0.0
    ended: float = 0.0
    stops: list[Span] = field(default_factory=list)

    @property
    def stopped_now(self) -> bool:
        return bool(self.stops) and not self.stops[-1][1]


@dataclass(slots=True)
class Run:
    """One run of a processor; `how`: end, fail, discard, or "" when it was cut off (`ended` 0.0)."""

    fence: int
    pid: int
    parent: int
    started: float
    ended: float = 0.0
    how: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery in the ledger. `crashes`: leases that ran out under it since its last replay; `at`:
    when it came into this state, in seconds by the server's clock, which is ours."""

    state: str
    fence: int
    crashes: int
    at: float


class Cause(StrEnum):
    """Why something ran again, though nobody had asked for it."""

    KILLED = "its worker was killed"
    STOPPED = "its worker stood still"
    AWAY = "the server was away"
    PAST_GRACE = "its worker was told to end, past its grace"
    PAST_LEASE = "its lease could not be renewed"
    STOOD_STILL = "the machine stood still"


@dataclass(frozen=True, slots=True)
class Books:
    """`crashed` and `done`: as the ledger's counters have it, over all sources. `away`: when the server
    was, `stood_still`: when the machine did. `replayed`: what an operator brought back.
    Times in seconds."""

    acknowledged: frozenset[Key]
    runs: Mapping[Key, Sequence[Run]]
    rows: Mapping[Key, Row]
    lives: Mapping[int, Life]
    away: Sequence[Span]
    stood_still: Sequence[Span]
    replayed: frozenset[Key]
    done: int
    crashed: int
    lease: float
    reply: float
    grace: float


@dataclass(slots=True)
class Verdict:
    """`broken` is empty when every rule held. `outdated`: runs that began after a later one had."""

    extra: Counter[Cause] = field(default_factory=Counter)
    runs: int = 0
    cut_off: int = 0
    stored_unacknowledged: int = 0
    lost: int = 0
    ended_twice: int = 0
    stale: int = 0
    outdated: int = 0
    unexplained: int = 0
    broken: list[str] = field(default_factory=list)


def runs_of(lines: Iterable[str]) -> dict[Key, list[Run]]:
    """From the effect log, by time of their start. The last line may be half of one."""
    open_runs: dict[tuple[Key, str, str], Run] = {}
    found: dict[Key, list[Run]] = defaultdict(list)
    for line in lines:
        words = line.split()
        if len(words) != WORDS:
            continue
        source, value, fence, pid, parent, at, phase = words
        key = (source, value)
        if phase == "start":
            run = Run(int(fence), int(pid), int(parent), float(at))
            found[key].append(run)
            open_runs[key, fence, pid] = run
        elif begun := open_runs.pop((key, fence, pid), None):
            begun.ended, begun.how = float(at), phase
    return {key: sorted(own, key=lambda run: run.fence) for key, own in found.items()}


def judge(books: Books) -> Verdict:
    verdict = Verdict()
    lost = sorted(books.acknowledged - books.rows.keys())
    verdict.lost = len(lost)
    verdict.stored_unacknowledged = len(books.rows.keys() - books.acknowledged)
    verdict.broken += (f"{key} was answered 2xx and is not in the ledger: lost" for key in lost)
    unknown = sorted(books.runs.keys() - books.rows.keys())
    verdict.broken += (f"{key} ran and is not in the ledger" for key in unknown)
    for key, row in books.rows.items():
        own = books.runs.get(key, ())
        verdict.runs += len(own)
        verdict.cut_off += sum(not run.how for run in own)
        verdict.broken += _faults_of_end(key, row, own, verdict)
        verdict.broken += _explain(books, key, row, own, verdict)
    verdict.broken += _faults_of_counts(books, verdict)
    return verdict


def _faults_of_counts(books: Books, verdict: Verdict) -> Iterator[str]:
    done = sum(row.state == "done" for row in books.rows.values())
    verdict.ended_twice = max(0, books.done - done)
    if books.done != done:
        yield f"{books.done} ends were recorded as done, of {done} deliveries"
    ran_out = verdict.extra.total() - verdict.extra[Cause.PAST_GRACE]
    if ran_out > books.crashed:
        yield f"{ran_out} extra runs, and {books.crashed} leases ran out"


def _faults_of_end(key: Key, row: Row, own: Sequence[Run], verdict: Verdict) -> Iterator[str]:
    fences = [run.fence for run in own]
    last = next((run for run in own if run.fence == row.fence and run.how == "end"), None)
    if row.state != "done":
        yield f"{key} is {row.state} in the end"
    elif last is None:
        yield f"{key} is done under fence {row.fence}, under which nothing ran to its end"
    elif row.at < last.ended - SLACK_SECONDS:
        verdict.stale += 1
        yield f"{key} was done {last.ended - row.at:.2f} s before its run was: a stale end was accepted"
    if len(set(fences)) != len(fences):
        yield f"{key} ran twice under one fence: {fences}"


def _explain(books: Books, key: Key, row: Row, own: Sequence[Run], verdict: Verdict) -> Iterator[str]:
    """What ran again although the run before had not failed: each needs a fault that allows it."""
    again = [(first, second) for first, second in pairwise(own) if first.how not in ("fail", "discard")]
    if not again:
        return
    verdict.outdated += sum(first.started > second.started for first, second in again)
    causes = [_cause(books, first, second) for first, second in again]
    for cause, (first, second) in zip(causes, again, strict=True):
        if cause is None:
            verdict.unexplained += 1
            yield f"{key} ran again, and nothing allows it: {first}, {second}"
        else:
            verdict.extra[cause] += 1
    ran_out = len(again) - causes.count(Cause.PAST_GRACE)
    if ran_out > row.crashes and key not in books.replayed:
        yield f"{key} ran again {ran_out} times, and {row.crashes} of its leases ran out"


def _cause(books: Books, first: Run, second: Run) -> Cause | None:
    began = min(first.started, second.started) - books.lease
    again = second.started + SLACK_SECONDS
    lives = [books.lives[pid] for pid in (first.pid, first.parent) if pid in books.lives]
    if any(began <= life.killed <= again for life in lives):
        return Cause.KILLED
    if any(_overlaps(began, again, span) for life in lives for span in life.stops):
        return Cause.STOPPED
    if any(life.told and life.told + books.grace <= again for life in lives):
        return Cause.PAST_GRACE
    if any(_overlaps(began, again, span) for span in books.away):
        return Cause.AWAY
    # It is leased from its claim on, whose reply may have come late.
    if again - first.started >= books.lease - books.reply or first.pid not in books.lives:
        return Cause.PAST_LEASE
    if any(_overlaps(began, again, span) for span in books.stood_still):
        return Cause.STOOD_STILL
    return None


def _overlaps(began: float, ended: float, span: Span) -> bool:
    return span[0] <= ended and (not span[1] or span[1] >= began)
