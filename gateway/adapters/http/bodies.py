"""Reading a body: raw, bounded by itself, and bounded together with all others that are held now."""

from gateway.adapters.http.exchange import Disconnected, Exchange
from gateway.core.outcomes import Outcome


class BodyRefused(Exception):  # noqa: N818 - carries an outcome
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
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

    def take(self, body: bytes, most: int, together: int) -> None:
        """A body that is all here: as long as was declared, the parser has seen to that. As `read`."""
        size = len(body)
        self._check(size, size, most, together)
        self.held += size

    async def read(self, exchange: Exchange, most: int, together: int) -> bytes:
        """The raw body, of at most `most` bytes; it counts until it is given back.

        Raises BodyRefused: it is too large, `together` would be passed, or the caller went away.
        """
        declared = exchange.headers.one(b"content-length")
        announced = int(declared[:20]) if declared and declared.isdigit() else 0
        self._check(announced, announced, most, together)  # before the first byte of it is read
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await exchange.piece():
                size += len(piece)
                self.held += len(piece)
                self._check(size, 0, most, together)
                pieces.append(piece)
        except BaseException as error:  # also the deadline's
            self.held -= size
            if isinstance(error, Disconnected):
                raise BodyRefused(Outcome.DISCONNECTED) from error
            raise
        return b"".join(pieces)

    def _check(self, size: int, more: int, most: int, together: int) -> None:
        """`more` bytes are not counted yet."""
        if size > most:
            raise BodyRefused(Outcome.BODY_TOO_LARGE)
        if self.held + more > together:
            raise BodyRefused(Outcome.OVERLOADED)
