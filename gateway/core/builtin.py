"""What a processor that needs no code shall do: a table of a source's file, as checked values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from gateway.core.addresses import Network
from gateway.core.condition import Condition
from gateway.core.json_path import Path

PORTS: Final = {"https": 443, "http": 80}


class UrlError(ValueError):
    """Not a URL to send events to. The message never repeats it: it may hold a token."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where events are sent. `path` is path and query, and may be a secret; `place` may be told."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def place(self) -> str:
        """The host, with the port where it is not the scheme's: for people, and as the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it was written as this machine."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_target(url: str) -> Target:
    """Raises UrlError."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise UrlError("holds a blank or a sign that a URL has to escape")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its own text quotes the URL
        raise UrlError("is not a URL") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise UrlError("is not a URL that begins with https:// and a host")
    if "@" in parts.netloc or parts.fragment:
        raise UrlError("has a user, a password or a fragment")
    if port == 0:
        raise UrlError("has port 0")
    return Target(parts.scheme, parts.hostname, port or PORTS[parts.scheme], _path(parts))


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the body on. `keys` are loaded for HMAC-SHA256, `add` may hold secrets: never printed."""

    target: Target
    keys: tuple[Any, ...] = field(default=(), repr=False)
    headers: tuple[str, ...] = ()
    add: Mapping[str, str] = field(default_factory=dict, repr=False)
    networks: tuple[Network, ...] = ()
    discard_on: tuple[int, ...] = (410,)


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the log, with these values of the event."""

    fields: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Append:
    """Write a line of JSON to a file, with these headers."""

    file: str
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exec:
    """Run a program. `retry_after` in seconds; `env` may hold secrets."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    discard_on: tuple[int, ...] = (65,)
    retry_after: float = 60.0


Work = Forward | Log | Append | Exec


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A processor that a source's file declares. `origin` is its file and key; `timeout` in seconds."""

    name: str
    source: str
    events: tuple[str, ...]
    origin: str
    work: Work
    timeout: float | None = None
    when: Condition | None = None
