"""`run = "exec"`: runs a program with the body on its standard input; its exit status is the outcome.

It gets a process group of its own, which ends with it: at its end, or at the attempt's time limit.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gateway.builtin.processes import ProgramFailed, Programs, converse
from gateway.core.builtin import Exec
from gateway.plugins import Discard, Event, RetryAfter
from gateway.plugins.lifespan import Lifespan

TEMPORARY: Final = 75  # EX_TEMPFAIL of sysexits.h


class ProgramBusy(RetryAfter):
    """It ended with status 75: not now."""

    def __init__(self, seconds: float, said: str) -> None:
        super().__init__(seconds)
        self._text = f"exit status {TEMPORARY}, again in {seconds:g} s{said}"

    def __str__(self) -> str:
        return self._text


def run_program(work: Exec) -> Callable[[Event, Programs], None]:
    """A processor that runs one program."""

    def run(event: Event, programs: Programs) -> None:
        status, stderr = converse(work.command, environment(work, event), event.body, programs)
        judge(work, status, stderr)

    return run


def programs_of(origin: str) -> Lifespan:
    """What still runs when the worker ends, ends with it: by then its delivery was given back."""

    @contextmanager
    def open_programs() -> Iterator[Programs]:
        programs = Programs()
        try:
            yield programs
        finally:
            programs.end_all()

    return Lifespan("programs", open_programs, Programs, origin, is_async=False)


def environment(work: Exec, event: Event) -> dict[str, str]:
    """All that the program gets; nothing of the worker's own but the PATH."""
    facts = {
        "ID": event.id,
        "TYPE": event.type,
        "SOURCE": event.source,
        "PROVIDER_ID": event.provider_id,
        "KEY": event.idempotency_key,
        "ATTEMPT": str(event.attempt),
        "FENCE": str(event.fence),
        "RECEIVED_AT": event.received_at.isoformat(timespec="milliseconds"),
        "CONTENT_TYPE": event.headers.get("content-type", ""),
    }
    told = {f"HOOKLINE_EVENT_{name}": value.replace("\0", "") for name, value in facts.items()}
    return {"PATH": os.environ.get("PATH", os.defpath), **work.env, **told}


def judge(work: Exec, status: int, stderr: str) -> None:
    """Returns for status 0; else raises what it means. A negative one is the signal that ended it."""
    said = _said(stderr)
    if status == 0:
        return
    if status in work.discard_on:
        raise Discard(f"exit status {status}{said}")
    if status == TEMPORARY:
        raise ProgramBusy(work.retry_after, said)
    ended = f"exit status {status}" if status > 0 else f"ended by {_signal_name(-status)}"
    raise ProgramFailed(f"{os.path.basename(work.command[0])}: {ended}{said}")


def _said(stderr: str) -> str:
    """The last line first, for lists that show no more; below it all of it."""
    *before, last = stderr.splitlines() or [""]
    below = f"\nstderr:\n{stderr}" if before else ""
    return f": {last}{below}" if last else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
