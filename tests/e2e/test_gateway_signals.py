"""What refuses to start, what a reload changes, and that a stop loses nothing."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.http.leaving import ECHO_SECONDS
from gateway.settings import ServerSettings
from tests.e2e.deployments import SIGNED, event, processors, settings, signed
from tests.e2e.ledger_view import LedgerView
from tests.e2e.redis_server import RedisServer
from tests.e2e.rig import PATIENT, SECRET, Deployment, Gateway, until
from tests.e2e.wire import read_answer, request

NOTHING = {"nothing": processors(("plain", "*"), ("late", "*"))}
NEW_SECRET = "n3w-canary-" + "77aa" * 8
SECRETS = {"SECRET": SECRET, "NEW_SECRET": NEW_SECRET}


def a_deployment(root: Path, server: str = "", rest: str = "", **sources: str) -> Deployment:
    text = settings(server, rest, "" if "[redis]" in rest else PATIENT)
    return Deployment(root, sources or {"plain": SIGNED}, text, NOTHING, SECRETS)


@pytest.fixture(scope="module")
def running(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """For reloads; each test leaves it with the source "plain" only."""
    with Gateway(a_deployment(tmp_path_factory.mktemp("running")), server.url) as gateway:
        yield gateway


def reload(gateway: Gateway, ending: str = "reload.done", **sources: str) -> None:
    """Writes these sources and sends SIGHUP; returns when the log says how that ended."""
    before = len(gateway.logs(ending))
    for old in (gateway.deployment.root / "config" / "sources").iterdir():
        old.unlink()
    a_deployment(gateway.deployment.root, **sources).write()
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.logs(ending)) > before, what=ending)


def post(gateway: Gateway, source: str = "plain", secret: str = SECRET) -> int:
    body = event(at=time.monotonic_ns())
    return gateway.send(f"/hooks/{source}", body, signed(body, secret=secret)).status


def test_a_reload_brings_new_sources_and_takes_removed_ones_away(running: Gateway) -> None:
    assert (post(running), post(running, "late")) == (200, 401)
    reload(running, plain=SIGNED, late=SIGNED)
    assert (post(running), post(running, "late")) == (200, 200)
    assert 'source="late"' in running.metrics()
    reload(running, plain=SIGNED)
    assert (post(running), post(running, "late")) == (200, 401)


def test_a_reload_changes_secrets_without_a_gap(running: Gateway) -> None:
    both = SIGNED.replace('"env:SECRET"', '"env:NEW_SECRET", "env:SECRET"')
    reload(running, plain=both)
    assert (post(running), post(running, secret=NEW_SECRET)) == (200, 200)
    reload(running, plain=SIGNED.replace("SECRET", "NEW_SECRET"))
    assert (post(running), post(running, secret=NEW_SECRET)) == (401, 200)
    reload(running, plain=SIGNED)
    assert (post(running), post(running, secret=NEW_SECRET)) == (200, 401)


def test_a_faulty_reload_is_refused_with_its_faults_and_the_old_stays(running: Gateway) -> None:
    faulty = 'secrets = ["env:UNSET"]\npreset = "stripe"\n'
    reload(running, "reload.refused", plain='rate_limt = "1/day"' + SIGNED, late=faulty)
    assert (post(running), post(running, "late")) == (200, 401)
    faults = {(Path(line["file"]).name, line["key"]) for line in running.logs("reload.refused")}
    assert faults == {("plain.toml", "rate_limt"), ("late.toml", "secrets[0]")}
    reload(running, plain=SIGNED)


def test_requests_during_a_reload_are_all_answered(running: Gateway) -> None:
    for number in range(5):
        reload_sources = {"plain": SIGNED, **({"late": SIGNED} if number % 2 == 0 else {})}
        before = len(running.logs("reload.done"))
        a_deployment(running.deployment.root, **reload_sources).write()
        running.signal(signal.SIGHUP)
        assert [post(running) for _ in range(10)] == [200] * 10
        until(lambda: len(running.logs("reload.done")) > before)  # noqa: B023 - called at once
    reload(running, plain=SIGNED)


def half_sent(gateway: Gateway, body: bytes, event_id: str) -> socket.socket:
    """A request whose last byte is still to come."""
    sock = socket.create_connection(gateway.address, timeout=60)
    sock.sendall(request("POST", "/hooks/plain", body, signed(body, event_id))[:-1])
    return sock


def refuses(gateway: Gateway) -> bool:
    try:
        socket.create_connection(gateway.address, timeout=1).close()
    except ConnectionError:
        return True
    return False


def test_sigterm_ends_open_requests_first_and_the_exit_status_is_0(
    server: EmbeddedServer, tmp_path: Path, ledger: LedgerView
) -> None:
    body = event(last=True)
    with Gateway(a_deployment(tmp_path, 'grace = "1m"'), server.url) as gateway:
        with half_sent(gateway, body, "open-at-the-end") as sock:
            gateway.signal(signal.SIGTERM)
            until(lambda: refuses(gateway))
            sock.sendall(body[-1:])
            answer = read_answer(sock)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert gateway.process.wait(60) == 0
    assert ledger.stored("plain", "open-at-the-end") == body


def test_a_draining_gateway_says_so_and_takes_connections_until_it_is_told_again(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    body = event(draining=True)
    with Gateway(a_deployment(tmp_path, 'drain = "1h"'), server.url) as gateway:
        gateway.signal(signal.SIGTERM)
        until(lambda: gateway.get("/readyz").status == 503)
        heard = time.monotonic()
        answer = gateway.send("/hooks/plain", body, signed(body))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert gateway.get("/readyz", admin=True).status == 503
        until(lambda: time.monotonic() > heard + ECHO_SECONDS + 0.1)
        assert gateway.stop() == 0


def test_who_does_not_end_within_the_grace_is_told_to_come_again(
    server: EmbeddedServer, tmp_path: Path, ledger: LedgerView
) -> None:
    body = event(stuck=True)
    with Gateway(a_deployment(tmp_path, 'grace = "1s"'), server.url) as gateway:
        with half_sent(gateway, body, "stuck") as sock:
            began = time.monotonic()
            gateway.signal(signal.SIGTERM)
            answer = read_answer(sock)
            assert gateway.process.wait(60) == 0
        assert answer.status == 503
        assert 5 <= int(answer.headers["retry-after"]) <= 10
        assert time.monotonic() - began < ServerSettings().grace
    assert ledger.stored("plain", "stuck") is None


def children(gateway: Gateway) -> set[int]:
    pid = gateway.process.pid
    return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def serving(gateway: Gateway) -> set[int]:
    """The children that have come so far as to handle signals."""
    return {pid for pid in children(gateway) if _handles(pid, signal.SIGHUP)}


def _handles(pid: int, number: signal.Signals) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (number - 1))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for children in /proc")
def test_several_processes_replace_who_dies_reload_together_and_stop_together(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    with Gateway(a_deployment(tmp_path), server.url, "--workers", "2") as gateway:
        until(lambda: len(serving(gateway)) == 2)
        first, second = serving(gateway)
        os.kill(first, signal.SIGKILL)
        until(lambda: _answers_with_two(gateway, without=first))
        assert second in serving(gateway)
        gateway.await_log("gateway.child_died", pid=first, status=-9)

        reload(gateway, plain=SIGNED, late=SIGNED)
        until(lambda: len(gateway.logs("reload.done")) == 2)
        assert {post(gateway, "late") for _ in range(20)} == {200}
        assert gateway.get("/readyz", admin=True).status == 200

        remaining = children(gateway)
        assert gateway.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in remaining)


def test_children_of_a_killed_parent_stop_and_leave_the_port_to_its_successor(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    with Gateway(a_deployment(tmp_path), server.url, "--workers", "2") as gateway:
        until(lambda: len(serving(gateway)) == 2)
        orphans, port = children(gateway), gateway.address[1]
        gateway.process.kill()
        gateway.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
        with socket.create_server(("127.0.0.1", port)):
            pass


def _answers_with_two(gateway: Gateway, without: int) -> bool:
    """Whether two children serve again. Nobody may be turned away until they do."""
    assert post(gateway) == 200
    found = serving(gateway)
    return len(found) == 2 and without not in found


def test_refuses_to_start_with_every_fault_listed(server: EmbeddedServer, tmp_path: Path) -> None:
    faulty = a_deployment(
        tmp_path,
        shop='preset = "shopify"\nsecrets = ["env:UNSET_A"]\n',
        pay='preset = "stripe"\nsecrets = ["env:UNSET_B"]\nrate_limit = "a lot"\n',
    )
    done = faulty.run("serve", redis_url=server.url)
    assert done.returncode == 78
    for word in ("shop.toml", "UNSET_A", "pay.toml", "rate_limit"):
        assert word in done.stderr


def test_refuses_a_port_that_is_taken_and_says_so(server: EmbeddedServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = a_deployment(tmp_path).run(
            "serve", "--port", port, "--admin-port", "0", redis_url=server.url
        )
    assert done.returncode == 1
    assert "Cannot listen" in done.stderr
    assert "--port" in done.stderr


def test_refuses_a_server_that_would_forget_unless_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as redis:
        with redis.client() as client:
            client.config_set("appendfsync", "everysec")
        done = a_deployment(tmp_path).run("serve", redis_url=redis.url)
        assert done.returncode == 78
        assert "appendfsync" in done.stderr
        weaker = a_deployment(tmp_path, rest='[redis]\ndurability = "everysec"\n')
        with Gateway(weaker, redis.url) as gateway:
            assert post(gateway) == 200
            assert any("everysec" in line["warning"] for line in gateway.logs("config.warning"))
            assert gateway.logs("gateway.started")[0]["durability"] == "everysec"
