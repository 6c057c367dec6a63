"""What the ledger recorded of past runs, as a shadow replay compares with it. Nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.adapters.ledger.event_records import DeliveryRecord, EventRecord, Failure
from gateway.adapters.ledger.reader import Reader
from gateway.core.delivery import Claimed
from gateway.core.event import INTERNAL, delivery_id, event_id
from gateway.core.outcomes import AttemptOutcome, DeliveryState
from gateway.shadow import Emitted, Run

PROBED: Final = 10  # emitted events are looked for by their number, so many at a time
NOT_RUN: Final = ("discarded", "overtaken")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Every method raises redis.RedisError."""

    reader: Reader

    def as_claimed(self, event: EventRecord) -> Claimed | None:
        """The event as a worker would get it, for no processor yet; None when its body is gone."""
        body, headers = self.reader.body(event.id), self.reader.headers(event.id)
        if body is None or headers is None:
            return None
        return Claimed(
            delivery=delivery_id(event.id, len(event.deliveries) + 1),
            fence=1,
            attempt=1,
            crashes=0,
            source=event.source,
            type=event.type,
            provider_id=event.provider_id,
            received_ms=round(event.received * 1000),
            processor="",
            event=event.id,
            headers=headers,
            body=body,
        )

    def run_of(self, delivery: DeliveryRecord) -> Run | None:
        """Its last attempt that ended; None where none has."""
        if delivery.state is DeliveryState.DONE:
            if delivery.reason in NOT_RUN:
                return None
            return Run(AttemptOutcome.DONE, emitted=self.emitted(delivery.id))
        if delivery.reason in ("poison", "abandoned"):
            return Run(AttemptOutcome.CRASHED)
        (failure,) = self.reader.last_failures([delivery.id])
        return _failed(failure) if failure else None

    def steps(self, delivery: str) -> dict[str, str]:
        """JSON by name."""
        found: Any = self.reader.client.hgetall(self.reader.keys.steps(delivery))
        return {name.decode(): value.decode() for name, value in found.items()}

    def emitted(self, delivery: str) -> Mapping[int, Emitted]:
        """Those that were stored, by number: what nobody wanted was not."""
        found: dict[int, Emitted] = {}
        first = 1
        while True:
            ids = {
                number: event_id(INTERNAL, "emitted", f"{delivery}:{number}".encode())
                for number in range(first, first + PROBED)
            }
            records = dict(zip(ids, self.reader.events(list(ids.values())), strict=True))
            known = {number: each for number, each in records.items() if each}
            if not known:
                return found
            for number, each in known.items():
                found[number] = Emitted(each.type, self.reader.body(each.id))
            first += PROBED


def _failed(failure: Failure) -> Run:
    return Run(
        failure.outcome,
        failure.error,
        failure.where,
        failure.seconds,
        {},
        failure.message,
        failure.trace,
    )
