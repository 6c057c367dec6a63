"""`scripts/chaos outage`: Redis goes away under a sender that never repeats a webhook, and comes back.

The rules that are counted by:

* Every webhook is answered 200 within 1.5 s, before, in and after the outage.
* What was answered 200 is in the ledger once, and is run exactly once.
* The spool is empty at the end.
"""

import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.spool.slots import survey
from gateway.core.event import event_id
from tests.chaos.report import Report
from tests.chaos.rig import Crew, a_deployment
from tests.e2e.deployments import event
from tests.e2e.redis_server import RedisServer, die, hang, run_full
from tests.e2e.rig import SECRET, Deployment, Gateway, until
from tests.e2e.wire import Answer, hmac_hex

WAYS: Final[dict[str, Callable[[RedisServer], Callable[[], None]]]] = {
    "killed": die,
    "hung": hang,
    "full": run_full,
}
GITHUB: Final = 'preset = "github"\nsecrets = ["env:SECRET"]\n'
PROCESSOR: Final = """
@registry.processor(source="github", name="process")
def process(event: Event) -> None:
    note(event, "start")
    note(event, "end")
"""
LATEST_SECONDS: Final = 1.5
CALLERS: Final = 64
PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds before, in and after the outage; webhooks a second."""

    way: str
    seconds: float
    around: float
    rate: float


@dataclass(slots=True)
class Sent:
    """Answers by the id of the webhook."""

    answers: dict[str, Future[Answer]]

    def with_status(self, *statuses: int) -> list[str]:
        return [name for name, each in self.answers.items() if each.result().status in statuses]


def campaign(root: Path, plan: Plan, chance: random.Random) -> Report:
    report = Report(f"Redis {plan.way} for {plan.seconds:g} s at {plan.rate:g} webhooks a second")
    deployment = _deployment(root)
    with (
        RedisServer(_folder(root / "redis")) as redis,
        Crew(deployment, redis.url) as crew,
        Gateway(deployment, redis.url) as gateway,
    ):
        crew.worker()
        sent = Sent({})
        with sending(gateway, plan.rate, chance, sent):
            _wait(plan.around)
            come_back = WAYS[plan.way](redis)
            _wait(plan.seconds)
            kept = _spooled(root)
            come_back()
            back = time.monotonic()
            until(lambda: not _spooled(root), PATIENCE_SECONDS, "the drain")
            drained = time.monotonic() - back
            _wait(plan.around)
        until(lambda: not _open(crew), PATIENCE_SECONDS, "the end of all deliveries")
        report.figures["in the spool when the outage ended"] = kept
        report.figures["  drained after it, ms"] = round(drained * 1000)
        _count(report, crew, sent)
        if not kept:
            report.faults.append("nothing was spooled: nothing was tested")
    return report


def _deployment(root: Path) -> Deployment:
    own = a_deployment(root, PROCESSOR, redis="")
    table = f'\n[spool]\ndirectory = "{root / "spool"}"\n'
    return Deployment(
        root,
        {"github": GITHUB},
        own.gateway + table,
        own.processors,
        {**own.environ, "SECRET": SECRET},
    )


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@contextmanager
def sending(gateway: Gateway, rate: float, chance: random.Random, sent: Sent) -> Iterator[None]:
    """Webhooks at this rate, each once, however long the answers before it take."""
    goes_on = True

    def send_on() -> None:
        began = time.monotonic()
        for number in itertools.count():
            _wait(began + number / rate - time.monotonic())
            if not goes_on:
                return
            name = f"{chance.getrandbits(128):032x}"
            sent.answers[name] = pool.submit(_send, gateway, name)

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        sender = pool.submit(send_on)
        try:
            yield
        finally:
            goes_on = False
            sender.result()


def _send(gateway: Gateway, name: str) -> Answer:
    body = event(id=name)
    proof = ("X-Hub-Signature-256", f"sha256={hmac_hex(SECRET, body)}")
    headers = [proof, ("X-GitHub-Event", "push"), ("X-GitHub-Delivery", name)]
    return gateway.send("/hooks/github", body, headers, timeout=30.0)


def _wait(seconds: float) -> None:
    time.sleep(max(seconds, 0.0))


def _spooled(root: Path) -> int:
    return sum(survey(root / "spool").requests.values())


def _open(crew: Crew) -> int:
    return int(crew.client.zcard(Keys().pending("github")))


def _count(report: Report, crew: Crew, sent: Sent) -> None:
    acknowledged = sent.with_status(200)
    stored = [name for name in sent.answers if crew.client.exists(_record(name))]
    runs = Counter(each.value for each in crew.runs() if each.ended)
    slowest = max(each.result().seconds for each in sent.answers.values())
    lost = set(acknowledged) - set(stored)
    doubled = [name for name in stored if runs[name] > 1]
    unrun = [name for name in acknowledged if not runs[name]]
    report.figures |= {
        "webhooks sent, each once": len(sent.answers),
        "  answered 200": len(acknowledged),
        "  answered otherwise, or not at all": len(sent.answers) - len(acknowledged),
        "  slowest answer, ms": round(slowest * 1000),
        "events in the ledger": len(crew.rig.arrived("github")),
        "lost": len(lost),
        "run twice": len(doubled),
        "never run": len(unrun),
    }
    report.faults += [
        *(f"{name} was answered 200 and is not in the ledger" for name in sorted(lost)),
        *(f"{name} was run {runs[name]} times" for name in doubled),
        *(f"{name} was answered 200 and never run" for name in unrun),
        *(f"{name} was not answered 200" for name in sorted(set(sent.answers) - set(acknowledged))),
    ]
    if slowest > LATEST_SECONDS:
        report.faults.append(f"an answer took {slowest:.1f} s")


def _record(name: str) -> str:
    return Keys().event(event_id("github", "id", name.encode()))


@click.command()
@click.option("--way", "ways", type=click.Choice(list(WAYS)), multiple=True, help="Default: all three.")
@click.option("--seconds", default=60.0, show_default=True, help="How long it is away.")
@click.option("--around", default=5.0, show_default=True, help="Seconds before and after.")
@click.option("--rate", default=100.0, show_default=True, help="Webhooks a second.")
@click.option("--seed", default=None, type=int, help="Of the webhooks' ids; default: by chance.")
def main(ways: tuple[str, ...], seconds: float, around: float, rate: float, seed: int | None) -> None:
    """Take Redis away from a sender that never repeats; exit status 1 when a rule was broken."""
    chance = random.Random(random.randrange(10**6) if seed is None else seed)
    broken = False
    for way in ways or WAYS:
        with TemporaryDirectory(prefix="hookline-chaos-") as folder:
            report = campaign(Path(folder), Plan(way, seconds, around, rate), chance)
        click.echo(str(report))
        broken = broken or bool(report.faults)
    sys.exit(broken)


if __name__ == "__main__":
    main()
