"""The benchmark's load generator counts what happened, and doubtful figures are flagged."""

import asyncio
import hmac
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import (
    backlog,
    drain,
    flat,
    latency,
    memory,
    peers,
    push,
    reject,
    scale,
    server,
    share,
    start,
)
from benchmarks.__main__ import PARTS, parse
from benchmarks.generator import generate
from benchmarks.harness import Bench, Options
from benchmarks.ingest import measure
from benchmarks.load import Load, Plan, judge, run_process
from benchmarks.peers.hookline import SOURCE, Hookline
from benchmarks.plot import OTHERS, OURS, picture
from benchmarks.processes import cpu_seconds, free_port, listening, memory_mb
from benchmarks.report import Row, Table, medians, render

PATH = peers.BARE.path
SVG = "{http://www.w3.org/2000/svg}"
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
    command, environment = peers.BARE.command(port, tmp_path, "")
    with listening(command, port, tmp_path / "log", environment) as process:
        yield port, process.pid


def test_a_bare_route_accepts_all_that_is_signed_and_nothing_else(
    bare: tuple[int, int],
) -> None:
    port, pid = bare

    signed = run_process(port, PATH, connections=4, seconds=0.3)
    forged = run_process(port, PATH, connections=4, seconds=0.1, secret="another")
    steady = Plan(port, PATH, connections=4, seconds=0.3, rate=100.0, spread=1).run()

    assert signed.accepted > 0
    assert signed.statuses == {"200": signed.accepted}
    assert signed.lost == 0
    assert signed.p50_ms <= signed.p99_ms
    assert forged.statuses == {"401": forged.refused}
    assert set(steady.statuses) == {"200"}
    assert 25 <= steady.accepted <= 31
    assert cpu_seconds(pid) > 0
    assert memory_mb(pid)["Rss"] > 1


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


async def _against_a_server_that_closes_after_each() -> tuple[Load, int]:
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if await reader.read(65536):
            writer.write(b"HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        load = await generate(push.requests(PATH, 0), port, 2, 0.2, spread=True)
    return load, connections


def test_a_connection_that_is_closed_after_an_answer_is_opened_anew() -> None:
    load, connections = asyncio.run(_against_a_server_that_closes_after_each())

    assert load.lost == 0
    assert 2 < load.refused <= connections


def test_a_table_has_medians_ratios_to_its_baseline_and_a_mark_on_what_is_doubted() -> None:
    rounds = [Row("one", {"req/s": n}) for n in (1.0, 9.0, 2.0)] + [
        Row("two", {"req/s": 4.0}, ("odd",))
    ]

    table = Table("speed", medians(rounds), "one", ("req/s",))
    found = render(table).splitlines()

    assert table.doubted
    assert found[2].split() == ["one", "2.00", "1.00x"]
    assert found[3].split() == ["two!", "4.00", "2.00x"]
    assert found[4] == "! two: odd"


def test_all_parts_are_run_unless_some_are_named() -> None:
    assert parse([])[0] == list(PARTS)
    assert parse(["drain", "start", "drain"])[0] == ["drain", "start"]
    assert parse(["--quick", "--rounds", "7"])[1] == replace(Options.quick(), rounds=7)


SLICE = Options(
    rounds=1,
    seconds=0.3,
    warmup=0.1,
    connections=4,
    jobs=200,
    pending=5000,
    webhooks=4,
    only=("hookline",),
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The smallest run: its figures mean nothing."""
    with server.running(tmp_path) as store:
        yield Bench(SLICE, store, tmp_path)


def _sound(tables: list[Table]) -> list[dict[str, float]]:
    """The figures of all rows, none of which is doubted."""
    assert not [row.faults for table in tables for row in table.rows if row.faults]
    assert all(render(table) for table in tables)
    return [row.figures for table in tables for row in table.rows]


def test_ingest_is_measured_by_what_was_stored(bench: Bench) -> None:
    row = measure(bench, peers.HOOKLINE, rate=0.0)

    assert row.figures["req/s"] > 0
    assert not any("stored" in fault for fault in row.faults)


def test_a_drain_ends_with_an_empty_backlog(bench: Bench) -> None:
    figures = _sound([Table("drain", [drain.measure(bench, drain.NO_OP[0])])])

    assert figures[0]["jobs/s"] > 0
    assert bench.store.client.zcard(f"hookline:pending:{SOURCE}") == 0


def test_latency_is_known_of_every_webhook(bench: Bench) -> None:
    (figures,) = _sound(latency.run(bench))

    assert figures["webhooks"] == 4
    assert figures["answer p50"] > 0
    assert 0 < figures["p50 ms"] <= figures["p99 ms"] <= figures["max ms"]


def test_costs_are_measured_at_two_backlogs(bench: Bench) -> None:
    tables = flat.run(bench)

    assert [len(table.rows) for table in tables] == [2, 2]
    figures = _sound(tables)
    assert min(value for each in figures for value in each.values()) > 0


@pytest.mark.parametrize(
    ("made", "group", "said"),
    [
        ("cgroup.controllers", "", {"cpu.max": "4000 20000"}),
        ("cpu/", "cpu", {"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "4000"}),
    ],
)
def test_a_process_is_held_to_its_share_in_either_kind_of_control_group(
    tmp_path: Path, made: str, group: str, said: dict[str, str]
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / made).touch()
    found: dict[str, str] = {}

    with share.held(4711, "one", 0.2, tmp_path):
        (place,) = (tmp_path / group).glob("hookline-bench-*")
        for file in place.iterdir():  # those of the kernel are no obstacle to removing a group
            found[file.name] = file.read_text()
            file.unlink()

    assert found == {**said, "cgroup.procs": "4711"}
    assert not place.exists()


@pytest.mark.skipif(bool(share.missing()), reason=share.missing() or "-")
def test_each_of_several_gateway_processes_is_held_to_its_share(bench: Bench) -> None:
    (figures,) = _sound([Table("scale", [scale.measure(bench, "2 processes", 2)])])

    assert figures["req/s"] > 0
    assert 0 < figures["cores"] < 2 * scale.SHARE * 1.5


@pytest.mark.parametrize(
    ("handed_down", "reason"), [("cpu memory", ""), ("memory", "no control groups")]
)
def test_a_group_is_of_use_only_where_the_one_above_hands_down_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed_down: str, reason: str
) -> None:
    monkeypatch.setattr(share, "ROOT", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    (tmp_path / "cgroup.subtree_control").write_text(handed_down)

    assert reason in share.missing()
    assert bool(reason) == bool(share.missing())


def test_without_control_groups_the_sum_of_processes_is_left_out_with_a_word(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(share, "ROOT", bench.directory)

    assert scale.run(bench) == []
    assert "scale is left out: only root may make control groups" in capsys.readouterr().err


def test_memory_of_an_event_is_broken_down_by_kind_of_key(bench: Bench) -> None:
    deployment = Hookline(bench.place("kinds"), bench.store.url).write()
    assert len(backlog.fill(bench.store, deployment, 3, b"x" * 5000)) == 3

    kinds = memory.by_kind(bench.store.client)

    assert {"event", "body", "pending", "rq job"} <= kinds.keys()
    assert kinds["body"] > 3 * 5000
    assert kinds["event"] < kinds["body"]


def test_forged_requests_are_all_refused_and_genuine_ones_are_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reject, "FLOOD", 0.1)  # three times what this machine can do takes it long
    costs = {name: reject.COSTS[name] for name in (reject.FRESH, "forged")}
    monkeypatch.setattr(reject, "COSTS", costs)
    accepted, forged, *_ = _sound(reject.run(bench))

    assert accepted["commands"] > 1 / 200  # one call of a script for many, at least
    assert forged["CPU µs"] > 0


def test_start_is_measured_until_readiness(bench: Bench) -> None:
    row = start.measure(bench, "serve")

    assert row.faults == ()
    assert row.figures["ready ms"] > 0
    assert row.figures["RSS MB"] > 1


def test_the_picture_has_a_bar_for_each_peer_and_hooklines_in_colour() -> None:
    rows = [Row("node <b>", {"req/s": 50.0}), Row("hookline", {"req/s": 100.0})]
    drawn = picture([Table("ingest", rows, "node <b>", ("req/s",)), Table("steady", rows)])
    bars = [each for each in ElementTree.fromstring(drawn).iter(f"{SVG}rect") if each.get("x")]
    widths = {each.get("fill"): int(each.get("width", "0")) for each in bars}
    assert widths[OURS] == 2 * widths[OTHERS]
    assert len(bars) == 2  # what was held at one rate is no race
    assert "node <b>" in [each.text for each in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
