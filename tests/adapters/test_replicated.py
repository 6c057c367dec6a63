"""`durability = "replicated"`: what is acknowledged is in a replica, a duplicate's first event too."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing

import pytest
from redis.exceptions import AuthenticationError, BusyLoadingError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.adapters.ledger.absence import TooFewReplicas, absence_of
from gateway.adapters.ledger.async_ledger import AsyncLedger
from gateway.adapters.ledger.redis_clients import async_client, blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.script_line import ScriptLine
from gateway.core.event import Arrival
from gateway.core.outcomes import Absence, Acceptance
from gateway.ports import Unavailable
from gateway.settings import RedisSettings
from tests.adapters.ledger_rig import GITHUB, LOOK, an_event
from tests.chaos.servers import Pair

LIMIT = 20.0  # seconds; the server waits for half of it
IN_VAIN = 1.0  # where it waits for nobody
Accept = Callable[[str], Awaitable[Acceptance | Absence | None]]


@pytest.fixture(scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


@pytest.fixture
def pair(_pair: Pair) -> Iterator[Pair]:
    """Emptied, each in its place."""
    with ExitStack() as stack:
        stack.callback(_pair.replica.signal, signal.SIGCONT)
        _pair.primary.ask("FLUSHALL")
        yield _pair


def ask(
    pair: Pair,
    test: Callable[[Accept], Awaitable[None]],
    replicas: int = 1,
    limit: float = LIMIT,
) -> None:
    """`test` gets a function that sends an event: over one line, as the ingest does."""

    async def main() -> None:
        async with (
            async_client(pair.primary.url, limit) as client,
            aclosing(ScriptLine(client, Keys())) as line,
        ):
            ledger = AsyncLedger(line, look_ms=LOOK, replicas=replicas)

            async def accept(value: str) -> Acceptance | Absence | None:
                try:
                    (answer,) = await ledger.accept([Arrival(an_event(value), ("archive",))], GITHUB)
                except Unavailable as error:
                    return error.absence
                return answer

            await test(accept)

    asyncio.run(main())


def has(pair: Pair, value: str) -> bool:
    with pair.replica.client() as client:
        return bool(client.exists(Keys().event(an_event(value).id)))


def test_what_is_acknowledged_is_in_the_replica(pair: Pair) -> None:
    async def test(accept: Accept) -> None:
        for number in range(20):
            assert await accept(str(number)) is Acceptance.ACCEPTED
            assert has(pair, str(number))

    ask(pair, test)


def test_an_event_that_no_replica_confirms_is_not_acknowledged_nor_is_its_repeat(pair: Pair) -> None:
    async def test(accept: Accept) -> None:
        for _ in range(2):  # before our own patience ends: else there were no answer
            assert await accept("1") is Absence.TOO_FEW_REPLICAS

    async def by_another_gateway(accept: Accept) -> None:
        """Whose connection has written nothing: by itself WAIT would wait for nothing here."""
        assert await accept("1") is Absence.TOO_FEW_REPLICAS

    async def when_it_is_back(accept: Accept) -> None:
        assert await accept("1") is Acceptance.PENDING
        assert has(pair, "1")

    pair.replica.signal(signal.SIGSTOP)
    ask(pair, test, limit=IN_VAIN)
    ask(pair, by_another_gateway, limit=IN_VAIN)
    pair.replica.signal(signal.SIGCONT)
    ask(pair, when_it_is_back)


def test_what_was_acknowledged_outlives_the_primary(pair: Pair) -> None:
    async def test(accept: Accept) -> None:
        for number in range(20):
            assert await accept(str(number)) is Acceptance.ACCEPTED
        pair.primary.kill()
        pair.replica.lead()
        assert all(has(pair, str(number)) for number in range(20))

    try:
        ask(pair, test)
    finally:
        pair.primary.start()
        pair.replica.follow(pair.primary)


def test_a_forgotten_script_and_a_full_memory_leave_no_answer_behind(pair: Pair) -> None:
    async def test(accept: Accept) -> None:
        pair.primary.ask("SCRIPT", "FLUSH")
        assert await accept("1") is Acceptance.ACCEPTED
        pair.primary.ask("CONFIG", "SET", "maxmemory", 1)
        assert await accept("2") is Absence.OUT_OF_MEMORY
        assert await accept("1") is Acceptance.PENDING  # a repeat needs no memory
        pair.primary.ask("CONFIG", "SET", "maxmemory", 0)
        assert await accept("2") is Acceptance.ACCEPTED

    ask(pair, test)


def test_more_replicas_than_there_are_confirm_nothing(pair: Pair) -> None:
    async def test(accept: Accept) -> None:
        assert await accept("1") is Absence.TOO_FEW_REPLICAS

    ask(pair, test, replicas=2, limit=IN_VAIN)


def test_who_asks_for_none_waits_for_none(pair: Pair) -> None:
    async def test(accept: Accept) -> None:
        pair.replica.signal(signal.SIGSTOP)
        assert await accept("1") is Acceptance.ACCEPTED

    ask(pair, test, replicas=0)


def test_a_primary_that_was_made_a_replica_is_away_and_its_connections_are_left(pair: Pair) -> None:
    """It may be a name or an address behind which another server stands by now."""

    async def test(accept: Accept) -> None:
        assert await accept("1") is Acceptance.ACCEPTED
        with blocking_client(pair.primary.url, LIMIT) as client:
            client.ping()
            before = {each["id"] for each in pair_clients(pair)}
            pair.replica.lead()
            pair.primary.follow(pair.replica)
            assert await accept("2") is Absence.READ_ONLY
            assert await accept("1") is Absence.READ_ONLY, "a replica can promise nothing"
            with pytest.raises(ReadOnlyError):
                client.set("a", "1")
            pair.primary.lead()
            pair.replica.follow(pair.primary)
            client.set("a", "1")
            assert await accept("2") is Acceptance.ACCEPTED
            assert not before & {each["id"] for each in pair_clients(pair)}

    try:
        ask(pair, test)
    finally:
        pair.primary.lead()
        pair.replica.follow(pair.primary)


def pair_clients(pair: Pair) -> list[dict[str, str]]:
    """Those that stay: connections of clients, without the one that asks."""
    with pair.primary.client() as client:
        mine = str(client.client_id())
        listed: list[dict[str, str]] = client.client_list(_type="normal")
    return [each for each in listed if each["id"] != mine]


@pytest.mark.parametrize(
    ("error", "absence"),
    [
        (TooFewReplicas("0 of 1"), Absence.TOO_FEW_REPLICAS),
        (RedisConnectionError("Connection refused"), Absence.UNREACHABLE),
        (OSError("no route"), Absence.UNREACHABLE),
        (TimeoutError(), Absence.NO_ANSWER),
        (RedisTimeoutError("slow"), Absence.NO_ANSWER),
        (BusyLoadingError("loading the dataset in memory"), Absence.LOADING),
        (AuthenticationError("invalid password"), Absence.ACCESS_DENIED),
        (ReadOnlyError("You can't write against a read only replica."), Absence.READ_ONLY),
        (RedisConnectionError("The previous master is now a slave"), Absence.READ_ONLY),
        (ResponseError("Error running script: -READONLY You can't"), Absence.READ_ONLY),
        (
            ResponseError("OOM command not allowed when used memory > 'maxmemory'"),
            Absence.OUT_OF_MEMORY,
        ),
        (ResponseError("Error running script: @user_script:1: -OOM command"), Absence.OUT_OF_MEMORY),
        (ResponseError("MISCONF Errors writing to the AOF file: No space"), Absence.DISK_FAULT),
        (ResponseError("user_script:7: attempt to index a nil value"), Absence.SERVER_ERROR),
    ],
)
def test_every_error_of_the_server_has_its_word(error: Exception, absence: Absence) -> None:
    assert absence_of(error) is absence


def test_only_the_replicated_promise_waits_for_replicas() -> None:
    assert RedisSettings(durability="replicated", replicas=2).awaited_replicas == 2
    assert RedisSettings(replicas=2).awaited_replicas == 0


def test_a_repeat_is_not_promised_by_a_server_that_was_made_a_replica(pair: Pair) -> None:
    """What it has it may forget, as soon as it hears from its own primary."""

    async def test(accept: Accept) -> None:
        assert await accept("1") is Acceptance.ACCEPTED
        pair.primary.ask("REPLICAOF", "127.0.0.1", 1)
        try:
            assert await accept("1") is Absence.READ_ONLY
        finally:
            pair.primary.lead()
        assert await accept("1") is Acceptance.PENDING

    ask(pair, test, replicas=0)
