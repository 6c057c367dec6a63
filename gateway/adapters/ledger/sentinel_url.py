"""The URL of a server that Sentinel looks after:

redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT],.../NAME[/DATABASE]

User and password are the server's; those of the sentinels, where they have other ones than none, stand
behind a question mark: `?sentinel_username=...&sentinel_password=...`. `rediss+sentinel`: by TLS.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote

SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
DEFAULT_PORT: Final = 26379
OPTIONS: Final = {"sentinel_username", "sentinel_password"}


class SentinelUrlError(ValueError):
    """What is wrong with it; never quotes the URL, in which a password may stand."""


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """`name` is what the sentinels call the server."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: bool = False


def sentinel_url(url: str) -> SentinelUrl | None:
    """None: a URL of another kind. Raises SentinelUrlError."""
    scheme, colons, rest = url.partition("://")
    if not colons or scheme.lower() not in SCHEMES:
        return None
    # By hand: Python's own reading knows one host only, and its errors quote what they do not like.
    rest, _, query = rest.partition("?")
    hosts, _, path = rest.partition("/")
    login, _, places = hosts.rpartition("@")
    user, _, password = login.partition(":")
    name, _, database = path.strip("/").partition("/")
    if not name:
        raise SentinelUrlError("a Sentinel URL ends with the name of the server: .../mymaster")
    options = _options(query)
    return SentinelUrl(
        tuple(_place(each) for each in places.split(",")),
        unquote(name),
        _number(database or "0", "the database"),
        unquote(user) or None,
        unquote(password) or None,
        options.get("sentinel_username"),
        options.get("sentinel_password"),
        scheme.lower() == "rediss+sentinel",
    )


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    host = host.strip("[]")
    if not host:
        raise SentinelUrlError("a Sentinel URL names the hosts of its sentinels: HOST:PORT,HOST:PORT")
    return host, _number(port, "the port of a sentinel")


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise SentinelUrlError(f"{what} is no number in a Sentinel URL")
    return int(text)


def _options(query: str) -> dict[str, str]:
    found = {name: values[-1] for name, values in parse_qs(query).items()}
    if unknown := found.keys() - OPTIONS:
        known = " and ".join(sorted(OPTIONS))
        raise SentinelUrlError(f"a Sentinel URL knows {known} only, not {', '.join(sorted(unknown))}")
    return found
