"""`python -m tests.chaos.gateway_kill`: kill -9 of the gateway under load, and an account of every 200.

The rules that are counted by:

* What was answered 200 is in the ledger, and a worker runs it exactly once.
* What was not answered may be there or not; it is never there twice, and never run twice.
* A sender that repeats what was not answered, with the same id, gets its 200 in the end.
"""

import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import click

from gateway.core.event import event_id
from tests.chaos.report import Report, unequal
from tests.chaos.rig import Crew, a_deployment, own_server
from tests.chaos.senders import CUT_OFF, REFUSED, Account, Sender
from tests.e2e.rig import Gateway, until
from tests.ports import own_port

IDENTITY: Final = '[identity]\nevent_id = ["{header.X-Event-Id}"]\n'
PROCESSORS: Final = """
@registry.processor(source="shop", name="process")
def process(event: Event) -> None:
    note(event, "start")
    note(event, "end")
"""
SENDERS: Final = 12
LONGEST_LIFE: Final = 1.0


def campaign(root: Path, url: str, kills: int, seed: int) -> Report:
    chance = random.Random(seed)
    deployment = a_deployment(root, PROCESSORS, ["shop"], lease="1m", more=IDENTITY)
    port = own_port()  # one that stays ours: who starts again listens where the one before did
    report = Report(f"{kills} kills of a gateway, seed {seed}")
    with Crew(deployment, url) as crew:
        crew.worker()
        senders = [Sender(f"s{number}", port, "/hooks/shop") for number in range(SENDERS)]
        for _ in range(kills):
            gateway = _started(Gateway(deployment, url, "--port", str(port)))
            _wait(chance.uniform(0.0, LONGEST_LIFE))
            gateway.process.kill()
            gateway.process.wait()
        with Gateway(deployment, url, "--port", str(port)):
            for sender in senders:
                sender.stop()
            for sender in senders:
                sender.join(60)
            until(
                lambda: not crew.rig.members("hookline:pending:shop"), 120, "the end of all deliveries"
            )
        accounts = [sender.account.answers for sender in senders]
        account = Account({value: found for each in accounts for value, found in each.items()})
        _count(report, crew, account)
    return report


def _started(gateway: Gateway) -> Gateway:
    gateway.__enter__()
    return gateway


def _wait(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    until(lambda: time.monotonic() >= deadline)


def _count(report: Report, crew: Crew, account: Account) -> None:
    runs = Counter(each.value for each in crew.runs() if each.ended)
    stored = {
        value
        for value in account.answers
        if crew.client.exists(crew.rig.keys.event(event_id("shop", "id", value.encode())))
    }
    acknowledged, unanswered = account.acknowledged, set(account.answers) - account.acknowledged
    report.figures |= {
        "events sent": len(account.answers),
        "requests": sum(statuses.total() for statuses in account.answers.values()),
        "  answered 200": account.count(200),
        "  cut off": account.count(CUT_OFF),
        "  refused: no gateway was there": account.count(REFUSED),
        "events answered 200": len(acknowledged),
        "  of those after a repeat": sum(account.answers[value].total() > 1 for value in acknowledged),
        "events never answered": len(unanswered),
        "  of those stored all the same": len(unanswered & stored),
        "events in the ledger": len(crew.rig.arrived("shop")),
        "runs of the processor": len(crew.runs()),
    }
    report.faults += [
        *(f"{value} was answered 200 and is not in the ledger" for value in acknowledged - stored),
        *(f"{value} was run {runs[value]} times" for value in stored if runs[value] != 1),
        *(f"{value} ran and is not in the ledger" for value in set(runs) - stored),
        *unequal(
            "stored ids", len(stored), "events in the ledger", report.figures["events in the ledger"]
        ),
        *unequal("events in the ledger", len(stored), "runs", len(crew.runs())),
        *unequal("answers other than 200", _others(account), "expected", 0),
    ]
    if not account.count(CUT_OFF):
        report.faults.append("no request was cut off: nothing was tested")


def _others(account: Account) -> int:
    answers = sum(statuses.total() for statuses in account.answers.values())
    return answers - sum(map(account.count, (200, CUT_OFF, REFUSED)))


@click.command()
@click.option("--kills", default=20, show_default=True)
@click.option("--seed", default=None, type=int, help="Of the moments of the kills; default: by chance.")
def main(kills: int, seed: int | None) -> None:
    """Kill the gateway, again and again; exit status 1 when a rule was broken."""
    chosen = random.randrange(10**6) if seed is None else seed
    with own_server() as (root, url):
        report = campaign(root, url, kills, chosen)
    click.echo(str(report))
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
