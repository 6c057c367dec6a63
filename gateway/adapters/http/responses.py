"""The one place where outcomes become HTTP.

After a valid signature the only negative answers are 413, 429 and 503: several providers disable an
endpoint on a 401, 403, 404 or 410, and drop the event on any 4xx.
"""

import math
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.core.outcomes import Outcome
from gateway.core.reply import Reply
from gateway.core.source import Source
from gateway.endings import Ending

# Whatever kept a caller from being believed, all see these bytes: no oracle for what exists.
NOT_AUTHENTICATED: Final = b'{"error":"not authenticated"}'
# By chance within these, so that all who were turned away do not come back at once.
UNAVAILABLE_RETRY_SECONDS: Final[tuple[float, ...]] = (5.0, 10.0)

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


# Two readers could take a line break for the end of a header, and a second length for the right one.
NAME: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VALUE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, put together once however often it is sent. `closes`: nothing follows it."""

    status: int
    headers: tuple[Pair, ...]
    body: bytes
    closes: bool = field(init=False, repr=False)
    _whole: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        says = b",".join(value for name, value in self.headers if name == b"connection")
        object.__setattr__(self, "closes", b"close" in says.lower())
        object.__setattr__(self, "_whole", self._built(self.body))

    def wire(self, *, last: bool = False, bare: bool = False) -> bytes:
        """Its bytes. `last` on its connection, whether or not it says so itself; `bare`: of a HEAD."""
        if last is self.closes and not bare:
            return self._whole
        close = b"connection: close\r\n" if last and not self.closes else b""
        return self._built(b"" if bare else self.body, close)

    def _built(self, body: bytes, more: bytes = b"") -> bytes:
        lines = [b"%b: %b\r\n" % pair for pair in self.headers]
        return b"".join((_status_line(self.status), *lines, more, b"\r\n", body))


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:  # a number without a name
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


def respond(ending: Ending, source: Source) -> Response:
    """The answer to one request."""
    if ending.outcome in NEGATIVE:
        return _negative(ending.outcome, _retry_after(ending))
    answer = source.acknowledgement
    # What could not be echoed leaves the status, which is what every sender looks at.
    plain = answer if isinstance(answer, Reply) else Reply(answer.status)
    return _positive(ending.reply or plain)


@lru_cache(maxsize=1024)  # a source's own is one value; what echoes a request is another each time
def _positive(reply: Reply) -> Response:
    own = _harmless(reply.headers)
    if reply.status == NO_CONTENT:  # no body and no length: what follows is the next answer
        return Response(reply.status, own, b"")
    length = (b"content-length", b"%d" % len(reply.body))
    type_ = (("content-type", reply.content_type), ("x-content-type-options", "nosniff"))
    return Response(reply.status, (length, *own, *(_harmless(type_) if reply.body else ())), reply.body)


def _harmless(headers: Iterable[tuple[str, str]]) -> tuple[Pair, ...]:
    """Without what could end a header or an answer early, such as a line break in an operator's file:
    the status still says what senders look at."""
    pairs = [(name.lower().encode(), value.encode("utf-8", "replace")) for name, value in headers]
    return tuple(
        (name, value)
        for name, value in pairs
        if NAME.fullmatch(name) and VALUE.fullmatch(value) and name not in FRAMING
    )


def _retry_after(ending: Ending) -> int | None:
    """In whole seconds."""
    if ending.retry_after is None and ending.outcome not in AWAY:
        return None
    return math.ceil(ending.retry_after or random.uniform(*UNAVAILABLE_RETRY_SECONDS))


@lru_cache(maxsize=1024)
def _negative(outcome: Outcome, retry_after: int | None) -> Response:
    status, body = NEGATIVE[outcome]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if outcome is Outcome.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if outcome in CLOSING:
        headers.append((b"connection", b"close"))
    return Response(status, tuple(headers), body)
