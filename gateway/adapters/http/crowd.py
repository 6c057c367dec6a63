"""All connections of a gateway process: never more than it has room for, and who gives way then.

A connection is cheap to open and to hold, for whoever wants to keep others out. File descriptors are
not: without any left nobody is let in, nothing reaches Redis, and nothing is written to disk.
"""

import asyncio
import resource
from collections import OrderedDict
from typing import Final, Protocol

from gateway.logs import LineBudget, logger

LOOK_SECONDS: Final = 1.0
OWN_FILES: Final = 128  # for Redis, the spool, logs, the admin side, what is being opened


class Member(Protocol):
    """A connection."""

    transport: asyncio.Transport

    @property
    def waits(self) -> bool:
        """Whether we wait for the caller: for a request, or for the rest of one."""

    def late(self, now: float) -> bool:
        """Whether it has kept us waiting for too long. `now`: of the event loop's clock."""


class Crowd:
    """At most `most` connections. Beyond that the one gives way that has kept us waiting for longest:
    first of those that had no answer yet, then of those that are kept alive after one (refused
    ones are not, so these are genuine). A request that is whole is answered in any case.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._new: OrderedDict[Member, None] = OrderedDict()
        self._answered: OrderedDict[Member, None] = OrderedDict()
        self._lines = LineBudget(per_second=1)
        self._watched = False

    @classmethod
    def within_file_limit(cls, most: int) -> "Crowd":
        """As many as there can be: the limit of open files is raised as far as may be."""
        files = raise_file_limit(most + OWN_FILES)
        room = max(1, min(most, files - OWN_FILES))
        if room < most:
            logger().warning("gateway.few_files", max_connections=most, room=room, files=files)
        return cls(room)

    def __len__(self) -> int:
        return len(self._new) + len(self._answered)

    def join(self, member: Member) -> None:
        if len(self) >= self.most:
            self._make_room()
        self._new[member] = None

    def answered(self, member: Member) -> None:
        """It has had its answer, and may stay for another."""
        if member in self._new:
            del self._new[member]
            self._answered[member] = None
        elif member in self._answered:
            self._answered.move_to_end(member)

    def leave(self, member: Member) -> None:
        self._new.pop(member, None)
        self._answered.pop(member, None)

    def keep_watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Closes who is late, as it finds once a second, while there are any: a timer for each would be
        set and cancelled with each connection, and with each request on it."""
        if not self._watched:
            self._watched = True
            loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for member in (*self._new, *self._answered):
            if member.late(now):
                member.transport.close()
        self._watched = False
        if len(self):
            self.keep_watch(loop)

    def _make_room(self) -> None:
        member = _longest_waiting(self._new) or _longest_waiting(self._answered)
        if member is None:  # all of them are being answered, which ends by itself
            return
        self.leave(member)
        member.transport.close()
        if (left_out := self._lines.take()) is not None:
            logger().warning("connections.full", most=self.most, left_out=left_out or None)


def _longest_waiting(members: OrderedDict[Member, None]) -> Member | None:
    for _ in range(len(members)):
        member = next(iter(members))
        if member.waits:
            return member
        members.move_to_end(member)  # so that it is not looked at again for each who comes
    return None


def raise_file_limit(wanted: int) -> int:
    """How many files this process may have open, raised to `wanted` where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (ValueError, OSError):  # some systems have a lower limit than they say
        return soft
    return most
