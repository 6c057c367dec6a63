"""Reading a body: raw, bounded by itself, and bounded together with all others that are held now."""

from typing import Any

from gateway.core.outcomes import Outcome
from gateway.core.request import Headers


class BodyRefused(Exception):  # noqa: N818 - carries an outcome
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class InFlight:
    """Bytes of bodies that this process holds now.

    A thousand slow callers of a large source would each be within its limit, and together the end of
    the process, and of what it had not answered yet.
    """

    def __init__(self) -> None:
        self.held = 0

    def give(self, size: int) -> None:
        """Back: the request has been answered."""
        self.held -= size

    async def read(self, receive: Any, headers: Headers, most: int, together: int) -> bytes:
        """The raw body, of at most `most` bytes; it counts until it is given back.

        Raises BodyRefused: it is too large, `together` would be passed, or the caller went away.
        """
        declared = headers.one(b"content-length")
        announced = int(declared[:20]) if declared and declared.isdigit() else 0
        if announced > most:
            raise BodyRefused(Outcome.BODY_TOO_LARGE)
        if self.held + announced > together:  # before the first byte of it is read
            raise BodyRefused(Outcome.OVERLOADED)
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BodyRefused(Outcome.DISCONNECTED)
                chunk = message.get("body", b"")
                size += len(chunk)
                self.held += len(chunk)
                if size > most:
                    raise BodyRefused(Outcome.BODY_TOO_LARGE)
                if self.held > together:
                    raise BodyRefused(Outcome.OVERLOADED)
                if chunk:
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except BaseException:  # also the deadline's
            self.held -= size
            raise
