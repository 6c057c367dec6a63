"""The demo: real-looking webhooks of GitHub, Stripe and Slack, and what became of each.

It is a user like any other: it signs with the configured secrets, posts over HTTP, and reads the
ledger. Every row states what is expected; the demo fails when one differs.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import httpx2
from redis import Redis

from gateway import samples
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.scripts import run
from gateway.application import Application
from gateway.core.event import delivery_id, event_id
from gateway.core.source import Source
from gateway.signing import Draft, new_event_id, sample_draft, signed_request, with_values

PATIENCE_SECONDS: Final = 20.0
JOURNAL: Final = "HOOKLINE_JOURNAL_DIR"

EXTRA_FILES: Final = {
    "gateway.toml": """[worker]
sweep_interval = "200ms"

[defaults.retry]
attempts = 3
first_delay = "100ms"
factor = 2.0
longest_delay = "1s"
""",
    "sources/limited.toml": """preset = "github"
secrets = ["env:LIMITED_WEBHOOK_SECRET"]
rate_limit = "3/minute"
""",
}


def write_config(config: Path, directory: Path) -> Path:
    """A copy of the configuration with quick retries and one narrowly limited source."""
    target = directory / "config"
    (target / "sources").mkdir(parents=True, exist_ok=True)
    for path in sorted((config / "sources").glob("*.toml")):
        (target / "sources" / path.name).write_text(path.read_text())
    for name, text in EXTRA_FILES.items():
        (target / name).write_text(text)
    journal = directory / "journal"
    journal.mkdir(exist_ok=True)
    os.environ[JOURNAL] = str(journal)
    return target


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried. `answers` are the HTTP status codes in order."""

    what: str
    source: str
    event_type: str
    answers: tuple[int, ...]
    became: str
    expected: str

    @property
    def good(self) -> bool:
        return self.became == self.expected


class Demo:
    def __init__(self, app: Application, base: str, client: "Redis") -> None:
        self._app = app
        self._base = base
        self._redis = client
        self._keys = Keys(app.prefix)
        self._http = httpx2.Client(timeout=10.0)

    def rows(self) -> Iterable[Row]:
        yield from self._genuine()
        yield from self._refused()
        yield from self._failing()

    def _genuine(self) -> Iterable[Row]:
        for event_type in samples.types("github"):
            yield self._row("github", event_type, self._all_done("github", event_type))
        for event_type in (
            "payment_intent.succeeded",
            "charge.dispute.created",
            "invoice.paid",
            "invoice.payment_failed",
            "customer.subscription.deleted",
        ):
            yield self._row("stripe", event_type, self._all_done("stripe", event_type))
        for event_type in ("app_mention", "reaction_added", "/deploy"):
            yield self._row("slack", event_type, self._all_done("slack", event_type))
        yield self._handshake()

    def _refused(self) -> Iterable[Row]:
        source, draft = self._draft("github", "push")
        request = signed_request(source, draft, time.time())
        status = tuple(self._post(request) for _ in range(3))
        became = f"{self._runs(source, draft)} event, {self._became(source, draft)}"
        expected = f"1 event, {self._all_done('github', 'push')}"
        yield Row("sent three times", "github", "push", status, became, expected)
        forged = replace(request, body=request.body.replace(b'"ref"', b'"Ref"', 1))
        yield self._bad("forged: one byte changed", "github", "push", forged)
        source, draft = self._draft("stripe", "invoice.paid")
        stale = signed_request(source, draft, time.time() - 600)
        yield self._bad("stale: signed 10 minutes ago", "stripe", "invoice.paid", stale)
        unknown = replace(request, path="/hooks/nobody")
        yield self._bad("unknown source", "nobody", "push", unknown)
        yield self._limited()

    def _failing(self) -> Iterable[Row]:
        twice = {"check_run.external_id": "fail:2"}
        yield self._row("github", "check_run", "done after 3 attempts", twice, "fails twice")
        outage = Path(os.environ[JOURNAL]) / "outage"
        outage.touch()
        source, draft = self._draft("github", "check_run", {"check_run.external_id": "fail:outage"})
        status = (self._post(signed_request(source, draft, time.time())),)
        dead = self._settled(source, draft)
        expected = "dead: exhausted after 3 attempts"
        yield Row(
            "fails for as long as the outage lasts", "github", "check_run", status, dead, expected
        )
        outage.unlink()
        delivery = delivery_id(self._id(source, draft), 1)
        (word,) = run(self._redis, self._keys, ledger.replay([delivery]))
        became = f"{word}, {self._settled(source, draft)}"
        yield Row("outage over: replayed", "github", "check_run", (), became, "replayed, done")

    def _row(
        self,
        name: str,
        event_type: str,
        expected: str,
        changes: dict[str, Any] | None = None,
        what: str = "genuine",
    ) -> Row:
        source, draft = self._draft(name, event_type, changes)
        status = self._post(signed_request(source, draft, time.time()))
        became = self._became(source, draft) if status == 200 else "not accepted"
        return Row(what, name, event_type, (status,), became, expected)

    def _handshake(self) -> Row:
        source, draft = self._draft("slack", "url_verification")
        request = signed_request(source, draft, time.time())
        challenge = json.loads(draft.body)["challenge"]
        response = self._http.post(
            self._base + request.path, content=request.body, headers=_headers(request)
        )
        became = "challenge echoed" if response.text == challenge else response.text
        return Row(
            "handshake",
            "slack",
            "url_verification",
            (response.status_code,),
            became,
            "challenge echoed",
        )

    def _bad(self, what: str, source: str, event_type: str, request: Any) -> Row:
        status = self._post(request)
        became = "refused" if status == 401 else f"answered {status}"
        return Row(what, source, event_type, (status,), became, "refused")

    def _limited(self) -> Row:
        # A demo a moment ago used up this minute's share.
        for key in self._redis.scan_iter(f"{self._keys.prefix}:quota*/limited/*"):
            self._redis.delete(key)
        status = []
        for _ in range(5):
            source, draft = self._draft("limited", "push")
            status.append(self._post(signed_request(source, draft, time.time())))
        became = f"{status.count(200)} within the limit, {status.count(429)} over it"
        expected = "3 within the limit, 2 over it"
        return Row("five where three a minute may", "limited", "push", tuple(status), became, expected)

    # What was sent, and what became of it

    def _draft(
        self, name: str, event_type: str, changes: dict[str, Any] | None = None
    ) -> tuple[Source, Draft]:
        source = self._app.config.source(name)
        assert source is not None
        sample = samples.load(source.preset or "", event_type)
        body = with_values(sample.body, changes) if changes else sample.body
        return source, sample_draft(source, sample, new_event_id(source.preset), body)

    def _post(self, request: Any) -> int:
        response = self._http.post(
            self._base + request.path, content=request.body, headers=_headers(request)
        )
        return int(response.status_code)

    def _id(self, source: Source, draft: Draft) -> str:
        return event_id(source.name, "id", (draft.event_id or "").encode())

    def _processors(self, source: str, event_type: str) -> list[str]:
        return [
            each.name for each in self._app.processors.values() if each.route.wants(source, event_type)
        ]

    def _all_done(self, source: str, event_type: str) -> str:
        """By each processor that is here: a newcomer may have added one."""
        processors = self._processors(source, event_type)
        return ", ".join(["done"] * len(processors)) or "ignored: no processor wants it"

    def _runs(self, source: Source, draft: Draft) -> int:
        return int(bool(self._redis.exists(self._keys.event(self._id(source, draft)))))

    def _became(self, source: Source, draft: Draft) -> str:
        if not self._processors(source.name, draft.event_type or ""):
            return "ignored: no processor wants it"
        return self._settled(source, draft)

    def _settled(self, source: Source, draft: Draft) -> str:
        """The states of its deliveries once all of them have ended."""
        key = self._keys.event(self._id(source, draft))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found: Any = self._redis.hgetall(key)
            record = {name.decode(): value.decode("utf-8", "replace") for name, value in found.items()}
            states = [_state(record, number) for number in range(1, int(record.get("n", 0)) + 1)]
            settled = states and all(state.startswith(("done", "dead")) for state in states)
            if settled or time.monotonic() > deadline:
                return ", ".join(states) or "not stored"
            time.sleep(0.02)


def _state(record: dict[str, str], number: int) -> str:
    state, attempts = record[f"{number}s"], int(record.get(f"{number}a", 0))
    after = f" after {attempts} attempts" if attempts > 1 else ""
    reason = f": {record[f'{number}r']}" if state == "dead" else ""
    return f"{state}{reason}{after}"


def _headers(request: Any) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("latin-1")) for name, value in request.headers.raw]


def run_demo(app: Application, base: str, url: str, echo: Callable[[str], None] = click.echo) -> int:
    """Prints a row as soon as it is known. 0 when every row is as expected."""
    widths = (36, 9, 30, 20)
    echo(
        "  "
        + _columns(("WHAT WAS SENT", "SOURCE", "EVENT", "ANSWERED"), widths)
        + "  WHAT BECAME OF IT"
    )
    rows = []
    with blocking_client(url, 5.0) as client:
        for row in Demo(app, base, client).rows():
            rows.append(row)
            answers = " ".join(str(status) for status in row.answers) or "-"
            mark = click.style("✓", fg="green") if row.good else click.style("✗", fg="red")
            became = row.became if row.good else f"{row.became} (expected: {row.expected})"
            echo(
                f"{mark} {_columns((row.what, row.source, row.event_type, answers), widths)}  {became}"
            )
    good = sum(row.good for row in rows)
    echo(f"\n{good} of {len(rows)} as expected.")
    return 0 if good == len(rows) else 1


def _columns(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
