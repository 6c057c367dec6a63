"""While Redis is away: what is answered with a 200 lies on disk, and once it is back, in the ledger."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from gateway.adapters.spool.slots import survey
from tests.e2e.deployments import BATCHED, SIGNED, event, processors, settings, signed, stripe
from tests.e2e.ledger_view import LedgerView
from tests.e2e.redis_server import RedisServer, die, hang, run_full
from tests.e2e.rig import SECRET, Deployment, Gateway, in_time, until
from tests.e2e.wire import Answer, hmac_hex

LATEST: Final = 1.5  # seconds
AT_ONCE: Final = 0.5
MANY: Final = 40
CALLERS: Final = 16
SPOOLING: Final = "spool = true" + SIGNED
SOURCES: Final = {
    "shop": SPOOLING,
    "limited": 'rate_limit = "1/day"\n' + SPOOLING,
    "batched": "spool = true" + BATCHED,
    "plain": SIGNED,
    "picky": SPOOLING,
    "github": 'preset = "github"\nsecrets = ["env:SECRET"]\n',
    "stripe": 'preset = "stripe"\nsecrets = ["env:SECRET"]\n',
}


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as running:
        yield running


def deployment(root: Path, *spool: str, sources: dict[str, str] = SOURCES) -> Deployment:
    wishes = [(name, "push" if name == "picky" else "*") for name in sources]
    table = "\n".join(("\n[spool]", f'directory = "{root / "spool"}"', *spool))
    return Deployment(root, sources, settings(redis="") + table, {"nothing": processors(*wishes)})


@contextmanager
def away(redis: RedisServer, how: Callable[[RedisServer], Callable[[], None]] = die) -> Iterator[None]:
    come_back = how(redis)
    try:
        yield
    finally:
        come_back()


def send(gateway: Gateway, event_id: str, source: str = "shop", kind: str = "push") -> Answer:
    body = event(kind, id=event_id)
    return gateway.send(f"/hooks/{source}", body, signed(body, event_id))


def send_github(gateway: Gateway, event_id: str) -> Answer:
    body = event(id=event_id)
    proof = ("X-Hub-Signature-256", f"sha256={hmac_hex(SECRET, body)}")
    names = [("X-GitHub-Event", "push"), ("X-GitHub-Delivery", event_id)]
    return gateway.send("/hooks/github", body, [proof, *names])


def send_many(gateway: Gateway, ids: list[str], sending: Callable[..., Answer] = send) -> list[Answer]:
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(lambda each: sending(gateway, each), ids))


def some_ids(many: int = MANY) -> list[str]:
    return [str(uuid4()) for _ in range(many)]


def assert_stored_once(redis: RedisServer, ids: list[str], source: str = "shop") -> None:
    with redis.client() as client:
        ledger = LedgerView(client)
        until(lambda: all(ledger.stored(source, each) for each in ids), what="all in the ledger")
        assert {len(ledger.bells(source, each)) for each in ids} == {1}
        assert ledger.events(source) == len(ids)


def kept(gateway: Gateway) -> int:
    return sum(survey(gateway.deployment.root / "spool").requests.values())


def metric(gateway: Gateway, line: str) -> bool:
    return line in gateway.metrics().splitlines()


@pytest.mark.parametrize("go_away", [die, hang, run_full])
def test_what_a_sender_without_retries_sends_in_an_outage_is_stored_once_after_it(
    tmp_path: Path, redis_server: RedisServer, go_away: Callable[[RedisServer], Callable[[], None]]
) -> None:
    ids: list[str] = []
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway:

        def all_are_answered_in_time() -> bool:
            ids.extend(more := some_ids())
            answers = send_many(gateway, more, send_github)
            assert {answer.status for answer in answers} == {200}
            return max(answer.seconds for answer in answers) < LATEST

        with away(redis_server, go_away):
            assert in_time(all_are_answered_in_time)
            until(lambda: len(gateway.logs("request.spooled", source="github")) == len(ids))
            assert kept(gateway) == len(ids)
        assert_stored_once(redis_server, ids, "github")
        until(lambda: kept(gateway) == 0)
        drained = until(lambda: gateway.logs("spool.drained"))
        assert sum(line["requests"] for line in drained) == len(ids)
        total = 'hookline_spool_requests_total{{result="{}",source="github"}} {}.0'
        until(lambda: metric(gateway, total.format("drained", len(ids))))
        assert metric(gateway, total.format("kept", len(ids)))


def test_only_the_first_request_of_an_outage_waits_for_a_redis_that_hangs(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with (
        Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway,
        away(redis_server, hang),
    ):
        assert send(gateway, "first").seconds > AT_ONCE
        assert in_time(lambda: max(send(gateway, each).seconds for each in some_ids(10)) < AT_ONCE)


def test_a_gateway_whose_spool_takes_writes_is_ready_and_tells_what_is_wrong(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway:
        until(lambda: gateway.get("/readyz").body == b'{"ready":true,"problems":[]}')
        with away(redis_server):
            until(lambda: b"redis" in gateway.get("/readyz").body)
            for admin in (False, True):
                answer = gateway.get("/readyz", admin=admin)
                assert (answer.status, b'"ready":true' in answer.body) == (200, True)
            send(gateway, "one")
            assert metric(gateway, 'hookline_spool_events{source="shop"} 1.0')
            assert "hookline_redis_up 0.0" in gateway.metrics()


@pytest.mark.parametrize("source", ["plain", "stripe"])
def test_a_source_without_a_spool_answers_503_as_ever(
    tmp_path: Path, redis_server: RedisServer, source: str
) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway, away(redis_server):
        if source == "stripe":
            answer = gateway.send("/hooks/stripe", event(), stripe(event()))
        else:
            answer = send(gateway, "one", "plain")
        assert (answer.status, "retry-after" in answer.headers, kept(gateway)) == (503, True, 0)


def test_what_is_forged_or_unwanted_is_not_kept(tmp_path: Path, redis_server: RedisServer) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway, away(redis_server):
        assert gateway.send("/hooks/shop", b"{}", signed(b"{}", secret="x" * 40)).status == 401
        assert send(gateway, "unwanted", "picky", "star").status == 200
        gateway.await_log("request.ignored", source="picky")
        assert kept(gateway) == 0


def test_a_rate_limit_is_not_charged_in_an_outage(tmp_path: Path, redis_server: RedisServer) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway:

        def all_are_answered_in_time() -> bool:
            answers = [send(gateway, each, "limited") for each in ("a", "b", "c")]
            assert {answer.status for answer in answers} == {200}
            return max(answer.seconds for answer in answers) < LATEST

        with away(redis_server, hang):
            assert in_time(all_are_answered_in_time)
        assert_stored_once(redis_server, ["a", "b", "c"], "limited")


def test_a_batch_comes_back_whole(tmp_path: Path, redis_server: RedisServer) -> None:
    body = b'{"events": [{"id": "1", "type": "a"}, {"id": "2",  "type": "b"}]}'
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway:
        with away(redis_server):
            assert gateway.send("/hooks/batched", body, signed(body)).status == 200
        assert_stored_once(redis_server, ["1", "2"], "batched")


def test_a_repeat_during_and_after_the_outage_is_one_event(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway:
        assert send(gateway, "before").status == 200
        with away(redis_server):
            for each in ("before", "twice", "twice"):
                assert send(gateway, each).status == 200
        until(lambda: kept(gateway) == 0)
        assert send(gateway, "twice").status == 200
        assert_stored_once(redis_server, ["before", "twice"])


def test_a_full_spool_answers_503_and_is_not_ready_until_there_is_room(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Gateway(deployment(tmp_path, "max_events = 3"), redis_server.url, outages=True) as gateway:
        with away(redis_server):
            statuses = [send(gateway, each).status for each in "abcde"]
            assert statuses == [200, 200, 200, 503, 503]
            until(lambda: gateway.get("/readyz").status == 503)
        assert_stored_once(redis_server, ["a", "b", "c"])
        until(lambda: gateway.get("/readyz").status == 200)
        result = 'hookline_spool_requests_total{result="full",source="shop"} 2.0'
        until(lambda: metric(gateway, result))


def test_nothing_that_was_answered_200_is_lost_when_the_gateway_is_killed_in_an_outage(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """Three times over; the last one starts while Redis is still away."""
    acknowledged: list[str] = []
    sending = deployment(tmp_path)
    redis_server.kill()
    for _ in range(3):
        with Gateway(sending, redis_server.url, outages=True) as gateway:
            goal = len(acknowledged) + 30
            threads = [threading.Thread(target=send_on, args=(gateway, acknowledged)) for _ in range(8)]
            for thread in threads:
                thread.start()
            until(lambda: len(acknowledged) >= goal, what="some answers")  # noqa: B023
            gateway.signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with Gateway(sending, redis_server.url, outages=True) as gateway:
        assert gateway.get("/readyz").status == 200
        assert kept(gateway) >= len(acknowledged)
        redis_server.start()
        until(lambda: kept(gateway) == 0)
    with redis_server.client() as client:
        ledger = LedgerView(client)
        assert [each for each in acknowledged if not ledger.stored("shop", each)] == []
        assert {len(ledger.bells("shop", each)) for each in acknowledged} == {1}


def send_on(gateway: Gateway, acknowledged: list[str]) -> None:
    """Until nobody answers any more."""
    with suppress(OSError):
        while True:
            name = str(uuid4())
            status = send(gateway, name).status
            if status == 0:
                return
            if status == 200:
                acknowledged.append(name)


def test_a_restart_finds_what_was_kept_and_sigterm_loses_nothing(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    ids = some_ids()
    waiting = deployment(tmp_path)
    redis_server.kill()
    with (
        Gateway(waiting, redis_server.url, outages=True) as gateway,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        calls = {each: pool.submit(send, gateway, each) for each in ids}
        until(lambda: kept(gateway) > 0)
        assert gateway.stop() == 0
        answered = []
        for each, call in calls.items():
            with suppress(OSError):
                answered += [each] if call.result().status == 200 else []
    redis_server.start()
    assert answered
    with Gateway(waiting, redis_server.url, outages=True) as gateway:
        until(lambda: kept(gateway) == 0)
    with redis_server.client() as client:
        assert all(LedgerView(client).stored("shop", each) for each in answered)


def test_a_source_that_is_gone_keeps_its_requests_until_it_is_back(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway, away(redis_server):
        assert send(gateway, "one").status == 200
        gateway.signal(signal.SIGKILL)
        gateway.process.wait()
    (tmp_path / "config" / "sources" / "shop.toml").unlink()
    others = {name: text for name, text in SOURCES.items() if name != "shop"}
    with Gateway(deployment(tmp_path, sources=others), redis_server.url, outages=True) as gateway:
        gateway.await_log("spool.source_missing", source="shop", requests=1)
        assert kept(gateway) == 1
        with away(redis_server):
            assert send_github(gateway, "another").status == 200
        until(lambda: kept(gateway) == 1)
        assert_stored_once(redis_server, ["another"], "github")
    with Gateway(deployment(tmp_path), redis_server.url, outages=True):
        assert_stored_once(redis_server, ["one"])


def test_processes_of_one_gateway_have_a_file_each_and_what_is_left_behind_is_drained(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    ids = some_ids()
    waiting = deployment(tmp_path)
    redis_server.kill()
    with Gateway(waiting, redis_server.url, "--workers", "3", outages=True) as gateway:
        until(lambda: len(survey(tmp_path / "spool").files) == 3)
        assert {answer.status for answer in send_many(gateway, ids)} == {200}
        assert kept(gateway) == MANY
    redis_server.start()
    with Gateway(waiting, redis_server.url, outages=True) as gateway:
        until(lambda: kept(gateway) == 0)
        until(lambda: len(survey(tmp_path / "spool").files) == 1)
    assert_stored_once(redis_server, ids)


def test_no_disk_is_touched_while_redis_answers(tmp_path: Path, redis_server: RedisServer) -> None:
    with Gateway(deployment(tmp_path), redis_server.url, outages=True) as gateway:
        until(lambda: kept(gateway) == 0 and gateway.get("/readyz").status == 200)
        before = states(tmp_path / "spool")
        assert {answer.status for answer in send_many(gateway, some_ids())} == {200}
        assert states(tmp_path / "spool") == before


def states(directory: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of each file; a look leaves its mark in the shared memory's."""
    files = [path for path in directory.iterdir() if not path.name.endswith("-shm")]
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
