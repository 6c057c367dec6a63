"""What an earlier release has stored runs under this one: `ledgers/` has some, dumped key by key.

Each holds what a deploy can meet: deliveries that are pending (with a bell, and without), waiting for
the next attempt, leased by a worker that is gone, done, dead, and a line of two.
"""

import base64
import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis
from rq import SimpleWorker

from gateway import jobs
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.worker.suspects import Way
from gateway.adapters.worker.worker import HooklineWorker
from gateway.core.outcomes import Acceptance
from gateway.plugins import Event
from tests.adapters.ledger_rig import LOOK, Rig, a_delivery
from tests.adapters.worker_rig import a_processor, an_app, drain

LEDGERS: Final = sorted((Path(__file__).parent / "ledgers").glob("*.json"))
OPEN: Final = ("first", "leased", "pending", "second", "unrung", "waiting")


@pytest.fixture(params=LEDGERS, ids=lambda path: path.stem)
def rig(request: pytest.FixtureRequest, redis: "Redis") -> Iterator[Rig]:
    """The server as that release has left it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for kind, key, value in json.loads(request.param.read_text()):
        restore(redis, kind, base64.b64decode(key), value)
    yield Rig(redis)
    for number, handler in before.items():
        signal.signal(number, handler)


def restore(redis: "Redis", kind: str, key: bytes, value: Any) -> None:
    decode = base64.b64decode
    match kind:
        case "string":
            redis.set(key, decode(value))
        case "hash":
            redis.hset(key, mapping={decode(name): decode(each) for name, each in value})
        case "zset":
            redis.zadd(key, {decode(member): score for member, score in value})
        case "list":
            redis.rpush(key, *map(decode, value))
        case "set":
            redis.sadd(key, *map(decode, value))
        case "stream":
            for entry, pairs in value:
                redis.xadd(key, {decode(name): decode(each) for name, each in pairs}, id=entry)


@pytest.fixture(params=["hookline worker", "rq worker"])
def seen(
    request: pytest.FixtureRequest, rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> list[Event]:
    """All that was run until nothing was open any more."""
    found: list[Event] = []

    def remember(event: Event) -> None:
        found.append(event)

    names = ("archive", "record")
    app = an_app(*(a_processor(remember, name=name) for name in names), look_interval=0.001)
    monkeypatch.setattr(jobs, "_application", lambda: app)
    jobs._client.cache_clear()
    # What was cut off runs in a process of its own else, which does not know our processors.
    monkeypatch.setattr(HooklineWorker, "_way_of", lambda *_: Way.BESIDE)
    rig.pass_time(LOOK)
    for _ in OPEN:
        rig.sweep()
        if request.param == "rq worker":
            work = SimpleWorker(["github"], connection=rig.redis, serializer="json")
            work.work(burst=True, logging_level="ERROR")
        else:
            drain(app, redis_url)
    return found


def test_all_that_an_earlier_release_left_open_runs_to_its_end_once(
    rig: Rig, seen: list[Event]
) -> None:
    assert Counter(event.provider_id for event in seen) == Counter(OPEN)
    rows = {value: rig.row(a_delivery(value)) for value in OPEN}
    assert {row.state for row in rows.values()} == {"done"}
    assert {value: row.attempts for value, row in rows.items() if row.attempts != 1} == {
        "leased": 2,
        "waiting": 2,
    }
    assert {(event.body, event.headers["X-GitHub-Event"]) for event in seen} == {(b"{}", "push")}
    order = [event.provider_id for event in seen if event.processor == "record"]
    assert order == ["first", "second"]


def test_what_an_earlier_release_has_answered_is_a_duplicate_and_its_dead_come_back(rig: Rig) -> None:
    known = [Acceptance.DONE, Acceptance.PENDING, Acceptance.PENDING]
    assert rig.accept("done", "pending", "leased") == known
    assert rig.run(ledger.replay([a_delivery("dead")])) == ["replayed"]
