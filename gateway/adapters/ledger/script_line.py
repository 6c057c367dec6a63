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
from redis.exceptions import NoScriptError

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import Call, T
from gateway.deadlines import within

DEFAULT_TIMEOUT: Final = 1.0


class ScriptLine:
    """To the server of `client`, whose time limit for an answer holds for connecting and answering
    together. A second call has to wait for the first one's end."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        pool = client.connection_pool
        # Ours is the only limit: redis-py's own would be a task and a timer for each call.
        options = {**pool.connection_kwargs, "socket_timeout": None}
        self._connection: AbstractConnection = pool.connection_class(**options)
        self._one = asyncio.Lock()
        self._names = (2, keys.prefix, keys.rq)
        self._timeout: float = pool.connection_kwargs.get("socket_timeout") or DEFAULT_TIMEOUT

    async def call(self, call: Call[T]) -> T:
        """Raises redis.RedisError or OSError; after one of them it may or may not have happened."""
        with within(self._timeout):
            async with self._one:
                reply = await self._run(call)
        return call.parse(reply)

    async def _run(self, call: Call[T]) -> Any:
        try:
            return await self._ask("EVALSHA", call.script.sha, *self._names, *call.args)
        except NoScriptError:  # after a restart or SCRIPT FLUSH; nothing has been executed
            return await self._ask("EVAL", call.script.text, *self._names, *call.args)

    async def aclose(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _ask(self, *command: bytes | str | int | float) -> Any:
        """redis-py drops a connection on which anything went wrong: an answer that may yet come would
        be taken for the next call's."""
        connection = self._connection
        if connection.is_connected and await connection.can_read():  # it was closed meanwhile
            await connection.disconnect(nowait=True)
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        packed = pack_command(command)  # type: ignore[arg-type]  # hiredis' stub says one argument
        await connection.send_packed_command([packed], check_health=False)
        return await connection.read_response(timeout=math.inf)
