"""How a command ends: its status, and why on stderr."""

import signal
import sys
from typing import Final, NoReturn

from gateway.cli.shared.printing import note

FAILED: Final = 1
NOT_FOUND: Final = 3
UNAVAILABLE: Final = 69
BAD_CONFIG: Final = 78
INTERRUPTED: Final = 130


def fail(status: int, text: str) -> NoReturn:
    """The text on stderr, the status to the shell."""
    note(text)
    sys.exit(status)


def fail_unknown(kind: str, name: str, known: list[str]) -> NoReturn:
    """Status 3, with the name that was probably meant."""
    from gateway.faults import suggest

    fail(NOT_FOUND, f"No {kind} is named {name!r}: {suggest(name, known)}")


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
