"""Webhooks below ASGI: what is begun when, what is read, and what goes out; bytes in, bytes out."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.adapters.http.exchange import Disconnected, Exchange
from gateway.adapters.http.heads import REFUSAL
from gateway.adapters.http.parsing import Requests
from gateway.adapters.http.responses import Response
from gateway.adapters.http.server import uvicorn_server
from gateway.adapters.http.wire import Wire
from gateway.settings import ServerSettings

OK = Response(200, ((b"content-length", b"2"),), b"ok")
NO = Response(401, ((b"content-length", b"2"), (b"connection", b"close")), b"no")
BIG = 70_000


class Transport:
    """Keeps what is written. One that is closed loses its connection in the loop's next turn."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False
        self.reading = True

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.9", 4242) if name == "peername" else None

    def write(self, data: bytes) -> None:
        assert not self.closing, "written behind the last answer"
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        assert not self.closing, "paused behind the last answer"
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Edge:
    """Answers by path: /now at once, /no too, /later when told, /asked too, but without a task; /read
    when the body is whole."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.bodies: list[bytes] = []
        self.told = asyncio.Event()
        self.asked: list[Exchange] = []

    def answer(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        self.begun.append(exchange.path)
        if exchange.path in ("/now", "/no"):
            exchange.answer(OK if exchange.path == "/now" else NO)
            return None
        if exchange.path == "/asked":
            self.asked.append(exchange)
            return None
        return {"/later": self.later, "/read": self.read, "/bug": self.bug}[exchange.path](exchange)

    def tell(self, response: Response = OK) -> None:
        asked, self.asked = self.asked, []
        for exchange in asked:
            exchange.answer(response)
        self.told.set()

    def break_off(self) -> None:
        asked, self.asked = self.asked, []
        for exchange in asked:
            exchange.answer(NO)

    async def later(self, exchange: Exchange) -> None:
        try:
            await self.told.wait()
            exchange.answer(OK)
        except asyncio.CancelledError:
            exchange.answer(NO)

    async def read(self, exchange: Exchange) -> None:
        pieces = []
        try:
            while piece := await exchange.piece():
                pieces.append(piece)
        except Disconnected:
            self.bodies.append(b"gone")
            return
        self.bodies.append(b"".join(pieces))
        exchange.answer(OK)

    async def bug(self, _: Exchange) -> None:
        """Forgets to answer."""


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": scope["path"][1:5].encode()})


class Rig:
    """One connection."""

    def __init__(self) -> None:
        self.edge = Edge()
        self.use(asgi)

    def use(self, checks: Any) -> None:
        """An ASGI app for the health checks."""
        edge: Any = self.edge
        self.server = uvicorn_server(checks, ServerSettings(), edge=edge)
        self.server.config.load()
        self.state = self.server.server_state
        make: Any = self.server.config.http_protocol_class
        self.wire: Wire = make(config=self.server.config, server_state=self.state, app_state={})
        self.transport: Any = Transport()
        self.wire.connection_made(self.transport)

    @property
    def cycle(self) -> Exchange:
        assert self.wire.cycle is not None
        return self.wire.cycle

    @property
    def answers(self) -> list[str]:
        """Status and last bytes of each."""
        written: bytes = self.transport.written
        parts = written.decode().split("HTTP/1.1 ")[1:]
        return [f"{each[:3]} {each[-4:].strip()}" for each in parts]


def request(
    path: str, *lines: str, body: bytes = b"", method: str = "POST", version: str = "1.1"
) -> bytes:
    lines = (f"{method} {path} HTTP/{version}", f"content-length: {len(body)}", *lines)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def run(main: Callable[[Rig], Awaitable[None]]) -> None:
    async def within_time() -> None:
        async with asyncio.timeout(60):
            rig = Rig()
            await main(rig)
            rig.transport.closing = True
            rig.wire.connection_lost(None)
            rig.edge.told.set()
            await settled(rig)

    asyncio.run(within_time())


async def settled(rig: Rig) -> None:
    """Everything has been done that waits for nobody."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_needs_nobody_else_is_answered_without_a_task() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now"))
        assert (rig.answers, rig.state.tasks, rig.transport.closing) == (["200 ok"], set(), False)

    run(main)


def test_nothing_is_begun_before_a_head_is_whole() -> None:
    async def main(rig: Rig) -> None:
        data = request("/now")
        rig.wire.data_received(data[:-1])
        assert (rig.edge.begun, rig.wire.waits) == ([], True)
        rig.wire.data_received(data[-1:])
        assert rig.answers == ["200 ok"]

    run(main)


@pytest.mark.parametrize("waiting", ["/later", "/asked"])
def test_requests_that_come_together_are_answered_one_after_the_other(waiting: str) -> None:
    async def main(rig: Rig) -> None:
        paths = ("/now", waiting, "/livez", "/now", "/readyz")
        rig.wire.data_received(b"".join(map(request, paths)))
        assert (rig.answers, rig.edge.begun) == (["200 ok"], ["/now", waiting])
        rig.edge.tell()
        await settled(rig)
        assert rig.answers == ["200 ok", "200 ok", "200 live", "200 ok", "200 read"]

    run(main)


def test_however_many_come_together_none_is_answered_inside_of_another() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now") * 5000)
        assert len(rig.answers) == 5000

    run(main)


def test_nothing_behind_a_refusal_is_begun_nor_a_health_check_answered() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/no") + request("/now") + request("/livez"))
        await settled(rig)
        assert (rig.answers, rig.edge.begun, rig.transport.closing) == (["401 no"], ["/no"], True)

    run(main)


@pytest.mark.parametrize("path", ["/now", "/livez"])
def test_nothing_before_a_malformed_request_of_the_same_read_is_begun(path: str) -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request(path) + b"nonsense\r\n\r\n")
        await settled(rig)
        assert (rig.edge.begun, rig.transport.closing) == ([], True)
        assert rig.transport.written == (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"content-length: 30\r\nconnection: close\r\n\r\nInvalid HTTP request received."
        )

    run(main)


def test_what_wants_another_protocol_is_answered_in_this_one() -> None:
    async def main(rig: Rig) -> None:
        lines = ("Connection: Upgrade", "Upgrade: websocket")
        rig.wire.data_received(request("/read", *lines, body=b"frames"))
        await settled(rig)
        rig.wire.data_received(request("/now"))
        assert (rig.edge.bodies, rig.answers) == ([b""], ["200 ok", "200 ok"])

    run(main)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/asked?a=%20b", "/asked", b"a=%20b"),
        (b"/a%73ked", "/asked", b""),
        (b"http://here/asked?", "/asked", b""),
        (b"/asked#part", "/asked", b""),
    ],
)
def test_a_target_is_a_decoded_path_and_a_raw_query(target: bytes, path: str, query: bytes) -> None:
    async def main(rig: Rig) -> None:
        for at in range(1, len(target)):
            data = b"POST %b HTTP/1.1\r\ncontent-length: 0\r\n\r\n" % target
            rig.wire.data_received(data[: 5 + at])
            rig.wire.data_received(data[5 + at :])
            exchange = rig.edge.asked[-1]
            assert (exchange.method, exchange.path, exchange.query) == ("POST", path, query)
            rig.edge.tell()

    run(main)


@pytest.mark.parametrize("target", [b"http://here", b"here:80", b"/\xff", b"/a b"])
def test_a_target_without_a_path_is_malformed(target: bytes) -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(b"POST %b HTTP/1.1\r\ncontent-length: 0\r\n\r\n" % target)
        assert (rig.edge.begun, rig.answers[0][:3], rig.transport.closing) == ([], "400", True)

    run(main)


@pytest.mark.parametrize("waiting", ["/later", "/asked"])
def test_while_a_request_waits_for_its_turn_nothing_more_is_read(waiting: str) -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request(waiting))
        assert rig.transport.reading
        rig.wire.data_received(request("/now"))
        assert not rig.transport.reading
        rig.edge.tell()
        await settled(rig)
        assert (rig.answers, rig.transport.reading) == (["200 ok", "200 ok"], True)

    run(main)


def test_who_does_not_read_its_answers_is_not_served_until_it_does() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.pause_writing()
        rig.wire.data_received(request("/now") + request("/now"))
        assert (rig.edge.begun, rig.transport.reading) == ([], False)
        rig.wire.resume_writing()
        assert (rig.answers, rig.transport.reading) == (["200 ok", "200 ok"], True)

    run(main)


def test_a_body_that_nobody_wants_stops_no_connection() -> None:
    async def main(rig: Rig) -> None:
        data = request("/livez", body=b"x" * 3 * BIG)
        rig.wire.data_received(data[:BIG])
        assert not rig.transport.reading
        await settled(rig)
        rig.wire.data_received(data[BIG : 2 * BIG])
        assert rig.transport.reading
        rig.wire.data_received(data[2 * BIG :])
        assert rig.cycle.waiting < BIG  # what came before the answer
        rig.wire.data_received(request("/now"))
        assert (rig.answers, rig.transport.reading) == (["200 live", "200 ok"], True)

    run(main)


@pytest.mark.parametrize("sent", ["nothing", "half", "error", "cancelled"])
def test_a_health_check_that_fails_is_answered_and_ends_its_connection(sent: str) -> None:
    async def fails(_: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        if sent == "half":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if sent == "error":
            raise ValueError("secret")
        if sent == "cancelled":
            raise asyncio.CancelledError

    async def main(rig: Rig) -> None:
        rig.use(fails)
        with capture_logs() as lines:
            rig.wire.data_received(request("/readyz") + request("/now"))
            await settled(rig)
        assert (rig.answers, rig.edge.begun, rig.transport.closing) == (["500 rror"], [], True)
        assert [line["event"] for line in lines] == ["request.failed"]
        assert "secret" not in str(lines)

    run(main)


def test_a_body_is_read_as_it_is_asked_for_and_no_faster() -> None:
    async def main(rig: Rig) -> None:
        data = request("/read", body=b"x" * 3 * BIG)
        rig.wire.data_received(data[:BIG])
        assert not rig.transport.reading
        await settled(rig)
        assert rig.transport.reading
        rig.wire.data_received(data[BIG:])
        await settled(rig)
        assert (rig.edge.bodies, rig.answers) == ([b"x" * 3 * BIG], ["200 ok"])

    run(main)


def test_what_comes_behind_a_chunked_body_is_no_header_and_is_not_kept() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(
            b"POST /read HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
        )
        rig.wire.data_received(b"x-forwarded-for: 10.0.0.1\r\n" * 100)
        assert rig.wire.requests.headers == [(b"transfer-encoding", b"chunked")]
        rig.wire.data_received(b"\r\n")
        await settled(rig)
        assert (rig.edge.bodies, rig.answers) == ([b"ab"], ["200 ok"])

    run(main)


def test_who_asks_is_told_to_go_on_once_and_only_when_its_body_is_wanted() -> None:
    async def main(rig: Rig) -> None:
        data = request("/read", "Expect: 100-Continue", body=b"{}")
        rig.wire.data_received(data[:-2])
        assert rig.transport.written == b""
        await settled(rig)
        assert rig.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
        rig.wire.data_received(data[-2:])
        await settled(rig)
        assert (rig.edge.bodies, rig.answers[1:]) == ([b"{}"], ["200 ok"])

    run(main)


def test_who_goes_away_in_the_middle_is_not_answered_and_leaves_no_task() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/read", body=b"half")[:-2])
        await settled(rig)
        assert len(rig.state.tasks) == 1
        rig.wire.connection_lost(None)
        await settled(rig)
        assert (rig.edge.bodies, rig.answers, rig.state.tasks) == ([b"gone"], [], set())

    run(main)


def test_where_nobody_answers_the_connection_ends() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/bug") + request("/now"))
        await settled(rig)
        assert (rig.answers, rig.transport.closing) == ([], True)

    run(main)


@pytest.mark.parametrize(
    "data",
    [
        request("/now", version="1.0"),
        request("/now", "Connection: close"),
        request("/now", "Connection: keep-alive", version="1.0"),
    ],
)
def test_a_connection_that_is_not_kept_ends_with_its_answer(data: bytes) -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(data)
        assert b"\r\nconnection: close\r\n\r\nok" in rig.transport.written
        assert rig.transport.closing

    run(main)


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now", method="HEAD"))
        assert rig.transport.written == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"

    run(main)


@pytest.mark.parametrize("path", ["/now", "/livez"])
def test_of_a_server_that_stops_each_answer_is_the_last_one(path: str) -> None:
    async def main(rig: Rig) -> None:
        rig.state.parting = True
        rig.wire.data_received(request(path))
        await settled(rig)
        assert b"connection: close\r\n" in rig.transport.written
        assert rig.transport.closing

    run(main)


@pytest.mark.parametrize("waiting", ["/later", "/asked"])
def test_a_request_that_came_in_the_last_moment_is_answered_when_the_server_breaks_off(
    waiting: str,
) -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request(waiting))
        await rig.server._break_off()
        assert rig.answers == ["401 no"]

    run(main)


def test_what_follows_a_last_request_does_not_take_its_answer() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now", "Connection: close") + request("/now"))
        assert (rig.answers, rig.transport.closing) == (["200 ok"], True)

    run(main)


def test_a_head_that_never_ends_is_refused_once() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(b"POST /now HTTP/1.1\r\n")
        for _ in range(8):
            rig.wire.data_received(b"a: " + b"b" * 8000)
        assert not rig.transport.written
        for _ in range(2):
            rig.wire.data_received(b"b" * 2000)
        assert (rig.transport.written, rig.transport.closing) == (REFUSAL, True)

    run(main)


def test_an_exchange_knows_who_calls() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now"))
        assert rig.cycle.peer == "192.0.2.9"

    run(main)


def test_a_connection_keeps_us_waiting_until_its_request_is_whole_and_after_the_answer() -> None:
    async def main(rig: Rig) -> None:
        data = request("/later", body=b"{}")
        waits = [rig.wire.waits]
        for piece in (data[:-1], data[-1:]):
            rig.wire.data_received(piece)
            waits.append(rig.wire.waits)
        rig.edge.tell()
        await settled(rig)
        assert [*waits, rig.wire.waits] == [True, True, False, True]

    run(main)


def test_of_all_connections_one_that_had_an_answer_gives_way_last() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now"))
        crowd = rig.wire._crowd
        crowd.most = 2
        other: Any = Rig().wire
        crowd.join(other)
        crowd.join(rig.server)  # type: ignore[arg-type]  # anybody
        assert (other.transport.closing, rig.transport.closing) == (True, False)
        crowd.leave(rig.server)  # type: ignore[arg-type]

    run(main)


def test_an_idle_connection_is_late_after_five_seconds_and_one_that_is_answered_is_not() -> None:
    async def main(rig: Rig) -> None:
        now = rig.wire.loop.time()
        rig.wire.data_received(request("/later"))
        assert not rig.wire.late(now + 1000)
        rig.wire.head._clock = lambda: now + 100
        rig.edge.told.set()
        await settled(rig)
        assert (rig.wire.late(now + 104.9), rig.wire.late(now + 105)) == (False, True)

    run(main)


def test_a_head_that_is_late_makes_its_connection_late_though_another_one_was_answered() -> None:
    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/now") + b"POST /half")
        now = rig.wire.loop.time()
        assert not rig.wire.late(now + 9.9)
        assert rig.wire.late(now + 10)

    run(main)


def test_a_connection_that_has_ended_leaves_nothing_to_the_garbage_collector() -> None:
    def alive() -> int:
        return sum(isinstance(each, Wire | Requests | Exchange) for each in gc.get_objects())

    async def main(rig: Rig) -> None:
        rig.wire.data_received(request("/no") + request("/now"))
        rig.wire.connection_lost(None)
        other = Rig()
        before = alive()
        rig.wire, rig.transport = other.wire, other.transport
        assert alive() == before - 2  # the connection and its requests

    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()
