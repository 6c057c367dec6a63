"""One connection for one call of a script at a time: the way of the ingest. In two halves, so that the
server has the call while the gateway still reads what else has come.

A client of redis-py packs commands in Python, takes a connection from a pool, starts two timers and
tells its observers, for every call; that was a sixth of what a request costs. This is the same
connection without all that. It repeats nothing either, and after any doubt it starts anew.
"""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

from gateway.adapters.ledger.absence import TooFewReplicas, absence_of
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, T
from gateway.core.outcomes import Absence
from gateway.deadlines import within

DEFAULT_TIMEOUT: Final = 1.0
REPLICAS_SHARE: Final = 0.5  # of the time limit: so long the server waits for its replicas

BY_SHA: Final = "EVALSHA"
BY_TEXT: Final = "EVAL"

Command = tuple[bytes | str | int | float, ...]


class ScriptLine:
    """To the server of `client`, whose time limit for an answer holds for connecting and answering
    together. A second call has to wait for the first one's end."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        # Ours to keep: what Sentinel is asked by belongs to it.
        self._pool = pool = client.connection_pool
        # Ours is the only limit: redis-py's own would be a task and a timer for each call.
        options = {**pool.connection_kwargs, "socket_timeout": None}
        self._connection: AbstractConnection = pool.connection_class(**options)
        self._one = asyncio.Lock()
        self._names = (2, keys.prefix, keys.rq)
        self._copied = f"{keys.prefix}:copied"
        self._timeout: float = pool.connection_kwargs.get("socket_timeout") or DEFAULT_TIMEOUT

    async def call(self, call: Call[T], replicas: int = 0) -> T:
        """With `replicas`: all that was written up to now, by whomever, is in so many of them too when
        this returns. Raises redis.RedisError (TooFewReplicas: but here it is written) or OSError; after
        one of them it may or may not have happened."""
        return await self.finish(call, replicas, begun=False)

    def begin(self, call: Call[T], replicas: int = 0) -> bool:
        """The first half of `call`: where the line is connected, the server has the call when this
        returns. What it gives is for `finish`, which has to follow, in the order of beginning."""
        return self._sent_at_once(self._packed(BY_SHA, call, replicas))

    async def finish(self, call: Call[T], replicas: int = 0, *, begun: bool) -> T:
        """The second half, with its result and its errors."""
        with within(self._timeout):
            async with self._one:
                reply = await self._run(call, replicas, begun)
        return call.parse(reply)

    async def _run(self, call: Call[T], replicas: int, begun: bool) -> Any:
        try:
            if not begun:
                await self._send(self._packed(BY_SHA, call, replicas))
            return await self._reply(replicas)
        except NoScriptError:  # after a restart or SCRIPT FLUSH; nothing has been executed
            await self._send(self._packed(BY_TEXT, call, replicas))
            return await self._reply(replicas)

    async def aclose(self) -> None:
        await self._connection.disconnect(nowait=True)

    def _sent_at_once(self, packed: list[bytes]) -> bool:
        connection = self._connection
        # redis-py sends in a coroutine only, which may have to wait, and so cannot be begun from here.
        writer = connection._writer
        if writer is None or writer.is_closing() or _at_once(connection.can_read()) is not False:
            return False
        writer.writelines(packed)
        return True

    async def _send(self, packed: list[bytes]) -> None:
        """redis-py drops a connection on which anything went wrong: an answer that may yet come would
        be taken for the next call's."""
        connection = self._connection
        if connection.is_connected and await connection.can_read():  # it was closed meanwhile
            await connection.disconnect(nowait=True)
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        await connection.send_packed_command(packed, check_health=False)

    def _packed(self, command: str, call: Call[Any], replicas: int) -> list[bytes]:
        script = call.script.sha if command == BY_SHA else call.script.text
        commands = ((command, script, *self._names, *call.args), *self._waiting(replicas))
        return [pack_command(each) for each in commands]  # type: ignore[arg-type]  # hiredis' stub

    def _waiting(self, replicas: int) -> tuple[Command, ...]:
        """WAIT looks at what this connection wrote last: after a repeat, of which nothing is written,
        it would wait for nothing. A message to nobody goes to the replicas behind all that was written
        before it, takes no memory, and is in no file."""
        if not replicas:
            return ()
        wait_ms = int(self._timeout * REPLICAS_SHARE * 1000)
        return ("PUBLISH", self._copied, b""), ("WAIT", replicas, wait_ms)

    async def _reply(self, replicas: int) -> Any:
        replies = [await self._next_reply() for _ in range(3 if replicas else 1)]
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        if replicas and replies[-1] < replicas:
            raise TooFewReplicas(f"{replies[-1]} of {replicas} replicas have confirmed it")
        return replies[0]

    async def _next_reply(self) -> Any:
        """An error that the server tells is a reply like any other: the next one is still to be read.
        What was made a replica keeps its connections: we leave it, to look for its successor."""
        try:
            return await self._connection.read_response(timeout=math.inf)
        except ResponseError as error:
            if absence_of(error) is Absence.READ_ONLY:
                await self._connection.disconnect(nowait=True)
                raise
            return error


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T | None:
    """What a coroutine gives that has to wait for nothing; None: it has, or it failed."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    except (RedisError, OSError):
        return None
    coroutine.close()
    return None
