"""What is kept of refused requests: a bounded, masked log, and a quarantine that loses nothing."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.refused import LOG, MOST_WAITING, QUARANTINE, Bounds, Refusals
from gateway.adapters.ledger.refused_reader import Place, RefusedReader
from gateway.core.capture import Captured
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes.token import TokenScheme
from gateway.core.source import Source
from gateway.core.template import Reference
from gateway.ports import Unavailable

KEYS = Keys()
DOOR = TokenScheme((Reference("header", "x-door"),))
SHOP = Source("shop", "/hooks/shop", "shop", DOOR, (DOOR.load_key(b"right"),))
FORM = replace(SHOP, name="form", scheme=TokenScheme((Reference("form", "token"),)))
DECOY = replace(SHOP, name="unknown", path="")
MISMATCH = "signature_mismatch"
NOWHERE = "redis://127.0.0.1:1"


def a_request(number: int = 1, body: bytes = b"{}", **headers: bytes) -> InboundRequest:
    pairs = ((b"x-door", b"sesame"), (b"x-request-id", b"%d" % number))
    more = tuple((name.encode(), value) for name, value in headers.items())
    return InboundRequest(
        "POST", "/hooks/shop", b"page=2", Headers(pairs + more), body, "192.0.2.9", 1000.0 + number
    )


class Rig:
    """One process's refusals on a real server, and what an operator reads."""

    def __init__(self, redis: "Redis", url: str) -> None:
        self.redis = redis
        self.url = url
        self.reader = RefusedReader(redis, KEYS)
        self.now = 0.0

    def note(self, *requests: InboundRequest, source: Source = SHOP, **options: Any) -> None:
        async def work() -> None:
            async with async_client(options.pop("url", self.url), 5.0) as client:
                refusals = Refusals(client, KEYS, clock=lambda: self.now, **options)
                for request in requests:
                    refusals.note(request, source, MISMATCH)
                await refusals.aclose()

        asyncio.run(work())

    def quarantine(
        self, *requests: InboundRequest, source: Source = SHOP, **options: Any
    ) -> list[bool]:
        async def work() -> list[bool]:
            async with async_client(options.pop("url", self.url), 5.0) as client:
                refusals = Refusals(client, KEYS, **options)
                calls = [refusals.quarantine(request, source, MISMATCH) for request in requests]
                return await asyncio.gather(*calls)

        return asyncio.run(work())

    def rows(self, *sources: str) -> list[tuple[Place, Any]]:
        return list(self.reader.newest(sources or ("shop",)))

    def bytes(self, store: str, source: str = "shop") -> int:
        return int(self.redis.hget(KEYS.refused_requests(source, store), "bytes") or 0)

    def whole(self, source: str = "shop") -> list[Captured | None]:
        return self.reader.whole(source, self.reader.waiting(source))


@pytest.fixture
def rig(redis: "Redis", redis_url: str) -> Iterator[Rig]:
    yield Rig(redis, redis_url)
    redis.config_set("maxmemory", 0)


# The log


def test_a_noted_request_is_in_the_log_with_its_reason(rig: Rig) -> None:
    rig.note(a_request())
    ((place, refused),) = rig.rows()
    assert (place.store, place.source) == ("refused", "shop")
    captured = refused.captured
    assert (captured.reason, captured.body_size, captured.client) == (MISMATCH, 2, "192.0.2.9")
    assert (captured.received_at, captured.url) == (1001.0, "/hooks/shop?page=2")


def test_no_proof_is_written_into_the_log(rig: Rig) -> None:
    rig.note(a_request(authorization=b"Bearer x", x_other=b"as-long-as-a-secret"))
    rig.note(replace(a_request(body=b"token=sesame"), headers=Headers()), source=FORM)
    hashes: list[Any] = [
        rig.redis.hgetall(KEYS.refused_requests(source)) for source in ("shop", "form")
    ]
    stored = b"".join(value for fields in hashes for value in fields.values())
    assert b"/hooks/shop" in stored
    for secret in (b"sesame", b"Bearer", b"as-long-as"):
        assert secret not in stored


def test_a_logged_body_is_cut_and_says_how_long_it_was(rig: Rig) -> None:
    rig.note(a_request(body=b"x" * 10_000))
    ((place, _),) = rig.rows()
    (refused,) = rig.reader.read([place], bodies=True)
    assert refused
    assert (len(refused.captured.body), refused.captured.body_size) == (LOG.body, 10_000)


def test_a_logged_head_is_bounded_however_long_the_request_made_it(rig: Rig) -> None:
    pairs = tuple((b"x-%d-id" % number, b"y" * 400) for number in range(99))
    request = replace(a_request(), headers=Headers(pairs), query=b"a=1&" * 5000)
    rig.note(request)
    assert rig.bytes("refused") < 16 * 1024


def test_of_the_log_the_oldest_give_way(rig: Rig) -> None:
    for number in range(5):
        rig.note(a_request(number), log=replace(LOG, requests=3))
    ids = [dict(refused.captured.headers)[b"x-request-id"] for _, refused in rig.rows()]
    assert ids == [b"4", b"3", b"2"]
    rig.note(a_request(9), log=replace(LOG, size=1))
    assert len(rig.rows()) == 1


def test_the_log_counts_its_bytes_truly(rig: Rig) -> None:
    for number in range(6):
        rig.note(a_request(number, b"x" * number), log=replace(LOG, requests=4))
    fields: Any = rig.redis.hgetall(KEYS.refused_requests("shop"))
    assert rig.bytes("refused") == sum(
        len(value) for name, value in fields.items() if name.endswith((b":h", b":b"))
    )


def test_the_log_of_a_source_that_is_gone_goes_too(rig: Rig) -> None:
    rig.note(a_request())
    for key in (KEYS.refused("shop"), KEYS.refused_requests("shop")):
        assert 0 < int(rig.redis.pttl(key)) <= LOG.lives * 1000


def test_of_a_flood_a_few_a_second_are_logged_and_the_next_says_how_many_were_left_out(
    rig: Rig,
) -> None:
    async def work() -> None:
        async with async_client(rig.url, 5.0) as client:
            refusals = Refusals(client, KEYS, per_second=2, clock=lambda: rig.now)
            for number in range(50):
                refusals.note(a_request(number), SHOP, MISMATCH)
            refusals.note(a_request(), FORM, MISMATCH)
            rig.now = 1.0
            refusals.note(a_request(50), SHOP, MISMATCH)
            await refusals.aclose()

    asyncio.run(work())
    assert [refused.left_out for _, refused in rig.rows()] == [48, 0, 0]
    assert len(rig.rows("form")) == 1


def test_nothing_is_kept_of_an_unknown_path(rig: Rig) -> None:
    rig.note(a_request(), source=DECOY)
    assert rig.redis.dbsize() == 0


def test_what_could_not_be_written_is_counted_in_the_next_one(rig: Rig) -> None:
    async def work() -> None:
        async with async_client(NOWHERE, 1.0) as away, async_client(rig.url, 5.0) as client:
            refusals = Refusals(away, KEYS)
            refusals.note(a_request(1), SHOP, MISMATCH)
            await refusals.aclose()
            refusals._client = client
            refusals.note(a_request(2), SHOP, MISMATCH)
            await refusals.aclose()

    asyncio.run(work())
    assert [refused.left_out for _, refused in rig.rows()] == [1]


def test_what_waits_to_be_written_is_bounded(rig: Rig) -> None:
    rig.note(*(a_request(number) for number in range(MOST_WAITING + 9)), per_second=10**6)
    assert len(rig.rows()) == min(LOG.requests, MOST_WAITING)


# The quarantine


def test_a_quarantined_request_is_kept_byte_for_byte(rig: Rig) -> None:
    request = a_request(body=bytes(range(256)) * 100)
    assert rig.quarantine(request) == [True]
    (captured,) = rig.whole()
    assert captured
    assert captured.request() == request
    assert (captured.source, captured.reason) == ("shop", MISMATCH)


def test_the_same_request_is_quarantined_once_whenever_it_comes(rig: Rig) -> None:
    again = replace(a_request(), received_at=2000.0)
    assert rig.quarantine(a_request(), again, a_request(2)) == [True, True, True]
    assert rig.quarantine(again) == [True]
    assert [each.received_at for each in rig.whole() if each] == [1001.0, 1002.0]


@pytest.mark.parametrize(
    "bounds", [Bounds(2, 1 << 20, 1 << 20), Bounds(9, 900, 1 << 20)], ids=["requests", "bytes"]
)
def test_a_full_quarantine_keeps_what_it_has_and_says_no(rig: Rig, bounds: Bounds) -> None:
    requests = [a_request(number, b"x" * 200) for number in range(4)]
    assert rig.quarantine(*requests, quarantine=bounds) == [True, True, False, False]
    assert [each.received_at for each in rig.whole() if each] == [1000.0, 1001.0]
    counts: Any = rig.redis.hgetall(KEYS.counters)
    assert counts == {b"quarantine|shop|kept": b"2", b"quarantine|shop|full": b"2"}
    assert rig.quarantine(requests[0], quarantine=bounds) == [True]
    assert rig.quarantine(requests[2], source=FORM, quarantine=bounds) == [True]


def test_the_quarantine_never_ends_by_itself(rig: Rig) -> None:
    rig.quarantine(a_request())
    assert rig.redis.pttl(KEYS.refused("shop", "quarantine")) == -1
    assert QUARANTINE.lives == 0


def test_an_unreachable_server_is_told_as_the_ledger_tells_it(rig: Rig) -> None:
    with pytest.raises(Unavailable):
        rig.quarantine(a_request(), url=NOWHERE)


def test_with_no_memory_left_nothing_is_kept_and_nothing_is_lost_of_what_was(rig: Rig) -> None:
    rig.quarantine(a_request(1))
    rig.note(a_request(1))
    rig.redis.set("ballast", bytes(1 << 20))
    used: Any = rig.redis.info("memory")
    rig.redis.config_set("maxmemory", used["used_memory"] - (1 << 19))
    with pytest.raises(Unavailable):
        rig.quarantine(a_request(2), a_request(3))
    rig.note(a_request(2), log=replace(LOG, requests=1))
    assert [place.quarantined for place, _ in rig.rows()] == [True, False]
    (waiting,) = rig.reader.waiting("shop")
    assert rig.reader.settle("shop", [(waiting, "stale_timestamp")]) == ["refused"]
    assert rig.reader.settle("shop", [(waiting, "")]) == ["discarded"]


def test_a_source_that_was_only_ever_refused_is_known(rig: Rig) -> None:
    rig.quarantine(a_request())
    assert rig.redis.smembers(KEYS.sources) == {b"shop"}


# What operators read and settle


def test_all_sources_are_read_together_the_newest_first(rig: Rig) -> None:
    rig.note(a_request(1), a_request(4))
    rig.quarantine(a_request(2))
    rig.note(a_request(3), source=FORM)
    rows = rig.rows("shop", "form")
    assert [refused.captured.received_at for _, refused in rows] == [1004.0, 1003.0, 1002.0, 1001.0]
    assert [place.quarantined for place, _ in rows] == [False, False, True, False]


def test_a_request_is_found_by_its_id_alone(rig: Rig) -> None:
    rig.note(a_request(1))
    rig.quarantine(a_request(2))
    places = [place for place, _ in rig.rows()]
    ids = [place.id for place in places]
    assert rig.reader.find(("form", "shop"), [*ids, "ref_none"]) == [*places, None]


def test_what_is_settled_is_gone_with_its_bytes_and_a_repeat_of_it_is_missing(rig: Rig) -> None:
    rig.quarantine(a_request(1), a_request(2))
    first, second = rig.reader.waiting("shop")
    assert rig.reader.settle("shop", [(first, ""), (first, ""), (second, "x")]) == [
        "discarded",
        "missing",
        "refused",
    ]
    (left,) = rig.whole()
    assert left
    assert (left.received_at, left.reason) == (1002.0, "x")
    assert rig.reader.settle("shop", [(second, "")]) == ["discarded"]
    assert rig.redis.keys("hookline:quarantine*") == []


def test_what_was_taken_out_meanwhile_is_left_out(rig: Rig) -> None:
    rig.quarantine(a_request(1))
    ids: Sequence[str] = rig.reader.waiting("shop")
    rig.reader.settle("shop", [(each, "") for each in ids])
    assert rig.reader.whole("shop", ids) == [None]
    assert rig.reader.settle("shop", [(ids[0], "late")]) == ["missing"]


def test_a_server_that_is_away_is_told(rig: Rig) -> None:
    with Redis.from_url(NOWHERE) as away, pytest.raises(RedisError):
        RefusedReader(away, KEYS).waiting("shop")
