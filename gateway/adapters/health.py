"""`/livez` and `/readyz`: the small Starlette app beside the edge, and on the admin port."""

import time
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.adapters.durability import SETTINGS, facts_of, judge

RECHECK_SECONDS: Final = 10.0


class Readiness:
    """Whether this gateway can keep its promise now. The server's settings are read every 10 s."""

    def __init__(self, client: "Redis", durability: str) -> None:
        self._client = client
        self._durability = durability
        self._checked_at = -RECHECK_SECONDS
        self._problems: list[str] = []
        self.draining = False

    async def problems(self) -> list[str]:
        """Why not ready; empty when ready."""
        if self.draining:
            return ["draining: this process is about to stop"]
        try:
            await self._client.ping()
            if time.monotonic() - self._checked_at >= RECHECK_SECONDS:
                info: Any = await self._client.info("server")
                config: Any = await self._client.config_get(*SETTINGS)
                faults = judge(facts_of(info, config), self._durability)
                self._problems = [f"{fault.key}: {fault.problem}" for fault in faults]
                self._checked_at = time.monotonic()
        except (RedisError, OSError) as error:
            return [f"redis: {type(error).__name__}"]
        return self._problems


async def livez(_: Request) -> Response:
    """Touches nothing: answers whenever the event loop turns."""
    return PlainTextResponse("ok\n")


def health_app(readiness: Readiness) -> Starlette:
    async def readyz(_: Request) -> Response:
        problems = await readiness.problems()
        return JSONResponse(
            {"ready": not problems, "problems": problems}, status_code=503 if problems else 200
        )

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz)])
