"""Which URLs that a request names may be fetched: https, on a host of the allow-list, and nothing odd.

One strict reading, in ASCII, instead of a lenient parser: what two parsers could read differently
(userinfo, backslashes, dot segments, other dots than '.') is refused, not repaired.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 2048
LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST: Final = rf"{LABEL}(?:\.{LABEL})+"
CHARACTER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
URL: Final = re.compile(
    rf"https://(?P<host>{HOST})(?::443)?(?P<path>/{CHARACTER}*)?(?P<query>\?(?:{CHARACTER}|\?)*)?"
)
AUTHORITY: Final = re.compile(r"[A-Za-z]{1,5}://[^/?#]{1,260}")
# What a server may take for another path than the one that was checked: dot segments, escaped
# dots, slashes and backslashes, control characters.
TREACHEROUS: Final = re.compile(r"/\.{1,2}(?:/|$)|%(?:2[ef]|5c|[01][0-9a-f]|7f)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AllowedUrl:
    """An https URL that has passed the allow-list; `host` in lower case, port 443."""

    host: str
    path: str
    query: str = ""

    @property
    def target(self) -> str:
        return self.path + self.query

    def __str__(self) -> str:
        return f"https://{self.host}{self.target}"


def allowed(text: str | bytes, hosts: Sequence[str], path: str = "") -> AllowedUrl | None:
    """The URL, if its host matches one of `hosts` and its path `path` ("": any), both in full.

    Total: None for every other text, whatever it is.
    """
    url = text.decode("latin-1") if isinstance(text, bytes) else text
    # Scheme and host may be written in any case, the rest not.
    found = URL.fullmatch(AUTHORITY.sub(_lower, url, count=1)) if len(url) <= LONGEST else None
    if not found or len(found["host"]) > 253 or TREACHEROUS.search(found["path"] or "/"):
        return None
    asked = AllowedUrl(found["host"], found["path"] or "/", found["query"] or "")
    if path and not re.fullmatch(path, asked.path):
        return None
    return asked if any(re.fullmatch(host, asked.host) for host in hosts) else None


def _lower(found: re.Match[str]) -> str:
    # Only ASCII: lower() alone would make a plain k of the Kelvin sign.
    return found[0].lower() if found[0].isascii() else found[0]
