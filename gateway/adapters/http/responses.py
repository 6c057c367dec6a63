"""The one place where outcomes become HTTP.

After a valid signature the only negative answers are 413, 429 and 503: several providers disable an
endpoint on a 401, 403, 404 or 410, and drop the event on any 4xx.
"""

import math
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gateway.core.outcomes import Outcome
from gateway.core.reply import Reply
from gateway.core.source import Source
from gateway.ingest import Ending

# Whatever kept a caller from being believed, all see these bytes: no oracle for what exists.
NOT_AUTHENTICATED: Final = b'{"error":"not authenticated"}'
# By chance within these, so that all who were turned away do not come back at once.
UNAVAILABLE_RETRY_SECONDS: Final = (5.0, 10.0)

NEGATIVE: Final[dict[Outcome, tuple[int, bytes]]] = {
    Outcome.REFUSED: (401, NOT_AUTHENTICATED),
    Outcome.METHOD_NOT_ALLOWED: (405, b'{"error":"method not allowed"}'),
    Outcome.BODY_TIMEOUT: (408, b'{"error":"body not received in time"}'),
    Outcome.BODY_TOO_LARGE: (413, b'{"error":"body too large"}'),
    Outcome.FLOODED: (429, b'{"error":"too many requests"}'),
    Outcome.RATE_LIMITED: (429, b'{"error":"too many requests"}'),
    Outcome.HEADERS_TOO_LARGE: (431, b'{"error":"headers too large"}'),
    Outcome.INTERNAL_ERROR: (500, b'{"error":"internal error"}'),
    Outcome.OVERLOADED: (503, b'{"error":"temporarily unavailable"}'),
    Outcome.UNAVAILABLE: (503, b'{"error":"temporarily unavailable"}'),
}
# Unread bytes may follow on the connection, without end: it is not used again. All refusals are among
# them, so that a forbidden address, whose body nobody reads, looks like a wrong signature.
CLOSING: Final = frozenset(
    {
        Outcome.REFUSED,
        Outcome.METHOD_NOT_ALLOWED,
        Outcome.BODY_TIMEOUT,
        Outcome.BODY_TOO_LARGE,
        Outcome.HEADERS_TOO_LARGE,
        Outcome.FLOODED,
        Outcome.OVERLOADED,
    }
)
AWAY: Final = frozenset({Outcome.OVERLOADED, Outcome.UNAVAILABLE})
NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def send(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def respond(ending: Ending, source: Source) -> Response:
    """The answer to one request."""
    if ending.outcome in NEGATIVE:
        return _negative(ending)
    answer = source.acknowledgement
    # What could not be echoed leaves the status, which is what every sender looks at.
    plain = answer if isinstance(answer, Reply) else Reply(answer.status)
    return _positive(ending.reply or plain)


@lru_cache(maxsize=1024)  # a source's own is one value; what echoes a request is another each time
def _positive(reply: Reply) -> Response:
    own = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    if reply.status == NO_CONTENT:  # no body and no length: what follows is the next answer
        return Response(reply.status, own, b"")
    headers = [(b"content-length", str(len(reply.body)).encode()), *own]
    if reply.body:
        headers.append((b"content-type", reply.content_type.encode("latin-1", "replace")))
        headers.append((b"x-content-type-options", b"nosniff"))
    return Response(reply.status, headers, reply.body)


def _negative(ending: Ending) -> Response:
    status, body = NEGATIVE[ending.outcome]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if ending.outcome is Outcome.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if ending.outcome in AWAY or ending.retry_after is not None:
        seconds = ending.retry_after or random.uniform(*UNAVAILABLE_RETRY_SECONDS)
        headers.append((b"retry-after", str(math.ceil(seconds)).encode()))
    if ending.outcome in CLOSING:
        headers.append((b"connection", b"close"))
    return Response(status, headers, body)
