"""The parts of a text that a replacement must be like: an address, an id, a time, a word."""

import re
from typing import Final

# Prefixes of ids that are public knowledge; others stay if they are too short to tell anything.
PREFIX_TEXT: Final = """
    acct card cust charge evt event file inst invoice item link live mandate order org plan price prod
    product proj refund seti sess session src sub subs team test token txn txr user whsec
"""
PREFIXES: Final = frozenset(PREFIX_TEXT.split())
PARTS: Final = (
    ("url", r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\]+"),
    ("email", r"[^\s@<>\"'(),:;\[\]\\/=&?]+@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)+"),
    ("uuid", r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b"),
    (
        "moment",
        r"(?<![\d-])[12]\d{3}-[01]\d-[0-3]\d"
        r"(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\d-])",
    ),
    ("ip4", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"),
    ("ip6", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])"),
    ("phone", r"(?<!\w)\+\d[\d ()./-]{5,17}\d(?!\w)"),
    ("prefixed", r"(?<![^\W_])(?:[A-Za-z]{1,8}_){1,2}(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{8,}(?![^\W_])"),
    ("code", r"(?<![^\W_])(?=[A-Z]*\d)[A-Z][A-Z0-9]{8,11}(?![^\W_])"),
    ("ref", r"(?<!\w)refs/(?:heads|tags|remotes|pull)/(?:(?:main|master|develop|trunk)(?![\w/-]))?"),
    ("word", r"[^\W_]+"),
    ("other", r"[^\x00-\x7f]"),
)
SCAN: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in PARTS))
URL: Final = re.compile(
    r"([^:]+://)(?:([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(:\d*)?([^?#]*)(\?[^#]*)?(#.*)?"
)
SCHEMES: Final = frozenset(
    f"{name}://" for name in ("http", "https", "ws", "wss", "ssh", "git", "ftp", "sftp", "s3", "redis")
)
URL_TEXT: Final = "api v1 v2 v3 v4 www com rest graphql webhooks hooks users repos orgs"
URL_WORDS: Final = frozenset(URL_TEXT.split())
HARMLESS_SIGNS: Final = "\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u00d7\u00a3\u20ac\u00a7\u00b7\u2022"
DOCUMENTATION: Final = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:([T ])(\d\d:\d\d)(:\d\d)?(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?)?"
)
