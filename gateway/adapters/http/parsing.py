"""From bytes to requests: what a connection's parser has found so far."""

from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools

from gateway.adapters.http.exchange import Connection, Exchange
from gateway.adapters.http.heads import Head
from gateway.adapters.http.parting import State
from gateway.core.request import Headers


class Requests:
    """Those of one `connection`. `queue` has, in order, the ones that nobody has taken to answer yet;
    `last` is the one that came last, whoever has it. `headers` are the `head`'s.
    """

    def __init__(self, connection: Connection, head: Head, state: State) -> None:
        self.head = head
        self.headers: list[tuple[bytes, bytes]] = []
        self.last: Exchange | None = None
        self.queue: deque[Exchange] = deque()
        self._connection: Any = connection
        self._state = state
        self._url = b""
        self._parser: Any = httptools.HttpRequestParser(self)
        # What follows a last request is dropped, and no reason to leave that one without its answer.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed(self, data: bytes) -> None:
        """Raises what httptools raises: HttpParserError, and HttpParserUpgrade behind a request that is
        for another protocol."""
        self._parser.feed_data(data)

    def end(self) -> None:
        """No more will come. Lets go of all that knows us: only the garbage collector would find it."""
        if self.last is not None:
            self.last.lost()
        self.queue.clear()
        self.last = self._connection = self._parser = None

    # The parser's calls. It takes an error in one for a malformed request: so nothing is decided here.

    def on_message_begin(self) -> None:
        self.head.begin()
        self._url, self.headers = b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Those behind a chunked body are dropped: they would come past every bound, and past a proxy
        that has appended the client's address to the head's."""
        if self.head.unfinished:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.head.end()
        url: Any = httptools.parse_url(self._url)  # has None for what is absent, whatever its types say
        path = url.path.decode("ascii")
        headers = Headers(tuple(self.headers))
        keeps = self._parser.get_http_version() != "1.0" and self._parser.should_keep_alive()
        self.last = Exchange(
            self._connection,
            self._parser.get_method().decode("ascii"),
            unquote(path) if "%" in path else path,
            url.query or b"",
            headers,
            keep_alive=keeps and not self._state.parting,
            asks=b"100-continue" in [each.lower() for each in headers.all(b"expect")],
        )
        self.queue.append(self.last)

    def on_body(self, body: bytes) -> None:
        if self.last is not None and not self.last.response_complete:
            self.last.came(body)

    def on_message_complete(self) -> None:
        if self.last is not None:
            self.last.ended()
