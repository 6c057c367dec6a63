"""What a fault does to a ward: each begins it, and gives the way back."""

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.chaos.sick.fault import Heal
from tests.chaos.sick.ward import Ward
from tests.e2e.rig import until

LOADED: Final = 20_000  # commands: it looks at its connections after each thousand
SLOW_FSYNC: Final = "fdatasync,fsync:delay_enter=400000"  # microseconds


def hung(ward: Ward) -> Heal:
    ward.server.signal(signal.SIGSTOP)
    return lambda: ward.server.signal(signal.SIGCONT)


def killed(ward: Ward) -> Heal:
    ward.server.kill()
    return ward.server.start


def loading(ward: Ward) -> Heal:
    """It is back, and reads what it had stored: so slowly that it is seen."""
    with ward.server.client() as client, client.pipeline(transaction=False) as pipeline:
        for _ in range(LOADED):
            pipeline.incr("filler")
        pipeline.execute()
    ward.server.kill()
    slowly = {"key-load-delay": "100", "loading-process-events-interval-bytes": "1024"}
    ward.server.more |= slowly
    ward.server.launch()

    def heal() -> None:
        for name in slowly:
            del ward.server.more[name]
        until(ward.server._answers, what="the end of the loading")

    return heal


def slow_fsync(ward: Ward) -> Heal:
    words = ["strace", "-f", "-p", str(ward.server.pid), "-o", "/dev/null"]
    words += ["-e", "trace=fdatasync,fsync", "-e", f"inject={SLOW_FSYNC}"]
    tracer = subprocess.Popen(words, stderr=subprocess.DEVNULL)

    def heal() -> None:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)

    return heal


def setting(name: str, bad: str, good: str) -> Callable[[Ward], Heal]:
    def strike(ward: Ward) -> Heal:
        ward.server.ask("CONFIG", "SET", name, bad)
        return lambda: ward.server.ask("CONFIG", "SET", name, good)

    return strike


def half_open(ward: Ward) -> Heal:
    assert ward.relay
    ward.relay.deafen()
    return lambda: None


def again_and_again(*words: str, pause: float = 0.1) -> Callable[[Ward], Heal]:
    """A command of an operator, until it is over."""

    def strike(ward: Ward) -> Heal:
        stopped = threading.Event()

        def run() -> None:
            with ward.server.client() as client:
                while not stopped.wait(pause):
                    client.execute_command(*words)

        thread = threading.Thread(target=run)
        thread.start()

        def heal() -> None:
            stopped.set()
            thread.join()

        return heal

    return strike


def password_changed(ward: Ward) -> Heal:
    ward.server.ask("CONFIG", "SET", "requirepass", "other")
    ward.server.ask_as("other", "CLIENT", "KILL", "TYPE", "normal")

    def heal() -> None:
        ward.server.ask_as("other", "CONFIG", "SET", "requirepass", "")

    return heal


def demoted(ward: Ward) -> Heal:
    ward.server.ask("REPLICAOF", "127.0.0.1", 1)
    return ward.server.lead


def emptied(ward: Ward) -> Heal:
    ward.server.kill()
    shutil.rmtree(ward.server.data)
    ward.server.data.mkdir()
    ward.server.start()
    return lambda: None


def disk_full(ward: Ward) -> Heal:
    """With `appendfsync always` the server ends itself rather than to break its word."""
    ballast = ward.server.data / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)

    def heal() -> None:
        ballast.unlink()
        if not ward.server.is_running:
            ward.server.start()

    return heal
