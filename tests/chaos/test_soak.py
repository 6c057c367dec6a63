"""A slice of the soak, and the rules by which it judges; the whole of it: `scripts/chaos soak`."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from gateway.adapters.embedded.binary import find_binary
from gateway.adapters.embedded.server import EmbeddedServer
from tests.chaos.soak.audit import ENDED, STALE, read_log
from tests.chaos.soak.books import Books, Cause, Life, Row, Run, Verdict, judge, runs_of
from tests.chaos.soak.campaign import Options, State, seeds
from tests.chaos.soak.epoch import Epoch
from tests.chaos.soak.outcome import Outcome, Setting
from tests.chaos.soak.plan import Act, plan
from tests.chaos.soak.providers import PROVIDERS
from tests.chaos.soak.senders import Desk
from tests.chaos.soak.table import Totals
from tests.chaos.soak.wire import Harm, Wire, name_of
from tests.chaos.sweep.zygote import Zygote

SLICE = Setting(seed=10, seconds=1.2, level="heavy", gateways=1, workers=1, connections=3)
KEY = ("stripe", "evt_1")
FIRST = Run(1, pid=10, parent=2, started=100.0, ended=100.0, how="end")
BOOKS = Books(
    acknowledged=frozenset({KEY}),
    runs={KEY: [FIRST]},
    rows={KEY: Row("done", 1, 0, 100.0)},
    lives={10: Life("worker"), 11: Life("worker")},
    away=[],
    stood_still=[],
    replayed=frozenset(),
    done=1,
    crashed=0,
    lease=2.0,
    reply=0.5,
    grace=5.0,
)


def test_nothing_is_lost_or_doubled_in_a_short_soak(tmp_path: Path) -> None:
    def tests_something() -> bool:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        root.mkdir()
        with Zygote() as zygote:
            epoch = Epoch(SLICE, root, zygote, find_binary(prefer_bundled=True))
            outcome = asyncio.run(epoch.run())
        assert not outcome.broken, outcome.broken
        return outcome.figures["events acknowledged"] > 20 and outcome.faults.total() > 5

    assert any(tests_something() for _ in range(5))  # in so short a time a busy machine may do nothing


# The books


def ran_again(after: float, **changes: object) -> Books:
    """By another worker, so many seconds later."""
    runs = {
        KEY: [FIRST, Run(2, pid=11, parent=2, started=100.0 + after, ended=100.0 + after, how="end")]
    }
    books = replace(BOOKS, runs=runs, rows={KEY: Row("done", 2, 1, 200.0)}, crashed=1)
    return replace(books, **changes)  # type: ignore[arg-type]  # by name


def broken(books: Books) -> list[str]:
    return judge(books).broken


def test_books_that_agree_break_no_rule() -> None:
    assert judge(BOOKS) == Verdict(runs=1)


@pytest.mark.parametrize(
    ("books", "words"),
    [
        (replace(BOOKS, rows={}, runs={}, done=0), "answered 2xx and is not in the ledger"),
        (replace(BOOKS, rows={}, done=0, acknowledged=frozenset()), "ran and is not in the ledger"),
        (replace(BOOKS, rows={KEY: Row("pending", 1, 0, 100.0)}, done=0), "is pending in the end"),
        (replace(BOOKS, runs={}), "under which nothing ran to its end"),
        (replace(BOOKS, runs={KEY: [FIRST, replace(FIRST, pid=11)]}), "ran twice under one fence"),
        (replace(BOOKS, rows={KEY: Row("done", 1, 0, 99.0)}), "a stale end was accepted"),
        (replace(BOOKS, done=2), "2 ends were recorded as done, of 1"),
        (ran_again(0.1), "nothing allows it"),
        (ran_again(9.0, rows={KEY: Row("done", 2, 0, 200.0)}), "0 of its leases ran out"),
        (ran_again(9.0, crashed=0), "1 extra runs, and 0 leases ran out"),
    ],
)
def test_books_that_differ_break_a_rule(books: Books, words: str) -> None:
    assert any(words in each for each in broken(books)), broken(books)


@pytest.mark.parametrize(
    ("books", "cause"),
    [
        (ran_again(1.0, lives={10: Life("worker", killed=100.5)}), Cause.KILLED),
        (ran_again(1.0, lives={2: Life("worker", killed=100.5)}), Cause.KILLED),  # its parent
        (ran_again(1.0, lives={10: Life("worker", stops=[(99.0, 0.0)])}), Cause.STOPPED),
        (ran_again(6.0, lives={10: Life("worker", told=100.1)}), Cause.PAST_GRACE),
        (ran_again(1.0, away=[(99.0, 100.5)]), Cause.AWAY),
        (ran_again(1.6), Cause.PAST_LEASE),
        (ran_again(1.0, stood_still=[(98.0, 99.5)]), Cause.STOOD_STILL),
    ],
)
def test_a_run_too_many_needs_a_fault_that_allows_it(books: Books, cause: Cause) -> None:
    verdict = judge(books)
    assert (verdict.extra, verdict.broken) == (Counter([cause]), [])


def test_a_worker_that_was_killed_later_explains_nothing() -> None:
    assert broken(ran_again(1.0, lives={10: Life("worker", killed=103.0)}))


def test_a_run_that_began_too_late_is_counted() -> None:
    child = Run(1, pid=99, parent=10, started=109.0, ended=109.0, how="end")
    second = Run(2, pid=11, parent=2, started=103.0, ended=103.0, how="end")
    verdict = judge(ran_again(0.0, runs={KEY: [child, second]}))
    assert (verdict.outdated, verdict.broken) == (1, [])


def test_what_failed_may_run_again_at_once() -> None:
    runs = {KEY: [replace(FIRST, how="fail"), Run(2, 11, 2, 100.1, 100.1, "end")]}
    assert judge(replace(BOOKS, runs=runs, rows={KEY: Row("done", 2, 0, 200.0)})) == Verdict(runs=2)


def test_an_effect_log_may_end_in_the_middle_of_a_line() -> None:
    lines = ["stripe evt_1 1 10 2 100.0 start", "stripe evt_1 1 10 2 100.0 end", "stripe evt_2 1 10"]
    assert runs_of(lines) == {KEY: [FIRST]}


# The plan and the senders


def test_a_seed_decides_which_faults_come_and_when() -> None:
    assert plan(1, 20.0, "usual") == plan(1, 20.0, "usual") != plan(2, 20.0, "usual")
    kinds = {step.what for step in plan(1, 1000.0, "usual")}
    assert kinds == {*Act, *Harm}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.source)
def test_a_sender_repeats_as_often_as_its_provider_and_gives_up(
    provider: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = replace(next(each for each in PROVIDERS if each is provider), copies=1)
    now = 0.0
    monkeypatch.setattr("tests.chaos.soak.senders.time.monotonic", lambda: now)
    desk, requests, job = Desk(simulated), 0, None
    while job := desk.next(fresh=not requests):
        requests += 1
        desk.answered(job, 503)
        now += 10.0
    assert (requests, desk.given_up) == (1 + len(simulated.pauses), 1)
    assert desk.values() == set()


def test_what_runs_twice_in_one_process_is_two_runs() -> None:
    lines = ["stripe evt_1 1 10 2 100.0 start", "stripe evt_1 1 10 2 100.0 end"]
    assert runs_of(lines * 2) == {KEY: [FIRST, FIRST]}


def test_an_echo_comes_after_the_acknowledgement_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("tests.chaos.soak.senders.time.monotonic", lambda: now)
    desk = Desk(next(each for each in PROVIDERS if each.echoes))
    first = desk.next(fresh=True)
    assert first
    desk.answered(first, 200)
    assert desk.next(fresh=False) is None
    now = 10.0
    echo = desk.next(fresh=False)
    assert echo
    desk.answered(echo, 503)
    assert (desk.waiting, desk.given_up) == (0, 0)


def test_what_is_acknowledged_once_stays_acknowledged() -> None:
    desk = Desk(PROVIDERS[-1])
    first, second = desk.next(fresh=True), desk.next(fresh=False)
    assert first
    assert first == second, "two copies, at the same moment"
    desk.answered(first, 200)
    desk.answered(first, 503)
    assert desk.values() == {desk.provider.value(0)}


# The wire


@pytest.mark.parametrize(
    ("harm", "carried_out", "heard"),
    [
        (Harm.BEFORE, False, False),
        (Harm.TORN, False, False),
        (Harm.AFTER, True, False),
        (Harm.DELAY, True, True),
        (Harm.HALF_OPEN, False, False),
    ],
)
def test_a_harmed_command_does_what_it_says(
    server: EmbeddedServer, redis: "Redis", harm: Harm, carried_out: bool, heard: bool
) -> None:
    socket = unquote(server.url.removeprefix("unix://"))

    async def through() -> tuple[bool, Counter[str]]:
        async with Wire(socket, 0.05) as wire:
            client: Redis = Redis(port=wire.port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
            await asyncio.to_thread(client.ping)
            wire.harm(harm)
            answered = await asyncio.to_thread(_tries, lambda: client.set("a", "b"))
            client.close()
            return answered, wire.hits

    answered, hits = asyncio.run(through())
    assert (redis.get("a") == b"b", answered) == (carried_out, heard)
    assert hits == {f"{harm} SET": 1}


def _tries(call: Callable[[], object]) -> bool:
    try:
        return bool(call())
    except RedisError:
        return False


def test_what_does_not_begin_a_command_has_no_name() -> None:
    assert (name_of(b"*1\r\n$4\r\nping\r\n"), name_of(b"rest\r\n")) == ("PING", "?")


def test_opening_a_connection_is_harmed_only_when_asked_for() -> None:
    wire, hello = Wire("", 0.0), b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
    wire.harm(Harm.BEFORE)
    assert wire.take(hello) is None
    assert wire.take(b"*1\r\n$4\r\nPING\r\n") is Harm.BEFORE
    wire.harm(Harm.BEFORE, greeting=True)
    assert wire.take(hello) is Harm.BEFORE


# The logs and the campaign


def test_a_traceback_is_a_fault_of_ours_unless_the_server_was_away() -> None:
    away = ["Traceback (most recent call last):\n", "  File\n", "redis.exceptions.TimeoutError: x\n"]
    ours = ["Traceback (most recent call last):\n", "  File\n", "KeyError: 1\n"]
    figures, odd = read_log([*away, '{"event":"attempt.done","stale":true}\n', *ours])
    assert (figures[ENDED], figures[STALE], odd) == (1, 1, ["KeyError: 1"])


def test_a_campaign_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    state, options = State(tmp_path), Options(5, "light", 30.0)
    state.begin(options)
    outcome = Outcome(SLICE, Counter({"events acknowledged": 7}), Counter({"torn accept": 2}))
    state.add(outcome)
    with (tmp_path / "epochs.jsonl").open("a") as file:
        file.write('{"setting": ')
    again = State(tmp_path)
    assert (again.options(), again.outcomes()) == (options, [outcome])
    again.add(outcome)
    assert State(tmp_path).outcomes() == [outcome, outcome]
    with pytest.raises(FileExistsError):
        again.begin(options)
    assert list(islice(seeds(5), 9)) == list(islice(seeds(5), 9))


def test_a_broken_rule_says_what_repeats_it() -> None:
    totals = Totals([Outcome(SLICE), Outcome(SLICE, broken=["it was lost"])])
    assert "  BROKEN: it was lost" in totals.table(5)
    assert SLICE.command in totals.table(5)
    assert json.loads(totals.as_json({"seed": 5}))["broken"][0] == "it was lost"


def test_every_fault_has_its_row_in_the_table() -> None:
    faults = Counter([*map(str, Act), "torn accept", "torn accept"])
    table = Totals([Outcome(SLICE, faults=faults)]).table(5)
    assert all(str(act) in table for act in Act)
    assert f"{len(Act) + 2:,}" in table.splitlines()[-3]
