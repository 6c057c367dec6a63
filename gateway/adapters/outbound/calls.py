"""An outbound call as a value, its answer, and who carries it out."""

from dataclasses import dataclass, field
from typing import Protocol


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
