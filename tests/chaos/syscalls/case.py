"""What is tried: whose system call, the how-manieth of its thread, and what becomes of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final, Self

KILL: Final = "kill"
"""The process is killed (SIGKILL) as it enters the call, which is not carried out."""

# A kill before each call that changes something outside is a kill after the one before it, too.
FAULTS: Final[dict[str, tuple[str, ...]]] = {
    "write": (KILL, "EIO", "ENOSPC", "EPIPE"),
    "writev": (KILL, "EPIPE", "ENOSPC"),
    "pwrite64": (KILL, "EIO", "ENOSPC"),
    "sendto": (KILL, "ECONNRESET", "ENOBUFS"),
    "sendmsg": (KILL, "ECONNRESET", "ENOBUFS"),
    "fsync": (KILL, "EIO"),
    "fdatasync": (KILL, "EIO", "ENOSPC"),
    "ftruncate": (KILL, "EIO"),
    "fallocate": (KILL, "ENOSPC"),
    "openat": (KILL, "EMFILE", "EACCES"),
    "mkdir": (KILL, "ENOSPC"),
    "rename": (KILL, "EIO"),
    "renameat": (KILL, "EIO"),
    "unlink": (KILL, "EIO"),
    "unlinkat": (KILL, "EIO"),
    "pread64": ("EIO",),
    "read": (KILL, "EIO"),
    "recvfrom": (KILL, "ECONNRESET"),
    "connect": (KILL, "ECONNREFUSED"),
    "socket": ("EMFILE",),
    "accept": ("EMFILE", "ECONNABORTED"),
    "accept4": ("EMFILE", "ECONNABORTED"),
    "epoll_ctl": (KILL, "ENOMEM"),
    "epoll_wait": ("EINTR",),
    "epoll_pwait": ("EINTR",),
    "clone": (KILL, "EAGAIN"),
    "clone3": (KILL, "EAGAIN"),
    "fork": (KILL, "EAGAIN"),
    "vfork": (KILL, "EAGAIN"),
}


class Subject(StrEnum):
    """Whose calls."""

    GATEWAY = "gateway"  # hookline serve
    SPOOL = "spool"  # the same while Redis is away, until the spool is empty
    WORKER = "worker"  # hookline worker
    SERVER = "server"  # Valkey, with its append-only file


@dataclass(frozen=True, slots=True)
class Case:
    """`str` gives its name, `parse` reads it: gateway/sendto#3/kill.

    `nth`: of each thread, from 1; so a fault that is no kill may come once in each.
    """

    subject: Subject
    call: str
    nth: int
    fault: str

    def __str__(self) -> str:
        return f"{self.subject}/{self.call}#{self.nth}/{self.fault}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        match text.replace("#", "/").split("/"):
            case [subject, call, nth, fault] if fault in FAULTS.get(call, ()):
                return cls(Subject(subject), call, int(nth), fault)
        raise ValueError(f"{text!r} is no SUBJECT/CALL#N/FAULT that is tried: gateway/sendto#3/kill")

    @property
    def injection(self) -> str:
        """As strace wants to be told."""
        what = "signal=SIGKILL" if self.fault == KILL else f"error={self.fault}"
        return f"inject={self.call}:{what}:when={self.nth}"


def cases_at(subject: Subject, seen: Counter[str]) -> Iterator[Case]:
    """Every fault at each call that an undisturbed pass made."""
    for call, many in sorted(seen.items()):
        for nth, fault in product(range(1, many + 1), FAULTS[call]):
            yield Case(subject, call, nth, fault)
