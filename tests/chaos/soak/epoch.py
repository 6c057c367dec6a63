"""One epoch: an empty server, fresh processes, load and faults for a while; rest, and the books."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.adapters.embedded.binary import ServerBinary
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.adapters.spool.slots import survey
from tests.chaos.soak.acts import Acts
from tests.chaos.soak.audit import Evidence
from tests.chaos.soak.books import Span
from tests.chaos.soak.crew import Crew
from tests.chaos.soak.deployment import deploy
from tests.chaos.soak.outcome import Outcome, Setting
from tests.chaos.soak.plan import plan
from tests.chaos.soak.providers import PROVIDERS
from tests.chaos.soak.senders import Fleet
from tests.chaos.soak.server import Server
from tests.chaos.soak.wire import Wire
from tests.chaos.sweep.zygote import Zygote

DELAY_SECONDS: Final = 0.8  # longer than anybody waits for a reply
MOST_OPEN: Final = 3000  # deliveries and spooled requests, until senders pause
LOOK_SECONDS: Final = 0.1
REST_SECONDS: Final = 60.0  # without any change, after which what is not at rest is a fault
STILL_SECONDS: Final = 0.5  # a machine that stood still for longer lets leases run out
BEGIN_SECONDS: Final = 60.0


class Epoch:
    """In the empty directory `root`, which holds the evidence afterwards."""

    def __init__(self, setting: Setting, root: Path, zygote: Zygote, binary: ServerBinary) -> None:
        self.setting = setting
        self.root = root
        self.server = Server(binary, root)
        self.crew = Crew(zygote, root, deploy(root))
        self.sources = [each.source for each in PROVIDERS]
        self.stood_still: list[Span] = []
        self.acknowledged: Callable[[], int] = int
        self.faults: Callable[[], int] = int

    async def run(self) -> Outcome:
        began = time.monotonic()
        self.server.start()
        try:
            async with self._wire() as first, self._wire() as second:
                self.acts = Acts(self.crew, (first, second), self.server, self.sources)
                self.faults = lambda: self.acts.count().total()
                await self.acts.until_server_answers()
                fleet, rested = await self._live(first, second)
            figures, verdict = Evidence(
                self.server.client, self.root, fleet, self.acts, self.stood_still
            ).compare()
        finally:
            self.crew.end()
            self.server.kill()
            self.server.client.close()
        figures["seconds"] = round(time.monotonic() - began)
        extra = Counter({str(cause): many for cause, many in verdict.extra.items()})
        return Outcome(self.setting, figures, self.acts.count(), extra, rested + verdict.broken)

    def _wire(self) -> Wire:
        return Wire(self.server.socket, DELAY_SECONDS)

    async def _live(self, *wires: Wire) -> tuple[Fleet, list[str]]:
        """Gateways reach the server by the first of them, workers by the other."""
        gate, url = (f"redis://127.0.0.1:{wire.port}/0" for wire in wires)
        ports = [self.crew.gateway(gate) for _ in range(self.setting.gateways)]
        for _ in range(self.setting.workers):
            self.crew.worker(url)
        if self.setting.stock:
            self.crew.stock(url, self.sources[self.setting.seed // 4 % len(self.sources)])
        supervisor = asyncio.create_task(self._supervise())
        try:
            async with Fleet(PROVIDERS, ports, self.setting.connections) as fleet:
                self.acknowledged = lambda: fleet.acknowledged
                await self._disturb(fleet)
                for wire in wires:
                    wire.forget()
                rested = await self._rest(fleet)
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
        return fleet, rested

    async def _supervise(self) -> None:
        while True:
            self.crew.look_after()
            began = time.time()
            await asyncio.sleep(LOOK_SECONDS)
            if time.time() - began > LOOK_SECONDS + STILL_SECONDS:
                self.stood_still.append((began, time.time()))

    async def _disturb(self, fleet: Fleet) -> None:
        """From the first acknowledgement on."""
        async with asyncio.timeout(BEGIN_SECONDS):
            while not fleet.acknowledged:
                await asyncio.sleep(LOOK_SECONDS)
        began, acting = time.monotonic(), set[asyncio.Task[None]]()
        throttle = asyncio.create_task(self._throttle(fleet))
        for step in plan(self.setting.seed, self.setting.seconds, self.setting.level):
            await asyncio.sleep(max(0.0, began + step.at - time.monotonic()))
            acting.add(asyncio.create_task(self.acts.carry_out(step)))
        await asyncio.sleep(max(0.0, began + self.setting.seconds - time.monotonic()))
        throttle.cancel()
        await asyncio.gather(*acting)
        await asyncio.gather(throttle, return_exceptions=True)

    async def _throttle(self, fleet: Fleet) -> None:
        """Senders pause while much is open: an epoch's end must not be all waiting."""
        while True:
            with suppress(RedisError, OSError):  # then what is under way tells soon enough
                fleet.sends = await asyncio.to_thread(self._open) < MOST_OPEN
            await asyncio.sleep(2 * LOOK_SECONDS)

    def _open(self) -> int:
        spooled = sum(survey(self.root / "spool").requests.values())
        pending = (int(self.server.client.zcard(Keys().pending(each))) for each in self.sources)
        return spooled + sum(pending)

    # The end

    async def _rest(self, fleet: Fleet) -> list[str]:
        """Until everything has been answered, spooled events are in, and all deliveries are done."""
        fleet.sends = False
        self.crew.all_go_on()
        self.server.client.config_set("maxmemory", 0)
        self.server.client.delete("rq:suspended")
        left, moved_at = [""], time.monotonic()
        while time.monotonic() < moved_at + REST_SECONDS:
            before, left = left, [*self._left(), *fleet.left()]
            if not left:
                return []
            if left != before:
                moved_at = time.monotonic()
            self._replay_dead()
            await asyncio.sleep(LOOK_SECONDS)
        return [f"nothing has moved for {REST_SECONDS:g} s, and this is left: {'; '.join(left)}"]

    def _left(self) -> list[str]:
        state = survey(self.root / "spool")
        found = [f"spooled: {state.requests}"] if state.requests else []
        for each in self.sources:
            for what, key in (("open", Keys().pending(each)), ("dead", Keys().dead(each))):
                many = int(self.server.client.zcard(key))
                found += [f"{what} of {each}: {many}"] if many else []
        return found

    def _replay_dead(self) -> None:
        for each in self.sources:
            dead: Any = self.server.client.zrange(Keys().dead(each), 0, 500)
            ids = [delivery.decode() for delivery in dead]
            if ids:
                self.acts.replayed |= set(ids)
                run(self.server.client, Keys(), ledger.replay(ids))
