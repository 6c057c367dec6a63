"""The GitHub examples, called as what they are: functions."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import samples
from gateway.plugins import Event
from processors import journal
from processors.github import flaky_check, registry, release_notes, watch_pushes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOKLINE_JOURNAL_DIR", str(tmp_path))
    return tmp_path


def payload_of(event_type: str) -> Any:
    return json.loads(samples.load("github", event_type).body)


def event_of(event_type: str, payload: Any, attempt: int = 1) -> Event:
    return Event(
        id="evt_4d2ufr5jkqbxw7nhqm3yzt6e5a",
        source="github",
        type=event_type,
        provider_id="7e3f1c60-c51f-11f0-9a55-6c3f2d1b8e07",
        headers={"x-github-event": event_type},
        body=json.dumps(payload).encode(),
        received_at=datetime(2026, 11, 19, 13, 37, 21, tzinfo=UTC),
        attempt=attempt,
        processor="tested",
    )


def test_a_merged_pull_request_becomes_one_line_of_release_notes(folder: Path) -> None:
    event = event_of("pull_request", payload_of("pull_request"))
    release_notes(event)
    release_notes(event)
    assert (folder / "release-notes.md").read_text() == (
        "- Reserve stock while a kiln load is cooling (fennwick/orchard#131, @tvirta)\n"
    )


@pytest.mark.parametrize(
    ("action", "merged", "base"),
    [("closed", False, "main"), ("labeled", True, "main"), ("closed", True, "release-1")],
)
def test_only_a_merge_into_the_default_branch_is_noted(
    folder: Path, action: str, merged: bool, base: str
) -> None:
    payload = payload_of("pull_request") | {"action": action}
    payload["pull_request"]["merged"] = merged
    payload["pull_request"]["base"]["ref"] = base
    release_notes(event_of("pull_request", payload))
    assert not (folder / "release-notes.md").exists()


def test_a_push_to_the_default_branch_is_logged_commit_by_commit(folder: Path) -> None:
    event = event_of("push", payload_of("push"))
    watch_pushes(event)
    watch_pushes(event)
    lines = [json.loads(line) for line in (folder / "commits.jsonl").read_text().splitlines()]
    assert [(line["author"], line["summary"]) for line in lines] == [
        ("Nell Okonkwo", "Count cracked pieces as scrap, not as stock"),
        ("Tomas Virta", "Add the cone 6 firing schedule"),
    ]


def test_a_push_to_another_branch_is_not_logged(folder: Path) -> None:
    watch_pushes(event_of("push", payload_of("push") | {"ref": "refs/heads/glaze"}))
    assert not (folder / "commits.jsonl").exists()


def test_a_check_is_recorded_once() -> None:
    event = event_of("check_run", payload_of("check_run"))
    flaky_check(event)
    flaky_check(event)
    assert journal.entries("check") == [{"name": "unit-tests", "conclusion": "success"}]


@pytest.mark.parametrize(
    ("external_id", "attempt"), [("fail:always", 1), ("fail:", 40), ("fail:2", 1), ("fail:2", 2)]
)
def test_a_check_fails_when_its_external_id_asks_for_it(external_id: str, attempt: int) -> None:
    payload = payload_of("check_run")
    payload["check_run"]["external_id"] = external_id
    with pytest.raises(ConnectionError, match="external_id asked"):
        flaky_check(event_of("check_run", payload, attempt))
    assert journal.entries("check") == []


@pytest.mark.parametrize("external_id", ["fail:2", "", None, "failure"])
def test_a_check_passes_after_the_failures_it_asked_for(external_id: str | None) -> None:
    payload = payload_of("check_run")
    payload["check_run"]["external_id"] = external_id
    flaky_check(event_of("check_run", payload, attempt=3))
    assert len(journal.entries("check")) == 1


def test_the_registry_keeps_the_ledgers_names() -> None:
    assert [each.name for each in registry.processors] == [
        "release_notes",
        "push_log",
        "flaky_check",
    ]
    assert {each.source for each in registry.processors} == {"github"}
