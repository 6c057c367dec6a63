"""The faults, each with what is expected of it."""

from typing import Final

from tests.chaos.sick.fail_overs import (
    failed_over,
    handed_over,
    primary_hung,
    primary_killed,
    replica_hung,
    replica_killed,
)
from tests.chaos.sick.fault import Fault, Place
from tests.chaos.sick.strikes import (
    again_and_again,
    demoted,
    disk_full,
    emptied,
    half_open,
    hung,
    killed,
    loading,
    password_changed,
    setting,
    slow_fsync,
)

AWAY: Final = frozenset({"no_answer", "unreachable"})
OVER: Final = AWAY | {"read_only", "too_few_replicas", "loading"}

FAULTS: Final = (
    Fault("hung", hung, "503 or spool in time", reasons=AWAY, problem="no_answer"),
    Fault(
        "killed and started again",
        killed,
        "503 or spool",
        reasons=AWAY | {"loading"},
        problem="unreachable",
    ),
    Fault("loading", loading, "503 or spool", reasons=AWAY | {"loading"}, problem="loading"),
    Fault("slow fsync: 0.4 s each", slow_fsync, "slower, or 503 or spool", reasons=AWAY),
    Fault(
        "out of memory",
        setting("maxmemory", "1", "0"),
        "503 or spool; what is open ends",
        reasons=frozenset({"out_of_memory", "memory_short"}),
        problem="maxmemory",
    ),
    Fault(
        "maxmemory-policy changed",
        setting("maxmemory-policy", "allkeys-lru", "noeviction"),
        "noticed within a minute",
        problem="maxmemory-policy",
    ),
    Fault(
        "appendfsync changed",
        setting("appendfsync", "everysec", "always"),
        "noticed within a minute",
        problem="appendfsync",
    ),
    Fault(
        "appendonly changed",
        setting("appendonly", "no", "yes"),
        "noticed within a minute",
        problem="appendonly",
    ),
    Fault("SCRIPT FLUSH, ten a second", again_and_again("SCRIPT", "FLUSH"), "nothing is noticed"),
    Fault(
        "CLIENT KILL, ten a second",
        again_and_again("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
        "503 or spool at times",
        reasons=AWAY,
    ),
    Fault(
        "password changed",
        password_changed,
        "503 or spool",
        reasons=AWAY | {"access_denied"},
        problem="access_denied",
    ),
    Fault(
        "made a replica",
        demoted,
        "503 or spool",
        reasons=AWAY | {"read_only"},
        problem="role",
    ),
    Fault(
        "started on an empty disk",
        emptied,
        "said loudly",
        reasons=AWAY,
        problem="data_lost",
        loses=True,
        repeats=True,
    ),
    Fault(
        "half-open connections",
        half_open,
        "503 or spool once each",
        place=Place.RELAY,
        reasons=AWAY,
    ),
    Fault(
        "disk full, always",
        disk_full,
        "the server ends itself; 503 or spool",
        place=Place.SMALL_DISK,
        reasons=AWAY | {"loading"},
        problem="unreachable",
    ),
    Fault(
        "disk full, everysec",
        disk_full,
        "503 or spool",
        place=Place.EVERYSEC,
        reasons=AWAY | {"disk_fault"},
        problem="disk_fault",
    ),
    Fault(
        "replica hung",
        replica_hung,
        "503 or spool",
        place=Place.REPLICATED,
        reasons=frozenset({"too_few_replicas"}),
    ),
    Fault(
        "replica killed",
        replica_killed,
        "503 or spool",
        place=Place.REPLICATED,
        reasons=frozenset({"too_few_replicas"}),
        problem="replicas",
    ),
    *(
        Fault(
            f"{name}{' (not replicated)' if place is Place.ASYNC else ''}",
            strike,
            "503 or spool until the other leads",
            place=place,
            seconds=0.0,
            reasons=OVER,
            over=failed_over,
            repeats=True,
            loses=place is Place.ASYNC,
        )
        for place in (Place.SENTINEL, Place.ASYNC)
        for name, strike in (
            ("primary killed", primary_killed),
            ("primary hung", primary_hung),
            ("primary handed over", handed_over),
        )
    ),
)
