"""The ledger's Lua scripts, and one way to call them from blocking and from asyncio code.

A Call is a value: which script, with what, and how to read its reply. `run` and `run_async` carry
it out. Every script is idempotent or fenced, so the caller may repeat a call whose reply was lost.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Generic, TypeVar

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import NoScriptError

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
    text = "".join((folder / f"{each}.lua").read_text(encoding="utf-8") for each in (*shared, name))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ACCEPT = _load("accept", "order", "ends", "store")
CLAIM = _load("claim", "order", "ends")
RENEW = _load("renew")
FINISH = _load("finish", "order", "ends", "store")
SWEEP = _load("sweep", "order")
REPLAY = _load("replay", "order", "ends")
DISCARD = _load("discard", "order", "ends")
REFILE = _load("refile", "order", "ends")
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


def run_together(client: "Redis", keys: Keys, calls: Sequence[Call[Any]]) -> list[Any]:
    """As `run` for each in turn, in one round trip and with one wait for the disk.

    Raises as `run` does, and then any of them may have happened.
    """
    head = (2, keys.prefix, keys.rq)
    with client.pipeline(transaction=False) as pipeline:
        for call in calls:
            pipeline.evalsha(call.script.sha, *head, *call.args)
        replies = pipeline.execute(raise_on_error=False)
    found = []
    for call, reply in zip(calls, replies, strict=True):
        if isinstance(reply, NoScriptError):
            found.append(run(client, keys, call))
        elif isinstance(reply, Exception):
            raise reply
        else:
            found.append(call.parse(reply))
    return found


async def run_async(client: "AsyncRedis", keys: Keys, call: Call[T]) -> T:
    """As `run`."""
    head = (2, keys.prefix, keys.rq)
    try:
        reply: Any = await client.evalsha(call.script.sha, *head, *call.args)
    except NoScriptError:
        reply = await client.eval(call.script.text, *head, *call.args)
    return call.parse(reply)
