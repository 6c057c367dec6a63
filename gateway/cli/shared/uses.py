"""How much each secret of a source is in use: what rotation waits for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.shared.printing import counted, iso, local
from gateway.cli.shared.server import find_url

if TYPE_CHECKING:
    from gateway.adapters.ledger.secret_use import Use
    from gateway.application import Application

UNTOLD: Final = "cannot be told: Redis does not answer"
UNSEEN: Final = "not seen by a gateway yet"


def uses_of(app: "Application", source: str) -> "Mapping[str, Use] | None":
    """By reference; None when Redis cannot be asked."""
    from redis.exceptions import RedisError

    from gateway.adapters.ledger.redis_clients import blocking_client
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.adapters.ledger.secret_use import secret_use

    url = find_url(app)
    if url is None:
        return None
    try:
        with blocking_client(url, app.config.settings.redis.timeout) as client:
            return secret_use(client, Keys(app.prefix), source)
    except (RedisError, OSError, ValueError):  # ValueError: what is no URL
        return None


def use_facts(
    uses: "Mapping[str, Use] | None", references: Sequence[str], *, as_json: bool
) -> list[Any] | str | None:
    """One for each secret that is configured, in its order: facts for JSON, else a text for people."""
    if uses is None:
        return None if as_json else UNTOLD
    if as_json:
        return [_json(each, uses.get(each)) for each in references]
    return [f"{each} {_text(uses.get(each))}" for each in references]


def _json(reference: str, use: "Use | None") -> dict[str, Any]:
    last, first = (use.last_used, use.first_seen) if use else (None, None)
    return {
        "reference": reference,
        "count": use.count if use else 0,
        "last_used": last and iso(last),
        "first_seen": first and iso(first),
    }


def _text(use: "Use | None") -> str:
    if use is not None and use.last_used is not None:
        return f"used {counted(use.count, 'time')}, last at {local(use.last_used)}"
    if use is not None and use.first_seen is not None:
        return f"unused since it was first seen at {local(use.first_seen)}"
    return UNSEEN
