"""Runs one attempt in a process of its own: for a delivery that took its worker down once.

The child gets the delivery on stdin and answers with its Finish on stdout. It ends when its parent
does (its stdin ends), so that no run goes on without anybody who renews its lease.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Final

from gateway.adapters.ledger.steps import LedgerSteps
from gateway.adapters.worker.runner import ABANDON_SECONDS, Ended
from gateway.core.delivery import Claimed, Finish
from gateway.core.event import Event
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Decision, Done, Wait
from gateway.process import NotBegun, Ready

ENTRY: Final = "gateway.isolated"
YIELDING: Final = 10  # niceness: an interpreter that starts takes a core for half a second
START_SECONDS: Final = 120.0  # many interpreters may start at once on a small machine
NOT_STARTED: Final = 78  # the child's exit status when it never came to the processor
DECISIONS: Final = {"Done": Done, "Wait": Wait, "Dead": Dead}


class IsolationFailed(NotBegun):
    """No process could be had for the attempt. That is not the delivery's fault, and no crash."""


@dataclass(frozen=True, slots=True)
class IsolatedEnd:
    """How an isolated attempt ended, concluded by the child. It died: AttemptOutcome.CRASHED."""

    ready: Ready
    finish: Finish
    seconds: float


def run_isolated(ready: Ready, report: Callable[[IsolatedEnd | Ended], None]) -> None:
    """Returns at once. `report` is called once, in any case: Ended tells of an IsolationFailed."""
    threading.Thread(target=lambda: report(_run(ready)), name="isolated", daemon=True).start()


def _run(ready: Ready) -> IsolatedEnd | Ended:
    began = time.monotonic()
    try:
        answer, status = _ask_child(ready)
    except Exception as error:  # the machine gives no process, no thread, no descriptor
        return Ended(ready, IsolationFailed(f"no process for it: {error}"), 0.0)
    seconds = time.monotonic() - began
    if status == NOT_STARTED and not answer:
        return Ended(ready, IsolationFailed("its process could not load the application"), seconds)
    try:
        finish = load_finish(answer)
    except (ValueError, KeyError, TypeError):  # nothing, or the half of it
        claimed = ready.claimed
        finish = Finish(claimed.delivery, claimed.fence, None, AttemptOutcome.CRASHED)
    return IsolatedEnd(ready, finish, seconds)


def _ask_child(ready: Ready) -> tuple[bytes, int]:
    """The child's answer (empty when it died) and its exit status. Raises when there is no child."""
    with subprocess.Popen(
        [sys.executable, "-m", ENTRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        with suppress(OSError):  # where it may not, it runs all the same
            os.setpriority(os.PRIO_PROCESS, child.pid, YIELDING)
        limit = START_SECONDS + ready.timeout + ABANDON_SECONDS
        killer = threading.Timer(limit, _kill, [child])
        killer.daemon = True
        killer.start()
        answer = b""
        with suppress(BrokenPipeError):
            child.stdin.write(dump_order(ready) + b"\n")
            child.stdin.flush()
            answer = child.stdout.readline()
        killer.cancel()
        with suppress(BrokenPipeError):
            child.stdin.close()
    return answer, child.returncode


def _kill(child: subprocess.Popen[bytes]) -> None:
    """With whatever it started: that may hold our end of its answer open."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def watch_parent(orders: BinaryIO) -> None:
    """In the child: ends this process and those it started when the parent's end of `orders` closes."""

    def watch() -> None:
        orders.read()
        os.killpg(0, signal.SIGKILL)  # the child leads a group of its own

    threading.Thread(target=watch, daemon=True).start()


def dump_order(ready: Ready) -> bytes:
    """The delivery, and where its steps are kept."""
    steps = ready.event.steps
    url = steps.store.url if isinstance(steps, LedgerSteps) else ""
    return b"%b\t%b" % (url.encode(), dump_claimed(ready.claimed))


def load_order(line: bytes) -> tuple[Claimed, str]:
    """The delivery, and the URL of the ledger: "" where its steps are kept nowhere."""
    url, _, text = line.partition(b"\t")
    return load_claimed(text), url.decode()


def dump_claimed(claimed: Claimed) -> bytes:
    return json.dumps(asdict(claimed) | {"body": base64.b64encode(claimed.body).decode()}).encode()


def load_claimed(text: bytes) -> Claimed:
    data: dict[str, Any] = json.loads(text)
    headers = tuple((name, value) for name, value in data["headers"])
    return Claimed(**data | {"headers": headers, "body": base64.b64decode(data["body"])})


def dump_finish(finish: Finish) -> bytes:
    decision = finish.decision
    value = {"kind": type(decision).__name__, **(asdict(decision) if decision else {})}
    emitted = [_event_texts(each) for each in finish.emitted]
    return json.dumps(asdict(finish) | {"decision": value, "emitted": emitted}).encode()


def load_finish(text: bytes) -> Finish:
    data: dict[str, Any] = json.loads(text)
    return Finish(
        data["delivery"],
        data["fence"],
        _decision(data["decision"]),
        AttemptOutcome(data["outcome"]),
        data["error"],
        tuple(_event(each) for each in data["emitted"]),
    )


def _event_texts(event: Event) -> dict[str, Any]:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
    body = base64.b64encode(event.body).decode()
    return asdict(event) | {"headers": pairs, "body": body, "proof": event.proof.hex()}


def _event(data: dict[str, Any]) -> Event:
    pairs = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in data["headers"])
    body, proof = base64.b64decode(data["body"]), bytes.fromhex(data["proof"])
    return Event(**data | {"headers": pairs, "body": body, "proof": proof})


def _decision(value: dict[str, Any]) -> Decision | None:
    match value["kind"]:
        case "Done":
            return Done()
        case "Wait":
            return Wait(value["delay"], value["counted"])
        case "Dead":
            return Dead(DeadReason(value["reason"]))
    return None
