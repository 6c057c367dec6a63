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

from gateway.adapters.ledger.absence import absence_of
from gateway.adapters.ledger.durability import SETTINGS, facts_of, judge, may_pass
from gateway.adapters.ledger.marker import Marker
from gateway.faults import Fault
from gateway.logs import logger

ASK_SECONDS: Final = 0.5
RECHECK_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 15.0
DATA_LOST: Final = "data_lost"
LOST: Final = (
    f"{DATA_LOST}: Redis has other data than before; what was acknowledged until then may be gone"
)


class Readiness:
    """Whether this gateway can keep its promise now.

    Anybody may ask, so Redis is asked at most twice a second, and how it is set up every 10 s. `spool`
    says whether events can be kept on disk meanwhile: then the gateway is ready without Redis. All
    gateways lose it at the same time; were none of them ready, nobody would be left to keep anything.
    """

    def __init__(
        self,
        client: "Redis",
        durability: str,
        clock: Callable[[], float] = time.monotonic,
        spool: Callable[[], bool] = lambda: False,
        *,
        replicas: int = 0,
        marker: Marker | None = None,
    ) -> None:
        self._client = client
        self._durability = durability
        self._clock = clock
        self._spool = spool
        self._replicas = replicas
        self._marker = marker
        self._asking = asyncio.Lock()
        self._ask_at = self._recheck_at = clock()
        self._away = ""
        self._faults: list[Fault] = []
        self._told: list[str] = []
        self._lost = False
        self.draining = False

    async def problems(self) -> list[str]:
        """What is wrong, also what is no reason not to be ready."""
        if self.draining:
            return ["draining: this process is about to stop"]
        async with self._asking:  # who comes while another asks shares that one's answer
            if self._clock() >= self._ask_at:
                await self._ask()
                self._ask_at = self._clock() + ASK_SECONDS
                self._tell(self._texts())
        return self._texts()

    async def ready(self) -> bool:
        await self.problems()
        if self.draining:
            return False
        if not (self._away or self._faults):
            return True
        return (bool(self._away) or may_pass(self._faults)) and self._spool()

    @property
    def kinds(self) -> list[str]:
        """The problems that were found last, each by a word of a closed list."""
        faults = [self._away] if self._away else [fault.key for fault in self._faults]
        return [*faults, *([DATA_LOST] if self._lost else [])]

    async def watch(self) -> None:
        """Asks for ever, though nobody else did: whoever asks, the log is told what has changed."""
        while True:
            await self.problems()
            await asyncio.sleep(WATCH_SECONDS)

    def _texts(self) -> list[str]:
        away = [f"redis: {self._away}"] if self._away else []
        faults = away or [f"{fault.key}: {fault.problem}" for fault in self._faults]
        return [*faults, *([LOST] if self._lost else [])]

    def _tell(self, texts: list[str]) -> None:
        for text in texts:
            if text not in self._told:
                logger().error("redis.problem", problem=text)
        for text in self._told:
            if text not in texts:
                logger().info("redis.mended", problem=text)
        self._told = texts

    async def _ask(self) -> None:
        try:
            await self._client.ping()
            # One that comes back may be another one.
            if self._away or self._clock() >= self._recheck_at:
                await self._examine()
                self._recheck_at = self._clock() + RECHECK_SECONDS
        except (RedisError, OSError) as error:
            self._away = str(absence_of(error))
        else:
            self._away = ""

    async def _examine(self) -> None:
        info: Any = await self._client.info()
        config: Any = await self._client.config_get(*SETTINGS)
        self._faults = judge(facts_of(info, config), self._durability, self._replicas)
        if self._marker and await self._marker.replaced():
            self._lost = True


async def livez(_: Request) -> Response:
    """Touches nothing: answers whenever the event loop turns."""
    return PlainTextResponse("ok\n")


def health_app(readiness: Readiness) -> Starlette:
    async def readyz(_: Request) -> Response:
        ready, problems = await readiness.ready(), await readiness.problems()
        return JSONResponse({"ready": ready, "problems": problems}, status_code=200 if ready else 503)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz)])
