"""What a scrape shows: counted in processes, added up in Redis, labelled from configuration only."""

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.exceptions import RedisError

from gateway import __version__
from gateway.adapters.http.counters import BUCKETS, Counters
from gateway.adapters.http.metrics import Snapshot, read_snapshot, render
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.outcomes import Outcome
from tests.adapters.edge_rig import Rig as EdgeRig
from tests.adapters.ledger_rig import Rig, a_source, an_event

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
GITHUB = (("github", "github"),)


def parsed(text: bytes) -> Series:
    """Every sample by name and labels, as Prometheus' own parser reads them."""
    families = text_string_to_metric_families(text.decode())
    samples = [sample for family in families for sample in family.samples]
    series = {(each.name, tuple(sorted(each.labels.items()))): each.value for each in samples}
    assert len(series) == len(samples), "one series twice"
    return series


def scrape(url: str, sources: Iterable[tuple[str, str]] = GITHUB) -> Series:
    async def read() -> Snapshot:
        async with async_client(url, 20.0) as client:
            return await read_snapshot(client, Keys(), sources)

    return parsed(render(asyncio.run(read())))


def flush(url: str, *counted: Counters) -> None:
    async def main() -> None:
        async with async_client(url, 20.0) as client:
            for each in counted:
                await each.flush(client, Keys())

    asyncio.run(main())


def counters(*requests: tuple[str, Outcome, str, float]) -> Counters:
    counted = Counters()
    for each in requests:
        counted.request(*each)
    return counted


def series(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"hookline_{name}", tuple(sorted(labels.items()))


def requests(source: str, outcome: str, reason: str = "") -> tuple[str, tuple[tuple[str, str], ...]]:
    return series("requests_total", source=source, outcome=outcome, reason=reason)


def test_without_redis_it_says_so_and_nothing_else() -> None:
    assert parsed(render(None)) == {
        series("build_info", version=__version__): 1,
        series("redis_up"): 0,
    }


def test_an_empty_deployment_shows_zeros_for_what_is_configured(redis_url: str) -> None:
    found = scrape(redis_url)
    assert found[series("redis_up")] == 1
    assert found[series("open_deliveries", source="github")] == 0
    assert found[series("dead_letters", source="github")] == 0
    assert found[series("queue_depth", queue="github")] == 0
    assert found[series("oldest_waiting_seconds", queue="github")] == 0
    assert found[series("workers")] == found[series("workers_suspended")] == 0


def test_several_gateways_add_up_and_a_restart_loses_nothing(redis_url: str) -> None:
    for _ in range(3):
        one = counters(("github", Outcome.ACCEPTED, "accepted", 0.004))
        two = counters(("", Outcome.REFUSED, "unknown_source", 0.0001))
        flush(redis_url, one, two)
    found = scrape(redis_url)
    assert found[requests("github", "accepted", "accepted")] == 3
    assert found[requests("unknown", "refused", "unknown_source")] == 3


def test_nothing_is_counted_twice(redis_url: str) -> None:
    counted = counters(("github", Outcome.ACCEPTED, "accepted", 0.004))
    flush(redis_url, counted, counted, counted)
    assert scrape(redis_url)[requests("github", "accepted", "accepted")] == 1


def test_what_could_not_be_flushed_is_kept_for_the_next_time(redis_url: str) -> None:
    counted = counters(("github", Outcome.UNAVAILABLE, "", 1.2))
    with pytest.raises(RedisError):
        flush("redis://127.0.0.1:1/0", counted)
    counted.request("github", Outcome.UNAVAILABLE, "", 1.2)
    flush(redis_url, counted)
    assert scrape(redis_url)[requests("github", "unavailable")] == 2


def test_the_time_of_requests_is_a_cumulative_histogram(redis_url: str) -> None:
    times = [0.0005, 0.001, 0.003, 0.2, 9.0]
    flush(redis_url, counters(*(("github", Outcome.ACCEPTED, "", each) for each in times)))
    found = scrape(redis_url)

    def bucket(bound: str) -> float:
        return found[series("request_duration_seconds_bucket", source="github", le=bound)]

    assert [bucket(bound) for bound in ("0.001", "0.0025", "0.005", "0.25", "2.5", "+Inf")] == [
        *(2, 2, 3, 4, 4, 5)
    ]
    bounds = [bucket(str(bound)) for bound in BUCKETS]
    assert bounds == sorted(bounds)
    assert found[series("request_duration_seconds_count", source="github")] == 5
    total = found[series("request_duration_seconds_sum", source="github")]
    assert total == pytest.approx(sum(times), abs=1e-5)


def test_deliveries_are_shown_open_queued_and_dead(redis_url: str, redis: "Redis") -> None:
    rig = Rig(redis)
    rig.bury("dead")
    rig.accept("1", "2", "3")
    rig.run_one()
    found = scrape(redis_url)
    assert found[series("open_deliveries", source="github")] == 3
    assert found[series("queue_depth", queue="github")] == 2
    assert found[series("dead_letters", source="github")] == 1
    assert found[series("dead_lettered_total", source="github", reason="exhausted")] == 1
    attempts = series("attempts_total", source="github", processor="archive", outcome="failed")
    assert found[attempts] == 1


def test_known_content_under_a_new_id_is_counted(redis_url: str, redis: "Redis") -> None:
    rig = Rig(redis)
    for value in "123":
        rig.run(ledger.accept([(an_event(value, content="same"), a_source(), ["archive"])]))
    found = scrape(redis_url)
    assert found[series("replayed_events_total", source="github")] == 2
    assert found[series("open_deliveries", source="github")] == 1


def test_the_oldest_waiting_delivery_tells_how_long_nobody_came(redis_url: str, redis: "Redis") -> None:
    rig = Rig(redis)
    rig.accept("old")
    rig.pass_time(90_000)
    rig.accept("new")
    oldest = series("oldest_waiting_seconds", queue="github")
    assert 90 <= scrape(redis_url)[oldest] < 100
    rig.run_one()  # the old one is under way now
    assert scrape(redis_url)[oldest] < 10


def test_one_that_nobody_has_touched_waits_since_it_was_received(
    redis_url: str, redis: "Redis"
) -> None:
    rig = Rig(redis)
    rig.accept("1")
    rig.redis.hset(rig.keys.event(an_event("1").id), "r", rig.now() - 90_000)
    assert 90 <= scrape(redis_url)[series("oldest_waiting_seconds", queue="github")] < 100


def test_a_delivery_whose_bell_was_lost_waits_too(redis_url: str, redis: "Redis") -> None:
    rig = Rig(redis)
    rig.accept("1")
    redis.delete(rig.keys.queue("github"))
    rig.pass_time(2_000_000 + 60_000)  # beyond the next look
    assert 60 <= scrape(redis_url)[series("oldest_waiting_seconds", queue="github")] < 70


def test_jobs_of_others_in_the_queue_do_not_disturb(redis_url: str, redis: "Redis") -> None:
    redis.rpush(Keys().queue("github"), b"\xff\xfe", "somebody-elses-job")
    found = scrape(redis_url)
    assert found[series("queue_depth", queue="github")] == 2
    assert found[series("oldest_waiting_seconds", queue="github")] == 0


def test_sources_may_share_a_queue(redis_url: str) -> None:
    found = scrape(redis_url, [("a", "all"), ("b", "all")])
    assert series("open_deliveries", source="b") in found
    assert found[series("queue_depth", queue="all")] == 0


def test_a_suspended_worker_pool_is_shown(redis_url: str, redis: "Redis") -> None:
    redis.set("rq:suspended", 1)
    assert scrape(redis_url)[series("workers_suspended")] == 1


def test_callers_cannot_make_a_new_series(redis_url: str) -> None:
    edge = EdgeRig()
    for number in range(1000):
        edge.call((b"x-token", b"%d" % number), path=f"/hooks/{number}", method="POST")
    flush(redis_url, edge.counters)
    found = [key for key in scrape(redis_url) if key[0] == "hookline_requests_total"]
    assert found == [requests("unknown", "refused", "unknown_source")]


def test_fields_that_nobody_knows_are_left_out(redis_url: str, redis: "Redis") -> None:
    """Left by another version, for instance."""
    redis.hset(Keys().counters, mapping={"requests|a|b": 1, "new": 2, "attempts|a|b|c|d": 3})
    found = scrape(redis_url)
    assert not [key for key in found if key[0].endswith("_total")]


def test_how_full_the_memory_is_can_be_alarmed_on(redis: "Redis", redis_url: str) -> None:
    used = int(redis.info("memory")["used_memory"])
    redis.config_set("maxmemory", 2 * used)
    try:
        assert 0.4 < scrape(redis_url)[series("redis_memory_ratio")] < 0.8
    finally:
        redis.config_set("maxmemory", 0)
