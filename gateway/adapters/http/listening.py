"""Where listening sockets come from: bound here, passed by systemd, handed on by a gateway before us.

A socket that somebody else holds as well refuses nobody while a gateway restarts: callers wait in its
backlog. systemd passes descriptors as sd_listen_fds(3) says, a gateway in a variable of our own.
"""

import contextlib
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

BACKLOG: Final = 2048
FIRST_FD: Final = 3
SYSTEMD: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
HANDOVER: Final = "HOOKLINE_HANDOVER"
READY: Final = "HOOKLINE_READY"


class BadSocketError(ValueError):
    """What was passed is nothing to serve on. The text says why, and what to change."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """The sockets that were there before us; `succeeds`: a gateway that serves on them waits for us."""

    gateway: socket.socket | None = None
    admin: socket.socket | None = None
    succeeds: bool = False


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def inherit(environ: MutableMapping[str, str], pid: int) -> Inherited:
    """Takes what is passed to process `pid`, and takes it out of `environ`: it is not for our children.

    Raises BadSocketError.
    """
    handed = environ.pop(HANDOVER, "")
    listen_pid, many, names = (environ.pop(name, "") for name in SYSTEMD)
    if handed:
        gateway, admin = (_listening(int(fd)) for fd in handed.split(","))
        return Inherited(gateway, admin, succeeds=True)
    if listen_pid != str(pid):
        return Inherited()
    sockets = [_listening(FIRST_FD + number) for number in range(int(many or 0))]
    return _by_name(sockets, names.split(":"))


def _by_name(sockets: list[socket.socket], names: list[str]) -> Inherited:
    """The one named `admin` (FileDescriptorName=), else the second, is the admin port's."""
    if len(sockets) > 2:
        raise BadSocketError(
            f"{len(sockets)} sockets were passed: pass the gateway's, and the admin port's"
        )
    admin = names.index("admin") if "admin" in names[: len(sockets)] else 1
    return Inherited(
        next((each for number, each in enumerate(sockets) if number != admin), None),
        next((each for number, each in enumerate(sockets) if number == admin), None),
    )


def _listening(fd: int) -> socket.socket:
    try:
        found = socket.socket(fileno=fd)
    except OSError as error:
        raise BadSocketError(f"descriptor {fd} is no socket: {error.strerror}") from None
    inet = found.family in (socket.AF_INET, socket.AF_INET6)
    if not (inet and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)):
        found.detach()
        raise BadSocketError(
            f"descriptor {fd} is no listening TCP socket: use ListenStream=PORT, Accept=no"
        )
    os.set_inheritable(fd, False)
    return found


def tell_ready(environ: MutableMapping[str, str]) -> None:
    """To whoever started us and waits until we serve. Whoever is gone meanwhile need not know."""
    fd = environ.pop(READY, "")
    if fd:
        with open(int(fd), "wb", buffering=0) as pipe, contextlib.suppress(BrokenPipeError):
            pipe.write(b"1")
