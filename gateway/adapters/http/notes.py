"""What is told of each request of a provider: one line, one count, and which secret has verified it."""

from typing import Final

from gateway.adapters.http.lasting import Lasting
from gateway.core.outcomes import Outcome
from gateway.core.source import Source
from gateway.endings import Ending
from gateway.logs import LineBudget, line_writer, logger

# Anybody can cause these at will: counted always, logged a few a second.
CHEAP: Final = frozenset(
    {
        Outcome.REFUSED,
        Outcome.FLOODED,
        Outcome.METHOD_NOT_ALLOWED,
        Outcome.HEADERS_TOO_LARGE,
        Outcome.BODY_TOO_LARGE,
        Outcome.BODY_TIMEOUT,
        Outcome.DISCONNECTED,
        Outcome.OVERLOADED,
        Outcome.HANDSHAKE,
    }
)


class Notes:
    """Made after `configure_logs`."""

    def __init__(self, lasting: Lasting) -> None:
        self._counters = lasting.counters
        self._secret_use = lasting.secret_use
        self._log = logger()
        self._line = line_writer()
        self._refused_lines = LineBudget()

    def take(
        self, source: Source | None, ending: Ending, status: int, size: int, seconds: float
    ) -> None:
        """`source` None: no source of ours. `size` is the body's, in bytes."""
        name = source.name if source else ""
        reason = ending.reason
        self._counters.request(name, ending.outcome, reason, seconds)
        if source and ending.key_index is not None and ending.key_index < len(source.secrets):
            self._secret_use.count(name, source.secrets[ending.key_index])
        left_out = self._refused_lines.take() if ending.outcome in CHEAP else 0
        if left_out is None:
            return
        event = ending.event
        level = self._log.error if ending.outcome.ours else self._line
        level(
            f"request.{ending.outcome}",
            source=name or None,
            reason=reason or None,
            status=status,
            event_id=event.id if event else None,
            event_type=event.type if event else None,
            provider_id=event.provider_id if event else None,
            count=len(ending.events) if len(ending.events) > 1 else None,
            filtered=list(ending.filtered) or None,
            key=ending.key_index,
            bytes=size,
            ms=round(seconds * 1000, 2),
            left_out=left_out or None,
        )
