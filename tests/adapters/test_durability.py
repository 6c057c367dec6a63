"""Which servers keep what they say they have stored, for which promise."""

from typing import Any

import pytest

from gateway.adapters.ledger.durability import ServerFacts, facts_of, judge, may_pass

SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


def faults(durability: str = "always", version: str = "7.0.15", **changes: str) -> list[str]:
    settings = SAFE | {key.replace("_", "-"): value for key, value in changes.items()}
    return [fault.key for fault in judge(ServerFacts(version, settings), durability)]


def test_a_safe_server_has_no_faults() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("durability", "changes", "found"),
    [
        ("always", {"appendfsync": "everysec"}, ["appendfsync"]),
        ("always", {"appendfsync": "no"}, ["appendfsync"]),
        ("always", {"appendonly": "no"}, ["appendonly"]),
        ("always", {"appendonly": "no", "appendfsync": "no"}, ["appendonly", "appendfsync"]),
        ("everysec", {"appendfsync": "everysec"}, []),
        ("everysec", {"appendfsync": "no"}, ["appendfsync"]),
        ("everysec", {"appendonly": "no"}, ["appendonly"]),
        ("memory", {"appendonly": "no", "appendfsync": "no"}, []),
    ],
)
def test_each_promise_needs_its_settings(
    durability: str, changes: dict[str, str], found: list[str]
) -> None:
    assert faults(durability, **changes) == found


@pytest.mark.parametrize("durability", ["always", "everysec", "memory"])
@pytest.mark.parametrize(
    "policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"]
)
def test_a_server_that_throws_keys_away_keeps_no_promise(durability: str, policy: str) -> None:
    """Also `volatile-*`: without its record a finished event's repeat would be processed again."""
    assert faults(durability, maxmemory_policy=policy) == ["maxmemory-policy"]


@pytest.mark.parametrize(
    ("version", "good"),
    [
        *(("6.2.0", True), ("7.0.15", True), ("8.1", True), ("10.0.1", True), ("9.1.2-rc1", True)),
        *(("6.0.16", False), ("5.0", False), ("0", False), ("", False)),
    ],
)
def test_servers_older_than_6_2_are_refused(version: str, good: bool) -> None:
    assert (faults(version=version) == []) is good


def test_an_unknown_setting_is_no_safe_setting() -> None:
    assert [fault.key for fault in judge(ServerFacts("7.0", {}), "always")] == [
        "appendonly",
        "appendfsync",
    ]


def test_every_fault_says_what_is_wrong_and_how_to_mend_it() -> None:
    weak = ServerFacts(
        "6.0", {"appendonly": "no", "appendfsync": "no", "maxmemory-policy": "allkeys-lru"}
    )
    texts = [str(fault) for fault in judge(weak, "always")]
    assert len(texts) == 4
    assert all("→" in text for text in texts)
    assert "CONFIG SET appendfsync always" in texts[2]
    assert "redis.durability = 'always'" in texts[2]


def test_valkey_says_its_own_version_beside_the_one_it_is_compatible_with() -> None:
    facts = facts_of({"redis_version": "7.2.4", "valkey_version": "9.1.0"}, {"appendonly": "yes"})
    assert facts == ServerFacts("9.1.0", {"appendonly": "yes"})


INFO: dict[str, Any] = {
    "valkey_version": "9.1.0",
    "role": "master",
    "connected_slaves": 2,
    "slave0": {"ip": "a", "state": "online"},
    "slave1": {"ip": "b", "state": "wait_bgsave"},
    "aof_last_write_status": "ok",
    "used_memory": 5,
    "maxmemory": 10,
}


@pytest.mark.parametrize(
    ("changes", "replicas", "found"),
    [
        ({}, 1, []),
        ({}, 2, ["replicas"]),
        ({"connected_slaves": 0}, 1, ["replicas"]),
        ({"role": "slave", "connected_slaves": 0}, 1, ["role"]),
        ({"aof_last_write_status": "err"}, 0, ["aof_last_write_status"]),
        ({"used_memory": 10}, 0, ["maxmemory"]),
        ({"used_memory": 10, "maxmemory": 0}, 0, []),
    ],
)
def test_troubles_of_the_moment_are_told_from_weak_settings(
    changes: dict[str, Any], replicas: int, found: list[str]
) -> None:
    troubles = judge(facts_of(INFO | changes, SAFE), "replicated", replicas)
    assert [each.key for each in troubles] == found
    assert may_pass(troubles)
    weak = judge(facts_of(INFO | changes, SAFE | {"appendfsync": "no"}), "replicated", replicas)
    assert not may_pass(weak)
