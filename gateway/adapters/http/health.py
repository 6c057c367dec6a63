"""`/livez` and `/readyz`: the small Starlette app beside the edge, and on the admin port."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.adapters.ledger.durability import SETTINGS, facts_of, judge

ASK_SECONDS: Final = 0.5
RECHECK_SECONDS: Final = 10.0


class Readiness:
    """Whether this gateway can keep its promise now.

    Anybody may ask, so Redis is asked at most twice a second, and its settings every 10 s. `spool`
    says whether events can be kept on disk meanwhile: then the gateway is ready without Redis. All
    gateways lose it at the same time; were none of them ready, nobody would be left to keep anything.
    """

    def __init__(
        self,
        client: "Redis",
        durability: str,
        clock: Callable[[], float] = time.monotonic,
        spool: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._durability = durability
        self._clock = clock
        self._spool = spool
        self._away = False
        self._asking = asyncio.Lock()
        self._ask_at = self._recheck_at = clock()
        self._answer: list[str] = []
        self._weak: list[str] = []
        self.draining = False

    async def problems(self) -> list[str]:
        """Why not ready; empty when ready."""
        if self.draining:
            return ["draining: this process is about to stop"]
        async with self._asking:  # who comes while another asks shares that one's answer
            if self._clock() >= self._ask_at:
                self._answer = await self._ask()
                self._ask_at = self._clock() + ASK_SECONDS
        return self._answer

    async def ready(self) -> bool:
        problems = await self.problems()
        return not problems or (self._away and not self.draining and self._spool())

    async def _ask(self) -> list[str]:
        try:
            await self._client.ping()
            if self._clock() >= self._recheck_at:
                info: Any = await self._client.info("server")
                config: Any = await self._client.config_get(*SETTINGS)
                faults = judge(facts_of(info, config), self._durability)
                self._weak = [f"{fault.key}: {fault.problem}" for fault in faults]
                self._recheck_at = self._clock() + RECHECK_SECONDS
        except (RedisError, OSError) as error:
            self._away = True
            return [f"redis: {type(error).__name__}"]
        self._away = False
        return self._weak


async def livez(_: Request) -> Response:
    """Touches nothing: answers whenever the event loop turns."""
    return PlainTextResponse("ok\n")


def health_app(readiness: Readiness) -> Starlette:
    async def readyz(_: Request) -> Response:
        ready, problems = await readiness.ready(), await readiness.problems()
        return JSONResponse({"ready": ready, "problems": problems}, status_code=200 if ready else 503)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz)])
