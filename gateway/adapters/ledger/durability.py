"""Whether the Redis server keeps what it says it has stored."""

from dataclasses import dataclass
from typing import Any, Final

from gateway.faults import Fault

MIN_VERSION: Final = (6, 2)
NEEDED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    # `everysec` lost acknowledged writes when the server alone was killed while its disk was slow.
    "always": {"appendonly": ("yes",), "appendfsync": ("always",)},
    "everysec": {"appendonly": ("yes",), "appendfsync": ("always", "everysec")},
    "memory": {},
}
# `volatile-*` too: they throw away the records of finished events, and a repeat would run again.
KEEPING: Final = "noeviction"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    version: str
    settings: dict[str, str]


def facts_of(info: dict[str, Any], config: dict[str, Any]) -> ServerFacts:
    """From the replies of INFO server and CONFIG GET."""
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    return ServerFacts(version, {str(key): str(value) for key, value in config.items()})


SETTINGS: Final = ("appendonly", "appendfsync", "maxmemory-policy")


def judge(facts: ServerFacts, durability: str) -> list[Fault]:
    """What keeps this server from the durability that was asked for; empty when nothing does."""
    faults = []
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if numbers < MIN_VERSION:
        mend = "use Valkey, or Redis 6.2 or newer"
        faults.append(Fault("redis", "version", f"{facts.version} is too old", mend))
    for name, good in NEEDED[durability].items():
        value = facts.settings.get(name, "unknown")
        if value not in good:
            mend = f"CONFIG SET {name} {good[0]} (and in its configuration file)"
            problem = f"is {value!r}; redis.durability = {durability!r} needs {good[0]!r}"
            faults.append(Fault("redis", name, problem, mend))
    policy = facts.settings.get("maxmemory-policy", KEEPING)
    if policy != KEEPING:
        mend = f"CONFIG SET maxmemory-policy {KEEPING} (and in its configuration file)"
        problem = f"is {policy!r}, which throws events or their records away"
        faults.append(Fault("redis", "maxmemory-policy", problem, mend))
    return faults
