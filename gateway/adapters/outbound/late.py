"""The client, imported when there is something to call: HTTP and TLS cost a quarter of a second at
start, and most deployments never call anybody.
"""

from typing import TYPE_CHECKING

from gateway.adapters.outbound.calls import Answer, Ask

if TYPE_CHECKING:
    from gateway.adapters.outbound.client import Client


class LateClient:
    """A Fetcher that becomes a Client with its first call, or when it is told to make ready."""

    def __init__(self) -> None:
        self._client: Client | None = None

    def ready(self) -> "Client":
        if self._client is None:
            from gateway.adapters.outbound.client import Client

            self._client = Client()
        return self._client

    async def fetch(self, ask: Ask) -> Answer:
        """Raises FetchError."""
        return await self.ready().fetch(ask)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
