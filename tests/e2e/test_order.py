"""Order from end to end: a real gateway puts webhooks into lines, a real worker works them off."""

import json
from pathlib import Path

from redis import Redis

from gateway.adapters.ledger.redis_keys import Keys
from gateway.core.event import delivery_id, event_id
from tests.adapters.ledger_rig import Rig
from tests.chaos.rig import Crew, a_deployment
from tests.e2e.rig import Gateway, until

PROCESSORS = """
@registry.processor(source="shop", order_by="customer")
def book(event: Event) -> None:
    note(event, "start")
    paid = event.once("charge", dict, number=event.payload["number"])
    note(event, "end")
    if event.attempt == 1:
        raise ValueError("once more")
    event.emit("booked", paid)

@registry.processor(source="internal", events=["booked"])
def mail(event: Event) -> None:
    note(event, "start")
    note(event, "end")
"""
IDENTITY = '[identity]\nevent_id = ["{header.x-id}"]\n'


def test_webhooks_of_a_key_run_one_after_the_other_with_steps_and_emitted_events(
    tmp_path: Path, redis_url: str
) -> None:
    deployment = a_deployment(tmp_path, PROCESSORS, ("shop",), lease="1m", more=IDENTITY)
    with Crew(deployment, redis_url) as crew:
        with Gateway(deployment, redis_url) as gateway:
            for number in range(6):
                body = json.dumps({"customer": number % 2, "number": number}).encode()
                answer = gateway.send("/hooks/shop", body, [("X-Id", str(number))])
                assert answer.status == 200, gateway.text
        rows = [_state(crew.client, number) for number in range(6)]
        assert rows == ["pending", "pending", "blocked", "blocked", "blocked", "blocked"]
        worker = crew.worker()
        until(lambda: not _open(crew.client), what=f"the end:\n{worker.text()}")
        booked = [run for run in crew.runs() if run.processor == "book"]
        for customer in (0, 1):
            own = [int(run.value) for run in booked if int(run.value) % 2 == customer]
            assert own == sorted(own)
            assert len(own) == 6, "each failed once"
        assert len([run for run in crew.runs() if run.processor == "mail"]) == 6
        assert worker.stop() == 0


def _state(client: "Redis", number: int) -> str:
    event = event_id("shop", "id", str(number).encode())
    return Rig(client).row(delivery_id(event, 1)).state


def _open(client: "Redis") -> int:
    return sum(int(client.zcard(Keys().pending(source))) for source in ("shop", "internal"))
