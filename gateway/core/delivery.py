"""One event for one processor, leased to a worker; and how the attempt ended."""

from dataclasses import dataclass

from gateway.core.event import Event
from gateway.core.outcomes import AttemptOutcome
from gateway.core.retry import Decision


@dataclass(frozen=True, slots=True)
class Claimed:
    """A leased delivery: ours to run, until the lease ends, under this fence.

    `alone`: in a process of its own, for the sake of what else runs there.
    """

    delivery: str
    fence: int
    attempt: int
    crashes: int
    source: str
    type: str
    provider_id: str
    received_ms: int
    processor: str
    event: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """How one attempt ended. `decision` None: given back unrun.

    `error` (JSON text) is kept for operators, beside the body, and never logged. `emitted` are the
    internal events that become durable with it: of an attempt that is done, else there are none.
    """

    delivery: str
    fence: int
    decision: Decision | None
    outcome: AttemptOutcome
    error: str = ""
    emitted: tuple[Event, ...] = ()
