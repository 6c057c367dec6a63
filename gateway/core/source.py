"""One configured sender, as a checked value: what its preset, its file and the defaults add up to."""

from dataclasses import dataclass, field
from typing import Any

from gateway.core.addresses import AllowedAddresses
from gateway.core.handshake import Handshake, Reply
from gateway.core.identity import IdentityRules
from gateway.core.retry import RetryPolicy
from gateway.core.verification import Scheme


@dataclass(frozen=True, slots=True)
class Source:
    """Times in seconds, sizes in bytes. `keys` are secrets loaded for `scheme`: never printed."""

    name: str
    path: str
    queue: str
    scheme: Scheme
    keys: tuple[Any, ...] = field(repr=False)
    preset: str | None = None
    identity: IdentityRules = IdentityRules()
    handshakes: tuple[Handshake, ...] = ()
    acknowledgement: Reply = Reply()
    allowed: AllowedAddresses = AllowedAddresses()
    trusted_proxies: int = 0
    rate_limit: str | None = None
    max_body: int = 1024 * 1024
    dedup_window: float = 7 * 86400.0
    retention: float = 3 * 86400.0
    revive_dead: bool = False
    retry: RetryPolicy = RetryPolicy()
    attempt_timeout: float = 60.0
    concurrency: int | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """POST, and what a handshake of the preset needs."""
        return tuple(dict.fromkeys(("POST", *(each.method for each in self.handshakes))))
