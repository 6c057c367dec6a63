"""An outbound call as a value, its answer, and who carries it out.

The client itself is imported when there is something to call: HTTP and TLS cost a quarter of a second
at start, and most deployments never call anybody.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.adapters.outbound.client import Client


class FetchError(Exception):
    """No answer. The message is one word for the log; it never contains a URL's path or a body."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to call: `target` is path and query. Headers and body may hold credentials."""

    host: str
    target: str = field(repr=False)
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)


class Fetcher(Protocol):
    async def fetch(self, ask: Ask) -> Answer:
        """Raises FetchError."""


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
