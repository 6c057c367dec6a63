"""The benchmark's load generator counts what happened, and doubtful figures are flagged."""

import asyncio
import hmac
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import peers, push
from benchmarks.load import Load, generate, run_process
from benchmarks.processes import cpu_seconds, free_port, listening
from benchmarks.report import judge

PATH = peers.BARE.path
SOUND = Load(seconds=1.0, statuses={"200": 8}, lost=0, p50_ms=1.0, p99_ms=2.0, cpu_seconds=0.1)


def _parts(request: bytes) -> tuple[bytes, bytes, bytes]:
    """The delivery id, the signature and the body of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    found = re.search(rb"Delivery: (\S+)\r\n.*sha256=(\w+)", head, re.DOTALL)
    assert found
    return found[1], found[2], body


def test_every_request_has_its_own_delivery_and_body_and_a_true_signature() -> None:
    requests = [_parts(r) for r in itertools.islice(push.requests(PATH, 3, "secret"), 6)]

    assert len({delivery for delivery, _, _ in requests}) == 6
    assert len({body for _, _, body in requests}) == 6
    for _, signature, body in requests:
        assert hmac.digest(b"secret", body, "sha256").hex() == signature.decode()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The port and the pid of a running bare peer."""
    port = free_port()
    command = peers.BARE.command(port, tmp_path)
    with listening(command, port, tmp_path / "log", {"BENCH_SECRET": push.SECRET}) as process:
        yield port, process.pid


def test_a_bare_route_accepts_all_that_is_signed_and_nothing_else(
    bare: tuple[int, int],
) -> None:
    port, pid = bare

    signed = run_process(port, PATH, connections=4, seconds=0.3)
    forged = run_process(port, PATH, connections=4, seconds=0.1, secret="another")

    assert signed.accepted > 0
    assert signed.statuses == {"200": signed.accepted}
    assert signed.lost == 0
    assert signed.p50_ms <= signed.p99_ms
    assert forged.statuses == {"401": forged.refused}
    assert cpu_seconds(pid) > 0


async def _against_a_server_that_hangs_up_once() -> tuple[Load, int]:
    """What the generator saw, and how many requests the server received."""
    received = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while head := await reader.read(65536):
            assert head.endswith(b"}}")  # small enough to arrive whole on the loopback
            received += 1
            if received == 40:
                break
            status = b"503 Busy" if received % 3 == 0 else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        load = await generate(push.requests(PATH, 0), port, connections=3, seconds=0.2)
    return load, received


def test_counts_every_request_sent_as_answered_or_lost() -> None:
    load, received = asyncio.run(_against_a_server_that_hangs_up_once())

    assert received > 40
    assert load.lost == 1
    assert load.accepted + load.refused + load.lost == received


def test_believes_a_round_that_stored_what_it_accepted() -> None:
    assert judge(SOUND, SOUND, stored=16) == ()
    assert judge(SOUND, SOUND, stored=None) == ()


def test_doubts_a_round_that_stored_less_than_it_accepted() -> None:
    assert judge(SOUND, SOUND, stored=15) == ("16 answered 200 but 15 stored",)


def test_doubts_a_round_with_lost_refused_or_no_requests() -> None:
    assert judge(SOUND, replace(SOUND, lost=1), stored=16)
    assert judge(SOUND, replace(SOUND, statuses={"200": 8, "429": 1}), stored=16)
    assert judge(SOUND, replace(SOUND, statuses={}), stored=8)


def test_doubts_a_round_in_which_the_client_was_busy_throughout() -> None:
    assert judge(SOUND, replace(SOUND, cpu_seconds=0.95), stored=16)
