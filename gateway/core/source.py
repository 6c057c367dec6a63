"""One configured sender, as a checked value: what its preset, its file and the defaults add up to."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from gateway.core.addresses import AllowedAddresses
from gateway.core.handshake import Handshake, Proof
from gateway.core.identity import IdentityRules
from gateway.core.judging import Condition
from gateway.core.key_source import KeySource
from gateway.core.reply import Reply, ReplyTemplate
from gateway.core.retry import RetryPolicy
from gateway.core.template import Known
from gateway.core.verification import Scheme

POST_ONLY: Final = ("POST",)


@dataclass(frozen=True, slots=True)
class Source:
    """Times in seconds, sizes in bytes. `keys` are secrets loaded for `scheme`: never printed.

    `secrets` are their references, in the same order. `url` is the public URL that its provider calls.
    """

    name: str
    path: str
    queue: str
    scheme: Scheme
    keys: tuple[Any, ...] = field(repr=False)
    secrets: tuple[str, ...] = ()
    preset: str | None = None
    url: str = ""
    key_source: KeySource | None = None
    identity: IdentityRules = IdentityRules()
    handshakes: tuple[Handshake, ...] = ()
    acknowledgement: Reply | ReplyTemplate = Reply()
    quarantine: bool = False
    spool: bool = False
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
    max_pending: int | None = None
    when: Condition | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """POST, and what a handshake of the preset needs."""
        if not self.handshakes:
            return POST_ONLY
        return tuple(dict.fromkeys(("POST", *(each.when.method for each in self.handshakes))))

    @property
    def learns(self) -> bool:
        """Whether a handshake may teach this source a secret."""
        return any(each.proof is Proof.ARMED and each.learn for each in self.handshakes)

    @property
    def known(self) -> Known:
        """What a handshake's answer may be made with: a digest, keyed as the provider's own are."""
        sign = getattr(self.scheme, "digest", None)
        return Known(sign=partial(sign, self.keys[0])) if sign and self.keys else Known()
