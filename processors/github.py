"""GitHub: release notes from merged pull requests, a log of pushed commits, finished checks.

Shown here: plain processors that read `event.payload`, a name of its own, a timeout, retries.
"""

import json
from datetime import timedelta
from typing import Any

from gateway.plugins import Event, Registry
from processors import journal

registry = Registry()


@registry.processor(source="github", events=["pull_request"])
def release_notes(event: Event) -> None:
    """A line in release-notes.md for each pull request merged into the default branch."""
    pull, repository = event.payload["pull_request"], event.payload["repository"]
    merged = event.payload["action"] == "closed" and pull["merged"]
    if not merged or pull["base"]["ref"] != repository["default_branch"]:
        return
    title = " ".join(pull["title"].split())
    line = f"- {title} ({repository['full_name']}#{pull['number']}, @{pull['user']['login']})\n"
    journal.append("release-notes.md", event.idempotency_key, line)


# The ledger knows this processor as push_log: with a name of its own, the function can be renamed.
@registry.processor(source="github", events=["push"], name="push_log")
def watch_pushes(event: Event) -> None:
    """A line in commits.jsonl for each commit pushed to the default branch."""
    push = event.payload
    if push["ref"] != f"refs/heads/{push['repository']['default_branch']}":
        return
    lines = "".join(json.dumps(_summary(push, commit)) + "\n" for commit in push["commits"])
    journal.append("commits.jsonl", event.idempotency_key, lines)


def _summary(push: dict[str, Any], commit: dict[str, Any]) -> dict[str, str]:
    return {
        "repository": push["repository"]["full_name"],
        "commit": commit["id"],
        "author": commit["author"]["name"],
        "summary": commit["message"].partition("\n")[0],
    }


@registry.processor(source="github", events=["check_run"], timeout=timedelta(seconds=10))
def flaky_check(event: Event) -> None:
    """Records a check, and fails when its `external_id` asks for it."""
    check = event.payload["check_run"]
    _fail_on_demand(check["external_id"] or "", event.attempt)
    journal.record("check", event.idempotency_key, name=check["name"], conclusion=check["conclusion"])


def _fail_on_demand(external_id: str, attempt: int) -> None:
    # For demonstrations only. "fail:2" fails the first two attempts, "fail:always" each of them, and
    # "fail:outage" for as long as a file named `outage` lies in the journal's directory: watch the
    # retries, the dead letter, and a replay that succeeds, without breaking anything.
    if external_id == "fail:outage" and not (journal.directory() / "outage").exists():
        return
    times = external_id.removeprefix("fail:")
    if external_id.startswith("fail:") and (not times.isdecimal() or attempt <= int(times)):
        raise ConnectionError("the build server does not answer (external_id asked for a failure)")
