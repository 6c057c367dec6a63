"""How a quarantine is released: asked for, watched, and told as counts in and counts out."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gateway.cli.shared.exits import FAILED, INTERRUPTED, UNAVAILABLE, fail
from gateway.cli.shared.orders import agree
from gateway.cli.shared.printing import counted, note, print_json
from gateway.cli.shared.progress import Patience, progress
from gateway.cli.shared.server import url_or_exit
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.adapters.ledger.refused_reader import RefusedReader
    from gateway.cli.shared.desk import Desk
    from gateway.core.source import Source
    from gateway.refusals import Judged

REQUESTS: Final = ("request", "requests")
OUT: Final = ("accepted", "duplicate", "ignored", "handshake")
COLUMNS: Final = ("source", "in", *OUT, "refused", "left")
WHY: Final = {
    "rate_limited": (FAILED, "Beyond the source's rate_limit"),
    "unavailable": (UNAVAILABLE, "Redis did not answer in time"),
    "interrupted": (INTERRUPTED, "Interrupted"),
}


@dataclass(slots=True)
class Tally:
    """Of one source: how many were in the quarantine, and what became of them."""

    source: str
    many: int
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, page: "Sequence[Judged]") -> None:
        self.outcomes.update(each.outcome.value for each in page)
        self.reasons.update(each.reason for each in page if each.reason)

    @property
    def released(self) -> int:
        return sum(self.outcomes[word] for word in OUT)

    @property
    def facts(self) -> dict[str, Any]:
        refused = self.reasons.total()
        counts = {word: self.outcomes[word] for word in OUT}
        ends = {"refused": refused, "left": self.many - self.released}
        return {"source": self.source, "in": self.many} | counts | ends


def release(
    desk: "Desk",
    store: "RefusedReader",
    waiting: "Mapping[str, tuple[Source, Sequence[str]]]",
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> NoReturn:
    """Does it and exits: whatever ends it, what was done is told."""
    tallies = [Tally(name, len(ids)) for name, (_, ids) in waiting.items()]
    total = sum(each.many for each in tallies)
    agree("release", total, REQUESTS, yes=yes or dry_run)
    with Patience() as clock, progress("release", total) as advance:

        def watch(tally: Tally, page: "Sequence[Judged]") -> None:
            tally.add(page)
            advance(len(page))

        work = _work(desk, store, waiting, tallies, clock.stopped, watch, dry_run=dry_run)
        trouble = asyncio.run(work)
    _tell(tallies, total, trouble, dry_run=dry_run, as_json=as_json)


async def _work(
    desk: "Desk",
    store: "RefusedReader",
    waiting: "Mapping[str, tuple[Source, Sequence[str]]]",
    tallies: Sequence[Tally],
    stopped: Callable[[], bool],
    watch: "Callable[[Tally, Sequence[Judged]], None]",
    *,
    dry_run: bool,
) -> str:
    """Why it ended before the end; empty when it did not. A source that is beyond its quota does not
    keep the others waiting."""
    from redis.exceptions import RedisError

    from gateway.adapters.http.lasting import Lasting
    from gateway.adapters.http.quota import RedisQuota
    from gateway.adapters.ledger.redis_clients import async_client
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.refusals import Release, rehearsing, releasing
    from gateway.wiring import build_deployment

    url = url_or_exit(desk.app)
    client = async_client(url, desk.app.config.settings.redis.timeout)
    lasting = Lasting.of(client, Keys(desk.app.prefix))
    ingest = build_deployment(desk.app, url, lasting).ingest
    receive = (rehearsing if dry_run else releasing)(ingest).receive
    trouble = ""
    try:
        for tally in tallies:
            source, ids = waiting[tally.source]
            async for page in Release(store, receive, stopped, dry_run).take(source, ids):
                watch(tally, page)
            if stopped():
                return "interrupted"
            if tally.outcomes["unavailable"]:
                return "unavailable"
            trouble = "rate_limited" if tally.outcomes["rate_limited"] else trouble
    except RedisError:
        return "unavailable"
    finally:
        if isinstance(ingest.quota, RedisQuota):
            await ingest.quota.aclose()
        await lasting.aclose()
        await client.aclose()
    return trouble


def _tell(
    tallies: Sequence[Tally], total: int, trouble: str, *, dry_run: bool, as_json: bool
) -> NoReturn:
    facts = [each.facts for each in tallies]
    if as_json:
        print_json(facts)
    else:
        print_table(COLUMNS, [[each[name] for name in COLUMNS] for each in facts])
    released = sum(each.released for each in tallies)
    reasons = sum((each.reasons for each in tallies), Counter[str]())
    stay = ", ".join(f"{many} {reason}" for reason, many in reasons.most_common())
    verb = "would be released; nothing was done" if dry_run else "released"
    said = f"{released} of {counted(total, *REQUESTS)} {verb}." + (
        f" Still refused: {stay}." if stay else ""
    )
    if trouble:
        status, why = WHY[trouble]
        fail(status, f"{why}: the rest stays in quarantine; the same command goes on.\n{said}")
    note(said)
    sys.exit(0 if released == total else FAILED)
