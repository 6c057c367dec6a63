"""Why the server took nothing, from what redis-py raised. The same words in logs, metrics and docs."""

from typing import Final

from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.core.outcomes import Absence


class TooFewReplicas(RedisError):  # noqa: N818 - an outcome
    """It was written, and fewer replicas than were asked for have confirmed that in time."""


KINDS: Final[tuple[tuple[type[Exception], Absence], ...]] = (
    (TooFewReplicas, Absence.TOO_FEW_REPLICAS),
    (BusyLoadingError, Absence.LOADING),
    (AuthenticationError, Absence.ACCESS_DENIED),
    (NoPermissionError, Absence.ACCESS_DENIED),
    (RedisTimeoutError, Absence.NO_ANSWER),
    (TimeoutError, Absence.NO_ANSWER),
)
# By the word with which a server's error begins. Before Redis 7 it stands inside, after the script's
# name; redis-py takes it away where it has a class of its own for it.
WORDS: Final = (
    ("OOM", Absence.OUT_OF_MEMORY),
    ("used memory >", Absence.OUT_OF_MEMORY),
    ("MISCONF", Absence.DISK_FAULT),
    ("READONLY", Absence.READ_ONLY),
    ("read only replica", Absence.READ_ONLY),
    ("previous master is now a slave", Absence.READ_ONLY),
    ("cannot be used with replica", Absence.READ_ONLY),
    ("UNBLOCKED", Absence.READ_ONLY),  # what waited for a replica was made one itself
    ("NOAUTH", Absence.ACCESS_DENIED),
    ("WRONGPASS", Absence.ACCESS_DENIED),
    ("LOADING", Absence.LOADING),
)


def absence_of(error: BaseException) -> Absence:
    """Of a RedisError or an OSError."""
    for kind, absence in KINDS:
        if isinstance(error, kind):
            return absence
    said = str(error)
    for word, absence in WORDS:
        if word in said:
            return absence
    away = isinstance(error, RedisConnectionError | OSError)
    return Absence.UNREACHABLE if away else Absence.SERVER_ERROR
