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

    def attempts(self, delivery_id: str) -> str:
        return f"{self.prefix}:attempts:{delivery_id}"

    def pending(self, source: str) -> str:
        return f"{self.prefix}:pending:{source}"

    def dead(self, source: str) -> str:
        return f"{self.prefix}:dead:{source}"

    def events(self, source: str) -> str:
        return f"{self.prefix}:events:{source}"

    @property
    def counters(self) -> str:
        return f"{self.prefix}:counters"

    @property
    def sources(self) -> str:
        return f"{self.prefix}:sources"

    def queue(self, queue: str) -> str:
        return f"{self.rq}:queue:{queue}"
