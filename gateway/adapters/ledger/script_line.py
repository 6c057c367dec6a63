"""One connection for one call of a script at a time: the way of the ingest.

A client of redis-py packs commands in Python, takes a connection from a pool, starts two timers and
tells its observers, for every call; that was a sixth of what a request costs. This is the same
connection without all that. It repeats nothing either, and after any doubt it starts anew.
"""

import asyncio
import math
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from gateway.adapters.ledger.absence import TooFewReplicas, absence_of
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, T
from gateway.core.outcomes import Absence
from gateway.deadlines import within

DEFAULT_TIMEOUT: Final = 1.0
REPLICAS_SHARE: Final = 0.5  # of the time limit: so long the server waits for its replicas

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
        with within(self._timeout):
            async with self._one:
                reply = await self._run(call, replicas)
        return call.parse(reply)

    async def _run(self, call: Call[T], replicas: int) -> Any:
        try:
            return await self._ask(("EVALSHA", call.script.sha, *self._names, *call.args), replicas)
        except NoScriptError:  # after a restart or SCRIPT FLUSH; nothing has been executed
            return await self._ask(("EVAL", call.script.text, *self._names, *call.args), replicas)

    async def aclose(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _ask(self, command: Command, replicas: int) -> Any:
        """redis-py drops a connection on which anything went wrong: an answer that may yet come would
        be taken for the next call's."""
        connection = self._connection
        if connection.is_connected and await connection.can_read():  # it was closed meanwhile
            await connection.disconnect(nowait=True)
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        commands = (command, *self._waiting(replicas))
        packed = [pack_command(each) for each in commands]  # type: ignore[arg-type]  # hiredis' stub
        await connection.send_packed_command(packed, check_health=False)
        replies = [await self._reply() for _ in commands]
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        if replicas and replies[-1] < replicas:
            raise TooFewReplicas(f"{replies[-1]} of {replicas} replicas have confirmed it")
        return replies[0]

    def _waiting(self, replicas: int) -> tuple[Command, ...]:
        """WAIT looks at what this connection wrote last: after a repeat, of which nothing is written,
        it would wait for nothing. A message to nobody goes to the replicas behind all that was written
        before it, takes no memory, and is in no file."""
        if not replicas:
            return ()
        wait_ms = int(self._timeout * REPLICAS_SHARE * 1000)
        return ("PUBLISH", self._copied, b""), ("WAIT", replicas, wait_ms)

    async def _reply(self) -> Any:
        """An error that the server tells is a reply like any other: the next one is still to be read.
        What was made a replica keeps its connections: we leave it, to look for its successor."""
        try:
            return await self._connection.read_response(timeout=math.inf)
        except ResponseError as error:
            if absence_of(error) is Absence.READ_ONLY:
                await self._connection.disconnect(nowait=True)
                raise
            return error
