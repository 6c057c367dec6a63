"""Every Redis key that Python reads by name. What the keys hold and how long they live is written
in `lua/_ledger.lua`, beside the scripts that write them.
"""

import os
from dataclasses import dataclass
from typing import Final

RQ_PREFIX: Final = os.environ.get("RQ_KEY_PREFIX", "rq")  # as rq itself reads it, at import


@dataclass(frozen=True, slots=True)
class Keys:
    """`prefix` is Hookline's (setting redis.prefix), `rq` is RQ's."""

    prefix: str = "hookline"
    rq: str = RQ_PREFIX

    def event(self, event_id: str) -> str:
        return f"{self.prefix}:event:{event_id}"

    def body(self, event_id: str) -> str:
        return f"{self.prefix}:body:{event_id}"

    def proof(self, proof: bytes) -> bytes:
        return b"%b:proof:%b" % (self.prefix.encode(), proof)

    def attempts(self, delivery_id: str) -> str:
        return f"{self.prefix}:attempts:{delivery_id}"

    def steps(self, delivery_id: str) -> str:
        return f"{self.prefix}:steps:{delivery_id}"

    def turn(self, key: str) -> str:
        return f"{self.prefix}:turn:{key}"

    def line(self, key: str) -> str:
        return f"{self.prefix}:line:{key}"

    def latest(self, key: str) -> str:
        return f"{self.prefix}:latest:{key}"

    def pending(self, source: str) -> str:
        return f"{self.prefix}:pending:{source}"

    def dead(self, source: str) -> str:
        return f"{self.prefix}:dead:{source}"

    def arrived(self, source: str) -> str:
        return f"{self.prefix}:arrived:{source}"

    def events(self, source: str) -> str:
        return f"{self.prefix}:events:{source}"

    def refused(self, source: str, store: str = "refused") -> str:
        """`store`: the log ("refused") or the "quarantine"."""
        return f"{self.prefix}:{store}:{source}"

    def refused_requests(self, source: str, store: str = "refused") -> str:
        return f"{self.prefix}:{store}_requests:{source}"

    def secret_use(self, source: str) -> str:
        return f"{self.prefix}:secret_use:{source}"

    def armed(self, source: str) -> str:
        return f"{self.prefix}:armed:{source}"

    def learnt(self, source: str) -> str:
        return f"{self.prefix}:learnt:{source}"

    @property
    def counters(self) -> str:
        return f"{self.prefix}:counters"

    @property
    def marker(self) -> str:
        return f"{self.prefix}:marker"

    @property
    def sources(self) -> str:
        return f"{self.prefix}:sources"

    def queue(self, queue: str) -> str:
        return f"{self.rq}:queue:{queue}"
