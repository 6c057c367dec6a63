"""Fetching keys and calling confirmation links: where a call may go, and how seldom one is made."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2
import pytest
import structlog
from structlog.testing import capture_logs

from gateway.adapters.outbound.budget import Budget
from gateway.adapters.outbound.calls import Ask, FetchError
from gateway.adapters.outbound.client import Client, is_public
from gateway.adapters.outbound.keys import Keys
from gateway.adapters.outbound.visits import Visits
from gateway.core.key_request import KeyRequest
from gateway.ports import Unavailable
from tests import leaping

NOW = 1_700_000_000.0
PUBLIC = "93.184.215.14"
ASK = Ask("keys.example.com", "/v1?a=b")


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    structlog.reset_defaults()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    leaping.run(coroutine)


class World:
    """The world outside: answers by path, counts who asked, and can be held up."""

    def __init__(self) -> None:
        self.answers: dict[str, httpx2.Response | Exception] = {}
        self.asked: list[httpx2.Request] = []
        self.addresses = [PUBLIC]
        self.gate = asyncio.Event()
        self.gate.set()

    def says(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.answers[path] = httpx2.Response(status, content=body, headers=headers)

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        await self.gate.wait()
        answer = self.answers.get(request.url.path, httpx2.Response(404))
        if isinstance(answer, Exception):
            raise answer
        stream = httpx2.ByteStream(answer.content)
        return httpx2.Response(answer.status_code, stream=stream, headers=answer.headers)

    async def resolve(self, host: str) -> list[str]:
        return self.addresses

    def client(self, timeout: float = 2.0) -> Client:
        transport = httpx2.MockTransport(self.answer)
        return Client(timeout, resolve=self.resolve, transport=transport, most_bytes=100)


def asked(path: str = "/key", **given: Any) -> KeyRequest:
    host = "keys.example.com"
    fields = {"form": "text", "max_age": 1000.0, "stale": 5000.0, **given}
    return KeyRequest("orders", f"https://{host}{path}", host=host, target=path, **fields)


# The client


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/v1", b"hello")
        answer = await world.client().fetch(ASK)
        (request,) = world.asked
        assert (answer.status, answer.body) == (200, b"hello")
        assert (request.url.host, request.headers["host"]) == (PUBLIC, "keys.example.com")
        assert request.extensions["sni_hostname"] == "keys.example.com"
        assert request.url.raw_path == b"/v1?a=b"
        assert request.headers["accept-encoding"] == "identity"

    run(scenario())


PRIVATE = """
127.0.0.1 10.0.0.7 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255
::1 :: fe80::1 fe80::1%eth0 fd00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1
2002:7f00:1:: 2001::1 nonsense
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_an_address_that_is_not_public_is_never_called(address: str) -> None:
    async def scenario() -> None:
        world = World()
        for addresses in ([address], [PUBLIC, address]):
            world.addresses = addresses
            with pytest.raises(FetchError, match="address_not_public"):
                await world.client().fetch(ASK)
        assert not world.asked

    assert not is_public(address)
    run(scenario())


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, (PUBLIC, "2606:4700::1111", "::ffff:93.184.215.14")))


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/v1", status=302, location="https://keys.example.com/elsewhere")
        assert (await world.client().fetch(ASK)).status == 302
        assert len(world.asked) == 1

    run(scenario())


def test_a_large_and_a_slow_answer_are_given_up() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/v1", b"x" * 101)
        with pytest.raises(FetchError, match="too_large"):
            await world.client().fetch(ASK)
        world.gate.clear()
        with pytest.raises(FetchError, match="timeout"):
            await world.client(timeout=0.01).fetch(ASK)

    run(scenario())


def test_a_packed_answer_is_given_up() -> None:
    async def packed(request: httpx2.Request) -> httpx2.Response:
        stream = httpx2.ByteStream(b"\x1f\x8b bomb")
        return httpx2.Response(200, stream=stream, headers={"Content-Encoding": "gzip"})

    async def scenario() -> None:
        client = Client(resolve=World().resolve, transport=httpx2.MockTransport(packed))
        with pytest.raises(FetchError, match="encoded"):
            await client.fetch(ASK)

    run(scenario())


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async def scenario() -> None:
        calls: list[str] = []

        async def answer(request: httpx2.Request) -> httpx2.Response:
            calls.append(request.url.host)
            if ":" in request.url.host:
                raise httpx2.ConnectError("no route")
            return httpx2.Response(200, stream=httpx2.ByteStream(b""))

        world = World()
        world.addresses = ["2606:4700::1111", PUBLIC]
        client = Client(resolve=world.resolve, transport=httpx2.MockTransport(answer))
        assert (await client.fetch(ASK)).status == 200
        assert calls == ["2606:4700::1111", PUBLIC]
        world.addresses = ["2606:4700::1111"]
        with pytest.raises(FetchError, match="unreachable"):
            await client.fetch(ASK)

    run(scenario())


def test_a_name_that_does_not_resolve_is_told() -> None:
    async def scenario() -> None:
        async def unknown(host: str) -> list[str]:
            raise OSError("no such name")

        with pytest.raises(FetchError, match="unresolved"):
            await Client(resolve=unknown).fetch(ASK)

    run(scenario())


# The keys


def test_a_key_is_fetched_once_until_it_is_old() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        keys = Keys(world.client())
        for later in (0, 1, 700):
            assert await keys.keys_for(asked(), NOW + later) == (b"one",)
        assert len(world.asked) == 1
        world.says("/key", b"two")
        assert await keys.keys_for(asked(), NOW + 1001) == (b"two",)
        assert len(world.asked) == 2

    run(scenario())


def test_those_who_come_at_once_share_one_fetch_and_one_who_leaves_does_not_end_it() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        world.gate.clear()
        keys = Keys(world.client())
        waiting = [asyncio.create_task(keys.keys_for(asked(), NOW)) for _ in range(5)]
        await until(lambda: len(world.asked) == 1)
        waiting[0].cancel()
        world.gate.set()
        assert await asyncio.gather(*waiting[1:]) == [(b"one",)] * 4
        assert len(world.asked) == 1

    run(scenario())


def test_an_ageing_key_is_refreshed_and_nobody_waits_for_it() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        keys = Keys(world.client())
        await keys.keys_for(asked(), NOW)
        world.says("/key", b"two")
        assert await keys.keys_for(asked(), NOW + 801) == (b"one",)
        await until(lambda: len(world.asked) == 2 and not keys._flights)
        assert await keys.keys_for(asked(), NOW + 802) == (b"two",)

    run(scenario())


@pytest.mark.parametrize("status", [500, 429, 403, 302])
def test_an_old_key_serves_while_its_place_is_away_but_not_for_ever(status: int) -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        keys = Keys(world.client())
        await keys.keys_for(asked(), NOW)
        world.says("/key", b"sorry", status=status)
        with capture_logs() as lines:
            assert await keys.keys_for(asked(), NOW + 1500) == (b"one",)
            assert await keys.keys_for(asked(), NOW + 5999) == (b"one",)
            await until(lambda: not keys._flights)
            with pytest.raises(Unavailable):
                await keys.keys_for(asked(), NOW + 6010)
        assert {line["event"] for line in lines} == {"key.fetch_failed"}
        assert lines[0]["error"].endswith(f"_{status}")

    run(scenario())


def test_a_key_that_is_gone_serves_no_longer() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        keys = Keys(world.client())
        await keys.keys_for(asked(), NOW)
        world.says("/key", status=404)
        assert await keys.keys_for(asked(), NOW + 1500) == ()

    run(scenario())


def test_a_place_that_does_not_answer_is_no_verdict_and_is_asked_again_soon() -> None:
    async def scenario() -> None:
        world = World()
        world.answers["/key"] = httpx2.ConnectError("refused")
        keys = Keys(world.client())
        for later in (0, 1, 4):
            with pytest.raises(Unavailable):
                await keys.keys_for(asked(), NOW + later)
        assert len(world.asked) == 1
        world.says("/key", b"one")
        assert await keys.keys_for(asked(), NOW + 6) == (b"one",)

    run(scenario())


def test_an_unknown_key_of_a_set_is_looked_for_again_after_a_pause() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b'{"keys": []}')
        keys = Keys(world.client())
        for number in range(50):
            request = asked(form="jwks", key_id=f"k{number}")
            assert await keys.keys_for(request, NOW + number / 2) == ()
        assert len(world.asked) == 1
        assert await keys.keys_for(request, NOW + 31) == ()
        assert len(world.asked) == 2

    run(scenario())


def test_forged_names_cannot_make_traffic_nor_hide_the_keys_that_are_known() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        keys = Keys(world.client(), Budget(per_minute=10, burst=20))
        await keys.keys_for(asked(), NOW)
        for number in range(500):
            assert await keys.keys_for(asked(f"/forged-{number}"), NOW + number * 0.12) == ()
        assert len(world.asked) <= 20 + 10
        assert await keys.keys_for(asked(), NOW + 60) == (b"one",)

    run(scenario())


def test_at_most_so_many_documents_are_kept_and_the_used_ones_stay() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/key", b"one")
        keys = Keys(world.client(), Budget(burst=1000), most=10)
        for number in range(50):
            await keys.keys_for(asked(), NOW)
            await keys.keys_for(asked(f"/forged-{number}"), NOW)
        assert len(keys._documents) == 10
        assert len([each for each in world.asked if each.url.path == "/key"]) == 1

    run(scenario())


def test_a_page_instead_of_a_key_is_an_unknown_key_and_ends_no_known_one() -> None:
    async def scenario() -> None:
        world = World()
        request = asked(value="key")
        world.says("/key", b"<html>")
        keys = Keys(world.client())
        assert await keys.keys_for(request, NOW) == ()
        world.says("/key", b'{"key": "one"}')
        assert await keys.keys_for(request, NOW + 40) == (b"one",)
        world.says("/key", b"<html>")
        with capture_logs() as lines:
            assert await keys.keys_for(request, NOW + 1500) == (b"one",)
        assert lines[0]["error"] == "no_key_in_200"

    run(scenario())


def test_a_token_is_fetched_before_the_key_kept_and_renewed_when_it_is_refused() -> None:
    async def scenario() -> None:
        world = World()
        token = asked("/token", value="access_token", method="POST", body=b"grant=x", max_age=600.0)
        world.says("/token", json.dumps({"access_token": "t-1"}).encode())
        world.says("/a", b"one")
        world.says("/b", b"two")
        keys = Keys(world.client())
        assert await keys.keys_for(asked("/a", token=token), NOW) == (b"one",)
        assert await keys.keys_for(asked("/b", token=token), NOW) == (b"two",)
        assert [each.url.path for each in world.asked] == ["/token", "/a", "/b"]
        assert world.asked[0].content == b"grant=x"
        assert world.asked[2].headers["authorization"] == "Bearer t-1"
        world.says("/c", status=401)
        with capture_logs() as lines, pytest.raises(Unavailable):
            await keys.keys_for(asked("/c", token=token), NOW + 1)
        assert lines[0]["error"] == "status_401"
        world.says("/c", b"three")
        assert await keys.keys_for(asked("/c", token=token), NOW + 7) == (b"three",)
        assert [each.url.path for each in world.asked[3:]] == ["/c", "/token", "/c"]

    run(scenario())


def test_closing_gives_up_what_is_under_way() -> None:
    async def scenario() -> None:
        world = World()
        world.gate.clear()
        keys = Keys(world.client())
        waiting = asyncio.create_task(keys.keys_for(asked(), NOW))
        await until(lambda: len(world.asked) == 1)
        await keys.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(scenario())


# Confirmation links

HOSTS = (r"keys\.example\.com",)
LINK = "https://keys.example.com/confirm?Token=s3cret"


def test_a_link_is_called_and_told_without_its_query() -> None:
    async def scenario() -> None:
        world = World()
        world.says("/confirm")
        visits = Visits(world.client())
        with capture_logs() as lines:
            visits.visit(LINK, HOSTS, source="orders")
            await visits.settle()
        assert world.asked[0].url.raw_path == b"/confirm?Token=s3cret"
        told = {"event": "visit.done", "source": "orders", "host": "keys.example.com"}
        assert lines == [{**told, "log_level": "info"}]
        assert "s3cret" not in str(lines)

    run(scenario())


@pytest.mark.parametrize(
    "url", ["https://evil.example/?s3cret", "http://keys.example.com/", b"\xff", ""]
)
def test_a_link_elsewhere_is_not_called(url: str) -> None:
    async def scenario() -> None:
        world = World()
        visits = Visits(world.client())
        with capture_logs() as lines:
            visits.visit(url, HOSTS)
        assert [line["event"] for line in lines] == ["visit.refused"]
        assert not world.asked
        assert "s3cret" not in str(lines)

    run(scenario())


def test_a_link_is_tried_three_times_and_then_told() -> None:
    async def scenario() -> None:
        paused: list[float] = []

        async def pause(seconds: float) -> None:
            paused.append(seconds)

        world = World()
        world.answers["/confirm"] = httpx2.ConnectError("refused")
        visits = Visits(world.client(), pause=pause)
        with capture_logs() as lines:
            visits.visit(LINK, HOSTS)
            await visits.settle()
        assert (len(world.asked), len(paused)) == (3, 2)
        assert [(line["event"], line["error"]) for line in lines] == [("visit.failed", "unreachable")]

    run(scenario())


def test_only_so_many_links_are_called_at_once() -> None:
    async def scenario() -> None:
        world = World()
        world.gate.clear()
        visits = Visits(world.client(), most=2)
        with capture_logs() as lines:
            for _ in range(4):
                visits.visit(LINK, HOSTS)
            await until(lambda: len(world.asked) == 2)
            await visits.aclose()
        assert [line["error"] for line in lines] == ["too_many", "too_many"]

    run(scenario())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)
