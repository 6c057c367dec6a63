"""Gathers the books at an epoch's end: from senders, effect log, ledger, spool and logs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.spool.slots import survey
from gateway.core.event import delivery_id, event_id
from tests.adapters.ledger_rig import Rig
from tests.chaos.soak.acts import Acts
from tests.chaos.soak.books import Books, Key, Row, Span, Verdict, judge, runs_of
from tests.chaos.soak.deployment import GRACE_SECONDS, LEASE_SECONDS, REPLY_SECONDS
from tests.chaos.soak.senders import NO_ANSWER, Fleet

AT_ONCE: Final = 5000  # records read in one go
# What a process may end with that meets a fault while it starts: its supervisor starts it again.
UNREACHED: Final = ("redis.exceptions.", "Connection", "TimeoutError")
STALE: Final = "finishes refused as stale"
ENDED: Final = "starts that a fault ended"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an epoch leaves behind. `root` holds the effect log, the logs and the spool."""

    client: "Redis"
    root: Path
    fleet: Fleet
    acts: Acts
    stood_still: list[Span]

    def compare(self) -> tuple[Counter[str], Verdict]:
        """What was counted, and what the books say."""
        rows, replayed = self._rows()
        counted = self._counters()
        verdict = judge(
            Books(
                acknowledged=frozenset(
                    (desk.provider.source, value)
                    for desk in self.fleet.desks
                    for value in desk.values()
                ),
                runs=runs_of((self.root / "effects").read_text().splitlines()),
                rows=rows,
                lives=self.acts.crew.lives,
                away=self.acts.away,
                stood_still=self.stood_still,
                replayed=replayed,
                done=counted["done"],
                crashed=counted["crashed"],
                lease=LEASE_SECONDS,
                reply=REPLY_SECONDS,
                grace=GRACE_SECONDS,
            )
        )
        figures = _figures(self.fleet, verdict, counted)
        verdict.broken += [*self._leftovers(rows), *_odd_answers(self.fleet)]
        for kind in ("gateway", "worker"):
            with (self.root / f"{kind}.log").open(errors="replace") as log:
                found, odd = read_log(log)
            figures.update(found)
            verdict.broken += (f"{kind}.log: {each}" for each in odd)
        return figures, verdict

    def _rows(self) -> tuple[dict[Key, Row], frozenset[Key]]:
        """Of every event that was sent and is there; and which of them were replayed."""
        rows: dict[Key, Row] = {}
        replayed = set()
        sent = [
            (desk.provider.source, desk.provider.value(number))
            for desk in self.fleet.desks
            for number in range(desk.sent)
        ]
        for begin in range(0, len(sent), AT_ONCE):
            some = sent[begin : begin + AT_ONCE]
            ids = [event_id(source, "id", value.encode()) for source, value in some]
            with self.client.pipeline(transaction=False) as pipeline:
                for each in ids:
                    pipeline.hmget(Keys().event(each), "1s", "1f", "1c", "1t", "r")
                replies = pipeline.execute()
            for key, event, (state, *numbers) in zip(some, ids, replies, strict=True):
                if state is not None:
                    fence, crashes, at, came = (int(each or 0) for each in numbers)
                    rows[key] = Row(state.decode(), fence, crashes, (at or came) / 1000)
                    replayed |= {key} if delivery_id(event, 1) in self.acts.replayed else set()
        return rows, frozenset(replayed)

    def _counters(self) -> Counter[str]:
        """How attempts ended, over all sources, as the ledger has counted."""
        found: Counter[str] = Counter()
        counters: Any = self.client.hgetall("hookline:counters")
        for name, many in counters.items():
            words = name.decode().split("|")
            if words[0] == "attempts":
                found[words[-1]] += int(many)
        return found

    def _leftovers(self, rows: dict[Key, Row]) -> Iterator[str]:
        listed = sum(len(Rig(self.client).arrived(each)) for each in self.acts.queues)
        if listed != len(rows):
            yield f"{len(rows)} events are stored, {listed} are listed"
        if aside := survey(self.root / "spool").set_aside:
            yield f"{aside} spooled requests were set aside"


def read_log(lines: Iterable[str]) -> tuple[Counter[str], list[str]]:
    """What is counted in a log, and tracebacks that are not of a server that was away."""
    figures: Counter[str] = Counter({STALE: 0, ENDED: 0})
    odd, inside = [], False
    for line in lines:
        if line.startswith("Traceback"):
            inside = True
        elif inside and not line.startswith(" ") and line.strip():
            inside = False
            if line.startswith(UNREACHED):
                figures[ENDED] += 1
            else:
                odd.append(line.strip())
        elif '"stale":' in line:
            figures[STALE] += 1
    return figures, odd


def _figures(fleet: Fleet, verdict: Verdict, counted: Counter[str]) -> Counter[str]:
    statuses = sum((desk.statuses for desk in fleet.desks), Counter[int]())
    again = sum(desk.acknowledged_twice for desk in fleet.desks)
    return Counter(
        {
            "events sent": sum(desk.sent for desk in fleet.desks),
            "events acknowledged": fleet.acknowledged,
            "  of those after a repeat": sum(desk.after_repeat for desk in fleet.desks),
            "  of those acknowledged twice or more": again,
            "events given up by their sender": sum(desk.given_up for desk in fleet.desks),
            "answers 503": statuses[503],
            "no answer": statuses[NO_ANSWER],
            "stored, and never acknowledged": verdict.stored_unacknowledged,
            "lost": verdict.lost,
            "ends recorded twice": verdict.ended_twice,
            "stale ends accepted": verdict.stale,
            "runs": verdict.runs,
            "  cut off": verdict.cut_off,
            "  extra": verdict.extra.total(),
            "  extra, begun when a later one had begun": verdict.outdated,
            "  extra, and nothing allows it": verdict.unexplained,
            "leases that ran out": counted["crashed"],
        }
    )


def _odd_answers(fleet: Fleet) -> Iterator[str]:
    for desk in fleet.desks:
        odd = {each: many for each, many in desk.statuses.items() if each not in (200, 503, NO_ANSWER)}
        if odd:
            yield f"{desk.provider.source} was answered {odd}"
