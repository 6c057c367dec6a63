"""What an event's record says of its source: field `e`, see `lua/_ledger.lua`. Names hold no `|`."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.core.source import Source

FIELDS: Final = ("e", "s", "q")
"""What `names` reads: the release before this one kept source and queue in a field each."""


def pack(source: Source) -> str:
    """Name, queue, dedup window and retention in milliseconds."""
    queue = "" if source.queue == source.name else source.queue
    return f"{source.name}|{queue}|{int(source.dedup_window * 1000)}|{int(source.retention * 1000)}"


def names(values: Sequence[Any]) -> tuple[str, str] | None:
    """Source and queue, from the values of FIELDS; None where there is no such event."""
    packed, source, queue = values
    if packed:
        source, queue, *_ = packed.split(b"|")
    return None if source is None else (source.decode(), (queue or source).decode())
