"""`hookline dev` as its user meets it: files are saved while webhooks come in."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.ledger.redis_clients import blocking_client
from tests.e2e.deployments import SIGNED, event, signed
from tests.e2e.rig import PATIENT, PROCESSORS, SECRET, until
from tests.e2e.wire import Address, exchange, request

ROOT: Final = Path(__file__).parents[2]
# Quick in everything, and with a level of logs at which it would show nothing if it obeyed that.
SETTINGS: Final = f"""
{PATIENT}[worker]
sweep_interval = "100ms"
look_interval = "1s"
lease = "1m"
[log]
level = "error"
[defaults.retry]
attempts = 2
first_delay = "10ms"
"""
PROCESSOR: Final = """
from gateway.plugins import Event, Registry

registry = Registry()


@registry.processor(source="plain", events=["{kind}"])
def {name}(event: Event) -> None:
    {body}
"""


def processor(body: str, kind: str = "push", name: str = "mine") -> str:
    return PROCESSOR.format(body=body, kind=kind, name=name)


def environment(redis_url: str) -> dict[str, str]:
    own = {"REDIS_URL": redis_url, "SECRET": SECRET, "HOOKLINE_PROCESSORS": PROCESSORS}
    return {**os.environ, "PYTHONPATH": str(ROOT), **own}


class Dev:
    """A running one, on a server that others see too. What it printed is in a file."""

    def __init__(self, root: Path, redis_url: str) -> None:
        self.root = root
        self.screen = root / "screen.txt"
        self.redis_url = redis_url
        self.sent = 0

    def start(self) -> None:
        words = ["dev", "--port", "0", "--admin-port", "0"]
        with self.screen.open("wb") as screen:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", *words],
                cwd=self.root,
                env=environment(self.redis_url),
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
            )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def text(self) -> str:
        return self.screen.read_text()

    def shows(self, pattern: str, times: int = 1, seconds: float = 30.0) -> "re.Match[str]":
        """The last of so many places on the screen."""

        def found() -> "list[re.Match[str]]":
            assert self.process.poll() is None, self.text()
            places = list(re.finditer(pattern, self.text()))
            return places if len(places) >= times else []

        return until(found, seconds, f"{pattern!r}, {times} times, in:\n{self.text()}")[-1]

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def save(self, name: str, text: str) -> None:
        """And waits for what it does."""
        before = self.text().count("reloaded")
        self.write(name, text)
        self.shows("reloaded", before + 1)

    def send(self, kind: str = "push", source: str = "plain") -> None:
        self.sent += 1
        body = event(kind, number=self.sent)
        port = self.shows(rf"{source} +http://127.0.0.1:(\d+)/hooks/{source}")[1]
        address: Address = ("127.0.0.1", int(port))
        pairs = signed(body, f"{source}-{self.sent}")

        def sent() -> bool:
            """A 503 says that the machine stood still for long: senders come again."""
            answer = exchange(address, request("POST", f"/hooks/{source}", body, pairs))
            assert answer.status in (200, 503)
            return answer.status == 200

        until(sent, what="a 200")

    def states(self) -> dict[str, str]:
        """By the provider's ids, as the ledger has them."""
        with blocking_client(self.redis_url, 5.0) as client:
            keys = list(client.scan_iter("hookline:event:*", count=1000))
            rows: list[Any] = [client.hmget(key, "p", "1s", "1a") for key in keys]
        return {
            name.decode(): f"{state.decode()} {int(attempts or 0)}" for name, state, attempts in rows
        }


@pytest.fixture
def dev(tmp_path: Path, redis: "Redis", redis_url: str) -> Iterator[Dev]:
    made = Dev(tmp_path, redis_url)
    made.write("config/gateway.toml", SETTINGS)
    made.write("config/sources/plain.toml", SIGNED)
    made.write(f"{PROCESSORS}/mine.py", processor('print("one")'))
    yield made
    if made.process.poll() is None:
        made.stop()
    until(lambda: not processes_in(tmp_path), what="the end of its processes")


def processes_in(place: Path) -> list[str]:
    """Its children, by their ids."""
    found = subprocess.run(["pgrep", "-f", "dev_child"], capture_output=True, text=True, check=False)
    return [pid for pid in found.stdout.split() if _cwd(pid) == place]


def _cwd(pid: str) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def test_a_saved_file_takes_effect_and_a_faulty_one_leaves_running_what_ran(dev: Dev) -> None:
    dev.start()
    dev.send()
    dev.shows(r"\d\d:\d\d:\d\d\.\d{3}  plain +push +· +accepted +[\d.]+ m?s  evt_\w{26}\n")
    dev.shows(r"plain +push +mine +done +[\d.]+ m?s\n")
    assert "one\n" in dev.text()

    dev.save(f"{PROCESSORS}/mine.py", processor('raise KeyError("two")'))
    dev.send()
    dev.shows(r"mine +failed +[\d.]+ m?s  attempt 1, next in")
    dev.shows(
        r"mine +dead +[\d.]+ m?s  exhausted, attempt 2\n"
        r"    processors_under_test/mine\.py:9 in mine\n"
        r"      raise KeyError\(\"two\"\)\n    KeyError: 'two'\n"
    )

    dev.write(f"{PROCESSORS}/mine.py", "def (")
    dev.shows(
        r"cannot start from the files as they are:\n"
        r"  processors_under_test/mine\.py: line 1: .*SyntaxError"
    )
    dev.shows(r"What ran before goes on")
    dev.send()
    dev.shows(r"exhausted, attempt 2\n", times=2)

    dev.save(f"{PROCESSORS}/mine.py", processor('print("three")', kind="star", name="other"))
    dev.send("star")
    dev.shows(r"plain +star +other +done")
    dev.send("push")
    dev.shows(r"plain +push +· +ignored +[\d.]+ m?s  no processor wants it")
    assert dev.stop() == 0
    assert json.loads((dev.root / ".hookline" / "dev.log").read_text().splitlines()[0])["event"]
    assert '{"' not in dev.text(), "logs are in the file"


def test_it_waits_for_the_first_sound_file_and_tells_of_a_new_source(dev: Dev) -> None:
    dev.write(f"{PROCESSORS}/mine.py", "import nothing_of_this_name")
    dev.start()
    dev.shows(r"processors_under_test/mine\.py: line 1: .*ModuleNotFoundError")
    dev.shows(r"Nothing runs yet")
    dev.save(f"{PROCESSORS}/mine.py", processor("pass"))
    dev.save("config/sources/second.toml", SIGNED)
    dev.shows(r"second +http://127\.0\.0\.1:\d+/hooks/second\n")
    dev.send(source="second")
    dev.shows(r"second +push +· +ignored")


def test_no_event_is_lost_or_repeated_while_files_are_saved(dev: Dev) -> None:
    journal = dev.root / "journal"
    body = f'open({str(journal)!r}, "a").write(event.provider_id + "\\n")  # {{}}'
    dev.write(f"{PROCESSORS}/mine.py", processor(body.format(0)))
    dev.start()
    dev.send()
    for number in range(1, 5):
        before = dev.text().count("reloaded")
        dev.write(f"{PROCESSORS}/mine.py", processor(body.format("x" * number)))
        while dev.text().count("reloaded") == before:
            dev.send()
    many = dev.sent
    until(lambda: len(journal.read_text().split()) >= many, what=f"{many} events in the journal")
    assert dev.stop() == 0
    assert sorted(journal.read_text().split()) == sorted(f"plain-{n}" for n in range(1, many + 1))
    assert set(dev.states().values()) == {"done 1"}


def test_a_worker_that_a_processor_takes_down_is_replaced(dev: Dev) -> None:
    dev.write("config/gateway.toml", SETTINGS.replace('"1m"', '"1s"'))  # it is over soon
    body = "__import__('os')._exit(7) if event.attempt == 1 else None"
    dev.write(f"{PROCESSORS}/mine.py", processor(body))
    dev.start()
    dev.send()
    dev.shows(r"The worker ended by itself \(status 7\): another takes over")
    dev.shows(r"mine +done +[\d.]+ m?s  attempt 2")


def test_nothing_is_left_behind_when_it_is_killed(dev: Dev) -> None:
    dev.start()
    dev.send()
    dev.process.kill()
    dev.process.wait(60)
    until(lambda: not processes_in(dev.root), what="the end of its processes")


def test_a_port_that_is_taken_is_refused_where_it_was_asked_for(
    tmp_path: Path, server: EmbeddedServer
) -> None:
    made = Dev(tmp_path, server.url)
    made.write("config/sources/plain.toml", SIGNED)
    made.write(f"{PROCESSORS}/mine.py", processor("pass"))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = str(sock.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "dev", "--port", port],
            cwd=tmp_path,
            env=environment(server.url),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"Cannot listen on port {port}" in done.stderr
