"""A server that Sentinel looks after: its URL, and clients that follow it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.http.quota import RedisQuota
from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.redis_clients import async_client, blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.adapters.ledger.sentinel_url import SentinelUrl, sentinel_url
from gateway.cli.shared.server import safe_url
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance
from gateway.ports import Unavailable
from tests.adapters.ledger_rig import GITHUB, LOOK, a_source, an_event
from tests.chaos.servers import Pair, Sentinel
from tests.e2e.rig import until

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
HOSTS = st.from_regex(r"[a-z][a-z0-9.-]{0,10}|\[[0-9a-f:]{2,10}\]", fullmatch=True)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(HOSTS, st.integers(0, 65535)), min_size=1, max_size=3),
    *(WORDS, st.none() | WORDS, st.none() | WORDS, st.integers(0, 15), st.booleans()),
)
def test_reads_what_was_written(
    hosts: list[tuple[str, int]],
    name: str,
    user: str | None,
    password: str | None,
    database: int,
    tls: bool,
) -> None:
    login = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}@"
    places = ",".join(f"{host}:{port}" for host, port in hosts)
    scheme = "rediss+sentinel" if tls else "redis+sentinel"
    found = sentinel_url(f"{scheme}://{login}{places}/{quote(name, safe='')}/{database}")
    bare = tuple((host.strip("[]"), port) for host, port in hosts)
    assert found == SentinelUrl(bare, name, database, user, password, tls=tls)


def test_what_is_left_out_is_as_usual() -> None:
    assert sentinel_url("redis+sentinel://a,[::1]/shop") == SentinelUrl(
        (("a", 26379), ("::1", 26379)), "shop"
    )


def test_sentinels_may_have_a_login_of_their_own() -> None:
    url = "redis+sentinel://u:p%40@a:1/shop?sentinel_username=s&sentinel_password=x%2Fy"
    found = sentinel_url(url)
    assert found
    assert (found.password, found.sentinel_username, found.sentinel_password) == ("p@", "s", "x/y")
    assert "p@" not in repr(found)
    assert "x/y" not in repr(found)
    assert "x%2Fy" not in safe_url(url)


@pytest.mark.parametrize("url", ["redis://a/0", "rediss://a", "unix:///tmp/a.sock", "nonsense"])
def test_other_urls_are_none_of_it(url: str) -> None:
    assert sentinel_url(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://a:26379", "the name of the server"),
        ("redis+sentinel://a:26379/", "the name of the server"),
        ("redis+sentinel:///shop", "names the hosts"),
        ("redis+sentinel://a,,b/shop", "names the hosts"),
        ("redis+sentinel://:secret@a:port/shop", "the port of a sentinel is no number"),
        ("redis+sentinel://a/shop/one", "the database is no number"),
        ("redis+sentinel://a/shop?db=1", "sentinel_password and sentinel_username only, not db"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        sentinel_url(url)
    assert "secret" not in str(error.value)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, Sentinel]]:
    root: Path = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        pair = stack.enter_context(Pair(root))
        sentinel = stack.enter_context(Sentinel(root / "sentinel", pair.primary))
        until(sentinel.knows_replicas, what="the sentinel's knowing of a replica")
        yield pair, sentinel


def test_every_client_follows_a_fail_over(watched: tuple[Pair, Sentinel]) -> None:
    pair, sentinel = watched

    async def main() -> None:
        async with (
            async_client(sentinel.url, 20.0) as client,
            aclosing(ScriptLine(client, Keys())) as line,
            aclosing(RedisQuota(sentinel.url, "hookline", 20.0)) as quota,
        ):
            ledger = AsyncLedger(line, look_ms=LOOK)
            await _accept(ledger, "before")
            assert await quota.charge(a_source(rate_limit="1/hour")) is None
            sentinel.hand_over()
            until(lambda: pair.primary.role == "slave", what="the fail-over")
            await _accept(ledger, "after")
            assert pair.replica.ask("EXISTS", Keys().event(an_event("after").id))
            assert await client.get("a") == b"0"

    with blocking_client(sentinel.url, 20.0) as blocking:
        blocking.set("a", "0")
        until(lambda: pair.replica.ask("EXISTS", "a"), what="what the replica is to hand on")
        asyncio.run(main())
        until(lambda: _set(blocking), what="a blocking client's arrival at the new primary")
        assert pair.replica.ask("GET", "a") == b"2"


async def _accept(ledger: AsyncLedger, value: str) -> None:
    async with asyncio.timeout(60):
        while not (answer := await _accepted(ledger, value)):
            await asyncio.sleep(0.05)
    assert answer in (Acceptance.ACCEPTED, Acceptance.PENDING)


async def _accepted(ledger: AsyncLedger, value: str) -> Acceptance | None:
    with suppress(Unavailable):
        return (await ledger.accept([Arrival(an_event(value), ("archive",))], GITHUB))[0]
    return None


def _set(client: Redis) -> bool:
    try:
        return bool(client.set("a", "2"))
    except RedisError:
        return False


def test_sentinels_that_are_away_are_tried_within_the_time_limit() -> None:
    url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/shop"
    with blocking_client(url, 0.3) as client, pytest.raises(RedisError):
        client.ping()
