"""Confirmation links: a provider asks us to call a URL back, out of band, to prove that we want it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.adapters.outbound.calls import Ask, Fetcher, FetchError
from gateway.core.allowed_urls import AllowedUrl, allowed
from gateway.logs import LineBudget, logger

PAUSES: Final = (1.0, 10.0)  # seconds before the second and the third try


class Visits:
    """Calls links in the background, at most `most` at once. `pause` waits between tries."""

    def __init__(
        self,
        client: Fetcher,
        most: int = 16,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._most = most
        self._pause = pause
        self._under_way: set[asyncio.Task[None]] = set()
        self._lines = LineBudget(per_second=5)

    def visit(self, url: str, hosts: Sequence[str], *, source: str = "") -> None:
        """Calls `url` soon, if one of `hosts` matches its whole host. Never waits or raises."""
        link = allowed(url, hosts)
        if link is None:
            if self._lines.take() is not None:  # what is refused is not written down
                logger().warning("visit.refused", source=source)
        elif len(self._under_way) >= self._most:
            self._failed(source, link, "too_many")
        else:
            task = asyncio.create_task(self._visit(link, source))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Waits for the links under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def aclose(self) -> None:
        """Gives up the links under way."""
        for task in self._under_way:
            task.cancel()
        await self.settle()

    async def _visit(self, link: AllowedUrl, source: str) -> None:
        error = await self._try(link)
        for pause in PAUSES:
            if error is None:
                break
            await self._pause(pause)
            error = await self._try(link)
        if error is None:
            logger().info("visit.done", source=source, host=link.host)
        else:
            self._failed(source, link, error)

    async def _try(self, link: AllowedUrl) -> str | None:
        """None when the answer was a 2xx, else a word for why not."""
        try:
            answer = await self._client.fetch(Ask(link.host, link.target))
        except FetchError as error:
            return str(error)
        return None if 200 <= answer.status < 300 else f"status_{answer.status}"

    def _failed(self, source: str, link: AllowedUrl, error: str) -> None:
        if self._lines.take() is not None:
            logger().warning("visit.failed", source=source, host=link.host, error=error)
