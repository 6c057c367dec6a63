"""What a worker takes on next: which queues it looks into, for how many, and which bells it answers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from redis import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.worker.bell import Bell, BellRinger
from gateway.adapters.worker.slots import Slots
from gateway.adapters.worker.strays import stray_queues
from gateway.application import Application
from gateway.core.delivery import Claimed


class Intake:
    """Of a worker for `queues`; one that serves all that are configured serves stray ones, too."""

    def __init__(
        self,
        app: Application,
        client: "Redis",
        queues: Sequence[str],
        concurrency: int,
        ringer: BellRinger,
    ) -> None:
        self._client = client
        self._keys = Keys(app.prefix)
        self._ringer = ringer
        self._slots = Slots(concurrency, _caps(app), Random())
        self._queue_of = {source.name: source.queue for source in app.config.sources}
        self._queues = list(queues)
        self._strays: list[str] = []
        self._everything = set(queues) >= set(app.queues)
        self.bells: list[Bell] = []

    def queues(self) -> list[str]:
        return [*self._queues, *self._strays]

    def look_for_strays(self) -> None:
        if self._everything:
            self._strays = stray_queues(self._client, self._keys, self._queues)

    def choose(self, held: Iterable[Claimed]) -> tuple[dict[str, int], list[Bell]]:
        """How many to take from each queue, and the bells that there is room for."""
        running = self._running(held)
        answered, left = [], []
        for bell in self.bells:
            if bell.queue and bell.queue not in self._slots.open(self.queues(), running):
                left.append(bell)
            else:
                answered.append(bell)
                running[bell.queue] += 1
        self.bells = left
        return self._slots.shares(self.queues(), running), answered

    def ring_again(self) -> None:
        """What there is no room for here may be for another worker. Raises redis.RedisError."""
        while self.bells:
            self._ringer.ring_again(self.bells[0])
            del self.bells[0]

    def ask(self, held: Iterable[Claimed]) -> None:
        """For a bell of any queue of which one more may run."""
        self._ringer.ask(self._slots.open(self.queues(), self._running(held)))

    def is_empty(self) -> bool:
        """Whether nothing is left to take. Raises redis.RedisError."""
        names = map(self._keys.queue, self.queues())
        return not self.bells and not any(self._client.llen(name) for name in names)

    def _running(self, held: Iterable[Claimed]) -> Counter[str]:
        return Counter(self._queue_of.get(each.source, each.source) for each in held)


def _caps(app: Application) -> dict[str, int]:
    """How many deliveries of a queue may run at once, by queue: the least that its sources say."""
    caps: dict[str, int] = {}
    for source in app.config.sources:
        if source.concurrency:
            caps[source.queue] = min(source.concurrency, caps.get(source.queue, source.concurrency))
    return caps
