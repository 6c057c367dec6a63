"""The ledger's Lua scripts, and one way to call them from blocking and from asyncio code.

A Call is a value: which script, with what, and how to read its reply. `run` and `run_async` carry
it out. Every script is idempotent or fenced, so the caller may repeat a call whose reply was lost.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Generic, TypeVar

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from gateway.adapters.ledger.redis_keys import Keys

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    sha: str


def _load(name: str, *parts: str) -> Script:
    """`parts`: what it shares with others, besides what all of them share."""
    folder = files("gateway.adapters.ledger") / "lua"
    shared = [f"_{part}" for part in ("ledger", *parts)]
    # A function that Lua makes looks for each variable around it among all that are shared so far,
    # unless that stands further out: with the head outside, a call takes 12,000 instructions less.
    head, *rest = ((folder / f"{each}.lua").read_text(encoding="utf-8") for each in (*shared, name))
    text = f"{head}return (function()\n{''.join(rest)}end)()"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


LIFE = ("later", "books", "order")
"""What every script needs that changes a delivery's state."""

ACCEPT = _load("accept", *LIFE, "ends", "store")
CLAIM = _load("claim", *LIFE, "ends")
RENEW = _load("renew")
FINISH = _load("finish", *LIFE, "ends", "store")
SWEEP = _load("sweep", *LIFE)
REPLAY = _load("replay", *LIFE, "ends")
DISCARD = _load("discard", *LIFE, "ends")
REFILE = _load("refile", *LIFE, "ends")
PRUNE = _load("prune")
LEARN = _load("learn")
REFUSE = _load("refuse", "refused")
SETTLE = _load("settle", "refused")
STEP = _load("step")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of a script. `parse` reads the server's reply."""

    script: Script
    args: tuple[bytes | str | int | float, ...]
    parse: Callable[[Any], T]


def run(client: "Redis", keys: Keys, call: Call[T]) -> T:
    """Raises redis.RedisError; after a timeout the call may or may not have happened."""
    head = (2, keys.prefix, keys.rq)
    try:
        reply: Any = client.evalsha(call.script.sha, *head, *call.args)
    except NoScriptError:  # after a restart or SCRIPT FLUSH; nothing has been executed
        reply = client.eval(call.script.text, *head, *call.args)
    return call.parse(reply)


class Asked:
    """Calls that are on their way, in one round trip and with one wait for the disk: the server works
    on them while whoever asked does something else.

    To make one sends them, and raises as `run` does.
    """

    def __init__(self, client: "Redis", keys: Keys, calls: Sequence[Call[Any]]) -> None:
        self._client, self._keys, self._calls = client, keys, calls
        self._pool = client.connection_pool
        self._connection = self._pool.get_connection()
        head = (2, keys.prefix, keys.rq)
        commands = [("EVALSHA", call.script.sha, *head, *call.args) for call in calls]
        with self._lost_on_error():
            packed = self._connection.pack_commands(commands)  # type: ignore[no-untyped-call]  # redis-py's
            self._connection.send_packed_command(packed)  # type: ignore[no-untyped-call]  # redis-py's

    def replies(self) -> list[Any]:
        """Waits for them; to be asked for once. Raises as `run` does, and then any of the calls may
        have happened."""
        with self._lost_on_error():
            replies = [self._reply() for _ in self._calls]
        self._pool.release(self._connection)
        return [self._parsed(call, reply) for call, reply in zip(self._calls, replies, strict=True)]

    def _reply(self) -> Any:
        """An error that the server tells is a reply like any other: the next is still to be read."""
        try:
            return self._connection.read_response()
        except ReadOnlyError:  # it has become a replica: the next connection may lead to its successor
            raise
        except ResponseError as error:
            return error

    def _parsed(self, call: Call[Any], reply: Any) -> Any:
        if isinstance(reply, NoScriptError):
            return run(self._client, self._keys, call)
        if isinstance(reply, Exception):
            raise reply
        return call.parse(reply)

    @contextmanager
    def _lost_on_error(self) -> Iterator[None]:
        """A reply that may yet come would be taken for that of another call."""
        try:
            yield
        except BaseException:
            self._connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py's
            self._pool.release(self._connection)
            raise


async def run_async(client: "AsyncRedis", keys: Keys, call: Call[T]) -> T:
    """As `run`."""
    head = (2, keys.prefix, keys.rq)
    try:
        reply: Any = await client.evalsha(call.script.sha, *head, *call.args)
    except NoScriptError:
        reply = await client.eval(call.script.text, *head, *call.args)
    return call.parse(reply)
