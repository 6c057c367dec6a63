"""Order, emitted events and steps through real workers: threads, event loop, own process, `rq`."""

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import SimpleWorker

from gateway import jobs
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger import steps as ledger_steps
from gateway.adapters.ledger.kept import unpack
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.steps import StepStore
from gateway.application import Application
from gateway.core.event import INTERNAL
from gateway.plugins import Event, Registry
from gateway.plugins.steps import Outdated, StepsUnavailable
from gateway.routes import build_router
from tests.adapters.ledger_rig import GITHUB, LEASE, LOOK, Rig, a_delivery, an_event
from tests.adapters.worker_rig import a_processor, an_app, drain, in_threads, lines

__all__ = ["in_threads", "lines"]
Work = Callable[[Application], Any]
DEPLOYED: Final = """
from gateway.plugins import Event, Registry

registry = Registry()

@registry.processor(source="github")
def archive(event: Event) -> None:
    charge = event.once("charge", lambda: {"fence": event.fence})
    event.emit("booked", charge)
    if event.fence == 1:
        raise ValueError("after the step, before the end")
"""


@pytest.fixture
def rig(redis: "Redis") -> Iterator[Rig]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Rig(redis)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(params=["hookline", "stock"])
def work(request: pytest.FixtureRequest, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Drains all queues of an application."""

    def hookline(app: Application) -> None:
        drain(app, redis_url)

    def stock(app: Application) -> None:
        monkeypatch.setattr(jobs, "_application", lambda: app)
        jobs._client.cache_clear()
        with Redis.from_url(redis_url) as client:
            worker = SimpleWorker(list(app.queues), connection=client, serializer="json")
            worker.work(burst=True, logging_level="ERROR")

    return hookline if request.param == "hookline" else stock


class Taken:
    """A processor of emitted events that remembers them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def processor(self) -> Any:
        def take(event: Event) -> None:
            self.events.append(event)

        return a_processor(take, source=INTERNAL, events=["booked"])


def accept_through(app: Application, rig: Rig, *values: str, body: bytes = b"{}") -> None:
    """As the gateway does: the routing says who takes it, and in which order."""
    route = build_router(app.processors)
    rows = []
    for value in values:
        event = an_event(value, body=body)
        routing = route(event)
        rows.append((event, GITHUB, routing.processors, routing.turns))
    rig.run(ledger.accept(rows, LOOK))


# Order


def test_a_worker_runs_a_line_one_after_the_other_and_other_lines_beside_it(
    rig: Rig, redis_url: str
) -> None:
    running: dict[str, int] = {"most": 0, "now": 0}
    seen: list[tuple[str, str]] = []
    guard, together = threading.Lock(), threading.Barrier(2)

    def book(event: Event) -> None:
        line = event.payload["line"]
        with guard:
            assert line not in running
            running[line] = 1
            seen.append((line, event.provider_id))
        together.wait(60)  # one of the other line runs now
        with guard:
            del running[line]

    app = an_app(a_processor(book, order_by="line"))
    for number in range(10):
        line = "anna" if number % 2 else "bert"
        accept_through(app, rig, str(number), body=json.dumps({"line": line}).encode())
    drain(app, redis_url)
    for line, odd in (("anna", 1), ("bert", 0)):
        ran = [value for each, value in seen if each == line]
        assert ran == [str(number) for number in range(10) if number % 2 == odd]


def test_a_worker_says_what_was_overtaken(
    rig: Rig, redis_url: str, lines: list[dict[str, Any]]
) -> None:
    def book(event: Event) -> None: ...

    app = an_app(a_processor(book, order_by="header:x-github-event", latest_only=True))
    rows = []
    for value in "12":
        event = an_event(value)
        turns = build_router(app.processors)(event).turns
        rows.append((event, GITHUB, ["book"], turns))
    assert rows[0][3] == ()  # the header has another case: HTTP's is lower by then
    app = an_app(a_processor(book, order_by="type", latest_only=True))
    accept_through(app, rig, "1", "2")
    drain(app, redis_url)
    assert [rig.row(a_delivery(value)).reason for value in "12"] == ["overtaken", ""]
    (line,) = (each for each in lines if each["event"] == "delivery.overtaken")
    assert line["delivery"] == a_delivery("1")


# Emitted events and steps, wherever they run


def test_what_an_attempt_emits_is_taken_once_it_is_done(rig: Rig, work: Work) -> None:
    taken = Taken()

    def book(event: Event) -> None:
        event.emit("booked", {"attempt": event.attempt})
        if event.attempt == 1:
            raise ValueError

    app = an_app(a_processor(book, name="archive"), taken.processor())
    rig.accept("1")
    for _ in range(2):
        work(app)
        rig.pass_time(LOOK)
        rig.sweep()
    work(app)
    (event,) = taken.events
    assert (event.source, event.depth, event.payload) == (INTERNAL, 1, {"attempt": 2})
    assert event.headers["hookline-cause"] == a_delivery("1")


def test_a_recorded_step_does_not_run_again_in_the_next_attempt(rig: Rig, work: Work) -> None:
    calls: list[int] = []
    given: list[Any] = []

    def charge(fence: int) -> int:
        calls.append(fence)
        return fence

    def book(event: Event) -> None:
        given.append(event.once("charge", charge, event.fence))
        if event.fence == 1:
            raise ValueError

    app = an_app(a_processor(book, name="archive"))
    rig.accept("1")
    for _ in range(2):
        work(app)
        rig.pass_time(LOOK)
        rig.sweep()
    assert (calls, given) == ([1], [1, 1])
    assert rig.row(a_delivery("1")).state == "done"
    rig.run(ledger.replay([a_delivery("1")], also_done=True))
    work(app)
    assert (calls, given) == ([1], [1, 1, 1])


def test_a_recorded_step_of_an_async_processor_does_not_hold_the_loop_up(
    rig: Rig, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one waits for its record, the other runs."""
    recording, goes_on = threading.Event(), threading.Event()
    calls: list[str] = []

    async def charge(event: Event) -> str:
        calls.append(event.provider_id)
        return event.provider_id

    async def book(event: Event) -> None:
        if event.provider_id == "other":
            assert await asyncio.to_thread(recording.wait, 60)
            goes_on.set()
        else:
            assert await event.once("charge", charge, event) == "1"
            assert goes_on.is_set()

    class Slow(StepStore):
        def _persist(self, call: Any) -> Any:
            recording.set()
            assert goes_on.wait(60)
            return super()._persist(call)

    app = an_app(a_processor(book, name="archive"))
    rig.accept("1", "other")
    monkeypatch.setattr("gateway.adapters.worker.attempts.StepStore", Slow)
    drain(app, redis_url)
    assert calls == ["1"]
    assert {rig.row(a_delivery(value)).state for value in ("1", "other")} == {"done"}


def test_steps_and_emitted_events_come_out_of_a_process_of_its_own(
    rig: Rig, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = tmp_path / "deployed"
    deployed.mkdir()
    (deployed / "all.py").write_text(DEPLOYED)
    sources = tmp_path / "config" / "sources"
    sources.mkdir(parents=True)
    (sources / "github.toml").write_text(
        '[verify]\nscheme = "unverified"\n[retry]\nattempts = 3\nfirst_delay = "1ms"\n'
    )
    monkeypatch.setenv("HOOKLINE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOOKLINE_PROCESSORS", str(deployed))
    taken = Taken()

    def archive(event: Event) -> None:
        raise AssertionError("it runs in the child")

    app = an_app(a_processor(archive), taken.processor())
    rig.accept("1")
    drain(app, redis_url, isolate=True)
    rig.pass_time(LOOK)
    rig.sweep()
    drain(app, redis_url, isolate=True)
    assert rig.row(a_delivery("1")).state == "done"
    assert rig.redis.hgetall(rig.keys.steps(a_delivery("1"))) == {b"charge": b'{"fence":1}'}
    kept: list[Any] = [rig.redis.get(key) for key in rig.scan("hookline:body:*")]
    assert [unpack(each)[1] for each in kept].count(b'{"fence":1}') == 1


# A ledger that is away, a lease that is lost


def a_store(connect: Callable[[], "Redis"]) -> StepStore:
    return StepStore(connect, Keys())


def test_a_step_whose_run_is_outdated_is_not_recorded(rig: Rig) -> None:
    rig.accept("1")
    stalled = rig.run_one()
    rig.pass_time(LEASE)
    rig.claim(taken=[(a_delivery("1"), "")])
    steps = a_store(lambda: rig.redis).of(stalled.delivery, stalled.fence)
    with pytest.raises(Outdated):
        steps.record("charge", b"1").result(60)
    assert rig.redis.exists(rig.keys.steps(stalled.delivery)) == 0


def test_a_run_that_has_lost_its_lease_stops_at_its_next_step(rig: Rig, redis_url: str) -> None:
    reached: list[str] = []

    def book(event: Event) -> None:
        rig.pass_time(LEASE)
        rig.claim(taken=[(event.delivery, "")])  # another worker, which took this one for dead
        with suppress(Exception):
            event.once("charge", reached.append, "charged")
        reached.append("the next effect")

    rig.accept("1")
    drain(an_app(a_processor(book, name="archive")), redis_url)
    row = rig.row(a_delivery("1"))
    assert (row.state, row.fence, reached) == ("leased", 2, ["charged"])


def test_a_record_waits_for_a_server_that_is_away_but_not_for_ever(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_steps, "PAUSE_SECONDS", 0.01)
    rig.accept("1")
    held = rig.run_one()
    tries: list[int] = []

    def comes_back() -> "Redis":
        tries.append(1)
        if len(tries) < 3:
            raise RedisConnectionError
        return rig.redis

    a_store(comes_back).of(held.delivery, held.fence).record("a", b"1").result(60)
    assert len(tries) == 3
    monkeypatch.setattr(ledger_steps, "RECORD_SECONDS", 0.0)

    def stays_away() -> "Redis":
        raise RedisConnectionError

    with pytest.raises(StepsUnavailable):
        a_store(stays_away).of(held.delivery, 2).load().result(60)


def test_the_first_run_of_all_asks_nobody_for_its_steps() -> None:
    def connect() -> "Redis":
        raise AssertionError("nothing can have been recorded")

    assert a_store(connect).of("dlv_1-1", 1).load().result(0) == {}


# Queues


def test_a_worker_serves_emitted_events_where_somebody_takes_them() -> None:
    registry = Registry()
    registry.processor(source="github")(lambda event: None)
    assert an_app(*registry.processors).queues == ("github",)
    assert an_app(*registry.processors, Taken().processor()).queues == ("github", INTERNAL)
