"""What `hookline dev` shows of its processes' logs: each event, each attempt, and what went wrong.

The whole logs are in a file. Here a request and an attempt are a line each; a failed attempt's trace is
read from the ledger, which is the only place that has it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.dev_crew import Child
from gateway.cli.shared.exits import ending
from gateway.cli.shared.live_lines import Line, LinePrinter, duration
from gateway.cli.shared.printing import note, printable, printable_lines
from gateway.cli.shared.traces import shortened_trace

if TYPE_CHECKING:
    from gateway.adapters.ledger.event_records import Failure

    Failures = Callable[[str], Sequence[Failure]]

HINTS: Final = {
    "ignored": "no processor wants it",
    "refused": "hookline explain tells why, hookline send --bad-signature sends another",
}
NO_PATHS: Final[Mapping[str, str]] = MappingProxyType({})
MEANT: Final = {"event", "level", "time", "timestamp"}


def line_of(facts: Mapping[str, Any]) -> Line | None:
    """A request's or an attempt's log line; None for any other."""
    kind, _, word = str(facts["event"]).partition(".")
    tell = {"request": _request, "attempt": _attempt}.get(kind)
    if tell is None or "source" not in facts or "ms" not in facts:
        return None
    ended = datetime.fromisoformat(facts["time"]).timestamp()
    return Line(
        ended - facts["ms"] / 1000 if kind == "request" else ended,
        str(facts["source"] or ""),
        str(facts.get("event_type") or ""),
        str(facts.get("processor") or ""),
        "dead" if facts.get("dead") else word,
        float(facts["ms"]),
        tell(facts, word),
    )


def _request(facts: Mapping[str, Any], word: str) -> str:
    """What is known beside the word: the event's id, or why there is none."""
    if facts.get("count"):
        return f"{facts['count']} events"
    if word in ("accepted", "spooled"):
        return str(facts.get("event_id") or "")
    reason = str(facts.get("reason") or "")
    if word == "duplicate":
        return f"{facts.get('event_id')} was here before: {reason}"
    return reason or HINTS.get(word, f"answered {facts.get('status')}")


def _attempt(facts: Mapping[str, Any], word: str) -> str:
    number, delay = facts.get("attempt"), facts.get("next_in_s")
    parts = [f"{facts['dead']}" if facts.get("dead") else ""]
    parts += [f"attempt {number}" if number and (number > 1 or word != "done") else ""]
    parts += [f"next in {duration(delay * 1000)}" if delay is not None else ""]
    parts += ["void: another worker had taken it over" if facts.get("stale") else ""]
    return ", ".join(filter(None, parts))


class View:
    """Prints. `failures` reads the notes of a delivery, and may raise redis.RedisError; `base` is the
    gateway's URL, `paths` what was announced of its sources."""

    def __init__(
        self, failures: "Failures", log: Path, base: str = "", paths: Mapping[str, str] = NO_PATHS
    ) -> None:
        self._failures = failures
        self._log = log
        self._base = base
        self._paths = dict(paths)
        self._lines = LinePrinter()
        self._changed_at: float | None = None
        self._warned: set[str] = set()
        self._held: list[tuple[Line, Mapping[str, Any]]] = []
        self.quiet = False

    def show(self, until: float) -> None:
        """What had happened until then (Unix seconds), by time: a worker may write its line sooner than
        the gateway that has just answered."""
        due = sorted((each for each in self._held if each[0].at <= until), key=lambda each: each[0].at)
        self._held = [each for each in self._held if each[0].at > until]
        for line, facts in due:
            self._lines.show(line)
            if facts.get("error"):
                self._trace(str(facts.get("delivery")), facts.get("attempt"))

    def line(self, facts: Mapping[str, Any], /) -> None:
        if self.quiet:
            return
        if line := line_of(facts):
            self._held.append((line, facts))
        elif facts["event"] in ("gateway.started", "gateway.reloads"):
            self._announce(facts.get("paths") or {})
        elif facts["level"] in ("warning", "error"):
            self._warn(facts)

    def text(self, text: str, /) -> None:
        if not self.quiet:
            note(text)

    def renewed(self, roles: Sequence[str], /) -> None:
        """The first time the announcement tells it."""
        if self._changed_at is not None:
            took = duration((time.monotonic() - self._changed_at) * 1000)
            click.secho(f"reloaded {' and '.join(roles)} in {took}", dim=True, err=True)
            self._changed_at = None

    def refused(self, child: Child, status: int, *, stays: bool) -> None:
        click.secho(f"\nThe {child.role} cannot start from the files as they are:", fg="red", err=True)
        for text in child.said or [f"It ended with {ending(status)}; its log is in {self._log}."]:
            click.echo(f"  {printable_lines(text)}" if text else "", err=True)
        waits = "What ran before goes on" if stays else "Nothing runs yet"
        note(f"{waits}. Mend it and save: that is noticed.\n")

    def died(self, child: Child, status: int, *, replaced: bool) -> None:
        self.show(time.time())
        then = "another takes over" if replaced else "another one comes when a file has changed"
        text = f"The {child.role} ended by itself ({ending(status)}): {then}."
        if child.role == "worker":
            text += " What it held is tried again when its lease ends (worker.lease)."
        click.secho(text, fg="red", err=True)

    def _announce(self, paths: Mapping[str, str]) -> None:
        """What is new: the rest was told at the start."""
        for name, path in paths.items():
            if self._paths.get(name) != path:
                note(f"{name:<12} {self._base}{path}")
        self._paths = dict(paths)

    def changed(self, paths: Sequence[Path]) -> None:
        names = ", ".join(str(path) for path in paths[:3]) + (" ..." if len(paths) > 3 else "")
        click.secho(f"changed: {printable(names)}", dim=True, err=True)
        self._changed_at = time.monotonic()

    def _warn(self, facts: Mapping[str, Any]) -> None:
        """What stands in the configuration is said again by every reload: once is enough."""
        said = " ".join(f"{name}={value}" for name, value in facts.items() if name not in MEANT)
        text = str(facts["warning"]) if "warning" in facts else f"{facts['event']} {said}"
        if "warning" not in facts or text not in self._warned:
            click.secho(printable(text), fg="yellow", err=True)
        self._warned.add(text)

    def _trace(self, delivery: str, attempt: Any) -> None:
        failure = self._failure(delivery, attempt)
        if failure is None:
            return
        for line in shortened_trace(failure.trace, Path.cwd()):
            click.secho(f"    {printable(line)}", fg="red" if line == _last(failure) else None)

    def _failure(self, delivery: str, attempt: Any) -> "Failure | None":
        from redis.exceptions import RedisError

        try:
            kept = self._failures(delivery)
        except RedisError:
            return None
        return next((each for each in reversed(kept) if each.attempt == attempt), None)


def _last(failure: "Failure") -> str:
    return (failure.trace.rstrip().splitlines() or [""])[-1]
