"""While Redis is away: no 2xx, but a 503 in time; when it is back, the gateway goes on by itself."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.deployments import SIGNED, event, processors, settings, signed
from tests.e2e.ledger_view import LedgerView
from tests.e2e.redis_server import RedisServer, die, hang, run_full
from tests.e2e.rig import Deployment, Gateway, in_time, until
from tests.e2e.wire import Answer

CALLERS = 12
LATEST = 1.5  # seconds; Slack gives us three
AT_ONCE = 0.5
SOURCES = {"plain": SIGNED, "limited": 'rate_limit = "1000/day"' + SIGNED}


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


def deployment(root: Path) -> Deployment:
    wishes = [(name, "*") for name in SOURCES]
    return Deployment(root, SOURCES, settings(redis=""), {"nothing": processors(*wishes)})


@pytest.fixture(scope="module")
def behind(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose Redis goes away."""
    with Gateway(
        deployment(tmp_path_factory.mktemp("behind")), redis_server.url, outages=True
    ) as running:
        yield running


def send(gateway: Gateway, source: str, event_id: str) -> Answer:
    body = event(id=event_id)
    return gateway.send(f"/hooks/{source}", body, signed(body, event_id))


@pytest.mark.parametrize("go_away", [hang, die, run_full])
@pytest.mark.parametrize("source", SOURCES)
def test_says_503_in_time_and_recovers_by_itself(
    behind: Gateway,
    redis_server: RedisServer,
    source: str,
    go_away: Callable[[RedisServer], Callable[[], None]],
) -> None:
    """The source with a quota too: that fails open, and then the ledger says no."""
    ids = [f"{source}-{uuid4()}" for _ in range(CALLERS)]

    def all_are_answered_in_time() -> bool:
        with ThreadPoolExecutor(CALLERS + 1) as pool:
            calls = [pool.submit(send, behind, source, each) for each in ids]
            alive = behind.get("/livez")
            answers = [call.result() for call in calls]
        assert (alive.status, {answer.status for answer in answers}) == (200, {503})
        assert all(5 <= int(answer.headers["retry-after"]) <= 10 for answer in answers)
        return max(answer.seconds for answer in answers) < LATEST and alive.seconds < AT_ONCE

    come_back = go_away(redis_server)
    try:
        assert in_time(all_are_answered_in_time)
    finally:
        come_back()
    until(lambda: [send(behind, source, each).status for each in ids] == [200] * CALLERS)
    with redis_server.client() as client:
        ledger = LedgerView(client)
        assert all(ledger.stored(source, each) for each in ids)
        assert {len(ledger.bells(source, each)) for each in ids} == {1}


def test_a_forged_request_is_a_401_all_the_while(behind: Gateway, redis_server: RedisServer) -> None:
    def is_told_at_once() -> bool:
        answer = behind.send("/hooks/limited", b"{}", signed(b"{}", secret="x" * 40))
        assert answer.status == 401
        return answer.seconds < AT_ONCE

    come_back = hang(redis_server)
    try:
        assert in_time(is_told_at_once)
    finally:
        come_back()


def test_is_alive_but_not_ready_until_redis_is_back(behind: Gateway, redis_server: RedisServer) -> None:
    until(lambda: behind.get("/readyz").status == 200)
    come_back = hang(redis_server)
    try:
        until(lambda: behind.get("/readyz").status == 503)
        assert behind.get("/readyz", admin=True).status == 503
        assert in_time(lambda: behind.get("/livez").seconds < AT_ONCE)
        assert "hookline_redis_up 0.0" in behind.metrics()
    finally:
        come_back()
    until(lambda: behind.get("/readyz").status == 200)
    until(lambda: "hookline_redis_up 1.0" in behind.metrics())


@pytest.mark.parametrize("as_a_child", [True, False])
def test_a_gateway_that_starts_during_an_outage_waits_for_its_end(
    tmp_path: Path, as_a_child: bool
) -> None:
    """As one child of several that is replaced meanwhile, and as a process that is restarted."""
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        Gateway(
            deployment(tmp_path), redis.url, sock=sock if as_a_child else None, outages=True
        ) as gateway,
    ):
        assert send(gateway, "limited", "early").status == 503
        assert gateway.get("/readyz").status == 503
        with redis:
            until(lambda: send(gateway, "limited", "early").status == 200)
            until(lambda: gateway.get("/readyz").status == 200)
