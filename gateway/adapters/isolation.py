"""Runs one attempt in a process of its own: for a delivery that took its worker down once.

The child gets the delivery on stdin and answers with its Finish on stdout. It ends when its parent
does (its stdin ends), so that no run goes on without anybody who renews its lease.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from gateway.core.delivery import Claimed, Finish
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Decision, Done, Wait
from gateway.process import Ready

ENTRY: Final = "gateway.isolated"
START_SECONDS: Final = 10.0  # interpreter, configuration and processors
DECISIONS: Final = {"Done": Done, "Wait": Wait, "Dead": Dead}


def run_isolated(ready: Ready, report: Callable[[Finish], None]) -> None:
    """Returns at once; `report` hears how it ended. A child that dies is AttemptOutcome.CRASHED."""
    threading.Thread(target=lambda: report(_run(ready)), name="isolated", daemon=True).start()


def _run(ready: Ready) -> Finish:
    claimed = ready.claimed
    crashed = Finish(claimed.delivery, claimed.fence, None, AttemptOutcome.CRASHED)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", ENTRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        killer = threading.Timer(ready.timeout + START_SECONDS, child.kill)
        killer.daemon = True
        killer.start()
        try:
            child.stdin.write(dump_claimed(claimed) + b"\n")
            child.stdin.flush()
            answer = child.stdout.readline()
        except OSError:
            answer = b""
        finally:
            killer.cancel()
            child.stdin.close()
    return load_finish(answer) if answer else crashed


def watch_parent() -> None:
    """In the child: ends this process when the parent's end of stdin closes."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def dump_claimed(claimed: Claimed) -> bytes:
    return json.dumps(asdict(claimed) | {"body": base64.b64encode(claimed.body).decode()}).encode()


def load_claimed(text: bytes) -> Claimed:
    data: dict[str, Any] = json.loads(text)
    headers = tuple((name, value) for name, value in data["headers"])
    return Claimed(**data | {"headers": headers, "body": base64.b64decode(data["body"])})


def dump_finish(finish: Finish) -> bytes:
    decision = finish.decision
    value = {"kind": type(decision).__name__, **(asdict(decision) if decision else {})}
    return json.dumps(asdict(finish) | {"decision": value}).encode()


def load_finish(text: bytes) -> Finish:
    data: dict[str, Any] = json.loads(text)
    return Finish(
        data["delivery"],
        data["fence"],
        _decision(data["decision"]),
        AttemptOutcome(data["outcome"]),
        data["error"],
    )


def _decision(value: dict[str, Any]) -> Decision | None:
    match value["kind"]:
        case "Done":
            return Done()
        case "Wait":
            return Wait(value["delay"])
        case "Dead":
            return Dead(DeadReason(value["reason"]))
    return None
