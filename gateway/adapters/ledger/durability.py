"""Whether the Redis server keeps what it says it has stored, and whether it can store anything now."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.faults import Fault

MIN_VERSION: Final = (6, 2)
ALWAYS: Final[dict[str, tuple[str, ...]]] = {"appendonly": ("yes",), "appendfsync": ("always",)}
NEEDED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    # `everysec` lost acknowledged writes when the server alone was killed while its disk was slow.
    "always": ALWAYS,
    "replicated": ALWAYS,
    "everysec": {"appendonly": ("yes",), "appendfsync": ("always", "everysec")},
    "memory": {},
}
# `volatile-*` too: they throw away the records of finished events, and a repeat would run again.
KEEPING: Final = "noeviction"
SETTINGS: Final = ("appendonly", "appendfsync", "maxmemory-policy")
SERVER: Final = "server"
PASSING: Final = frozenset({SERVER, "role", "replicas", "aof_last_write_status", "maxmemory"})
"""Keys of faults that may pass by themselves: no reason not to start. `server`: it does not answer."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`full`: its memory is as full as it may become. `replicas` are those that are connected."""

    version: str
    settings: dict[str, str]
    role: str = "master"
    replicas: int = 0
    writing: bool = True
    full: bool = False


def facts_of(info: dict[str, Any], config: dict[str, Any]) -> ServerFacts:
    """From the replies of INFO and CONFIG GET; of what INFO does not say, the best."""
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    settings = {str(key): str(value) for key, value in config.items()}
    most = int(info.get("maxmemory", 0))
    links = (info.get(f"slave{number}") for number in range(int(info.get("connected_slaves", 0))))
    return ServerFacts(
        version,
        settings,
        str(info.get("role", "master")),
        sum(isinstance(each, dict) and each.get("state") == "online" for each in links),
        info.get("aof_last_write_status", "ok") == "ok",
        bool(most) and int(info.get("used_memory", 0)) >= most,
    )


def judge(facts: ServerFacts, durability: str, replicas: int = 0) -> list[Fault]:
    """What keeps this server from the durability that was asked for; empty when nothing does."""
    return [*_weaknesses(facts, durability), *_troubles(facts, replicas)]


def may_pass(faults: Iterable[Fault]) -> bool:
    """Whether all of them may be over without anybody's changing the set-up."""
    return all(fault.key in PASSING for fault in faults)


def _weaknesses(facts: ServerFacts, durability: str) -> Iterator[Fault]:
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if numbers < MIN_VERSION:
        mend = "use Valkey, or Redis 6.2 or newer"
        yield Fault("redis", "version", f"{facts.version} is too old", mend)
    for name, good in NEEDED[durability].items():
        value = facts.settings.get(name, "unknown")
        if value not in good:
            mend = f"CONFIG SET {name} {good[0]} (and in its configuration file)"
            problem = f"is {value!r}; redis.durability = {durability!r} needs {good[0]!r}"
            yield Fault("redis", name, problem, mend)
    policy = facts.settings.get("maxmemory-policy", KEEPING)
    if policy != KEEPING:
        mend = f"CONFIG SET maxmemory-policy {KEEPING} (and in its configuration file)"
        problem = f"is {policy!r}, which throws events or their records away"
        yield Fault("redis", "maxmemory-policy", problem, mend)


def _troubles(facts: ServerFacts, replicas: int) -> Iterator[Fault]:
    if facts.role != "master":
        mend = "let the URL lead to the primary, or name the sentinels: redis+sentinel://HOST:PORT/NAME"
        yield Fault("redis", "role", "this server is a replica, which takes no events", mend)
    elif facts.replicas < replicas:
        problem = f"{facts.replicas} of {replicas} replicas are connected: no event is acknowledged"
        yield Fault("redis", "replicas", problem, "look at the replicas, or ask for fewer")
    if not facts.writing:
        mend = "give its disk room; it goes on by itself"
        yield Fault("redis", "aof_last_write_status", "it cannot write its file", mend)
    if facts.full:
        mend = "raise it, or let workers end what is open"
        yield Fault("redis", "maxmemory", "the memory is full: new events are refused", mend)
