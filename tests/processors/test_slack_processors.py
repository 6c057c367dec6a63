"""The Slack examples: an async processor, a glob, and a form."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway import samples
from gateway.plugins import Event
from processors import journal
from processors.slack import answer_mention, count_reactions, deploy_command, registry


@pytest.fixture(autouse=True)
def _journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_JOURNAL_DIR", str(tmp_path))


def event_of(event_type: str, body: bytes | None = None) -> Event:
    return Event(
        id="evt_b3x6wn2qz5hr7tfjymk4cdsoue",
        source="slack",
        type=event_type,
        provider_id="",
        headers={},
        body=samples.load("slack", event_type).body if body is None else body,
        received_at=datetime(2026, 11, 19, 13, 41, 28, tzinfo=UTC),
        processor="tested",
    )


def mention(**changes: Any) -> Event:
    payload = json.loads(samples.load("slack", "app_mention").body)
    payload["event"].update(changes)
    return event_of("app_mention", json.dumps(payload).encode())


def command(text: str) -> Event:
    form = {"command": "/deploy", "text": text, "user_name": "tvirta", "channel_id": "C0KILN"}
    return event_of("/deploy", urlencode(form).encode())


def test_a_mention_is_answered_once_with_the_last_deploy() -> None:
    deploy_command(event_of("/deploy"))
    asyncio.run(answer_mention(mention()))
    asyncio.run(answer_mention(mention()))
    (reply,) = journal.entries("reply")
    assert reply["text"].endswith("> Deployed last: orchard to staging.")


def test_a_mention_before_any_deploy_is_answered_too() -> None:
    asyncio.run(answer_mention(mention(user="U0NELL")))
    assert journal.entries("reply")[0]["text"] == "<@U0NELL> Deployed last: nothing yet."


def test_a_bot_is_not_answered() -> None:
    asyncio.run(answer_mention(mention(bot_id="B0HOOK")))
    assert journal.entries("reply") == []


def test_a_reaction_counts_once() -> None:
    count_reactions(event_of("reaction_added"))
    count_reactions(event_of("reaction_added"))
    assert journal.entries("reaction") == [{"emoji": "tada", "change": 1}]


def test_a_reaction_taken_back_counts_against() -> None:
    body = samples.load("slack", "reaction_added").body
    count_reactions(event_of("reaction_removed", body.replace(b"_added", b"_removed")))
    assert journal.entries("reaction") == [{"emoji": "tada", "change": -1}]


def test_a_deploy_is_asked_for_once() -> None:
    deploy_command(event_of("/deploy"))
    deploy_command(event_of("/deploy"))
    assert journal.entries("deploy") == [
        {"service": "orchard", "environment": "staging", "asked_by": "nell.okonkwo"}
    ]


def test_spaces_around_the_words_of_a_deploy_command_do_not_matter() -> None:
    deploy_command(command("  orchard   production "))
    assert journal.entries("deploy")[0]["environment"] == "production"


@pytest.mark.parametrize("text", ["", "orchard", "orchard attic", "staging", "a b staging"])
def test_a_deploy_command_that_cannot_be_read_is_answered_with_its_usage(text: str) -> None:
    deploy_command(command(text))
    assert journal.entries("deploy") == []
    assert journal.entries("reply")[0]["text"] == "Usage: /deploy SERVICE staging|production"


def test_one_processor_wants_reactions_of_every_kind() -> None:
    wanted = [each for each in registry.processors if each.route.wants("slack", "reaction_removed")]
    assert [each.name for each in wanted] == ["count_reactions"]


def test_only_the_answer_to_mentions_is_async() -> None:
    assert [each.name for each in registry.processors if each.is_async] == ["answer_mention"]
