"""Slack: answers to mentions, a count of reactions, the slash command /deploy.

Shown here: an async processor, a glob, a body that is a form. Answers go to the journal where a
real deployment would call Slack's API.
"""

import asyncio
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl

from gateway.plugins import Event, Registry
from processors import journal

registry = Registry()

ENVIRONMENTS: Final = ("staging", "production")


@registry.processor(source="slack", events=["app_mention"], timeout=timedelta(seconds=10))
async def answer_mention(event: Event) -> None:
    """Tells whoever asks what was deployed last."""
    mention = event.payload["event"]
    if "bot_id" in mention:
        return  # two bots would answer each other for ever
    # All async processors share one event loop: what blocks goes to a thread.
    deploys = await asyncio.to_thread(journal.entries, "deploy")
    last = "{service} to {environment}".format(**deploys[-1]) if deploys else "nothing yet"
    await asyncio.to_thread(
        journal.record,
        "reply",
        event.idempotency_key,
        channel=mention["channel"],
        text=f"<@{mention['user']}> Deployed last: {last}.",
    )


@registry.processor(source="slack", events=["reaction_*"])
def count_reactions(event: Event) -> None:
    """One more, or one less, of an emoji: the sum of `change` is the count."""
    reaction = event.payload["event"]
    change = 1 if event.type == "reaction_added" else -1
    journal.record("reaction", event.idempotency_key, emoji=reaction["reaction"], change=change)


@registry.processor(source="slack", events=["/deploy"])
def deploy_command(event: Event) -> None:
    """`/deploy SERVICE ENVIRONMENT`: asks for a deploy, or says how to ask for one."""
    form = dict(parse_qsl(event.body.decode()))
    match form.get("text", "").split():
        case [service, environment] if environment in ENVIRONMENTS:
            facts = {"service": service, "environment": environment, "asked_by": form["user_name"]}
            journal.record("deploy", event.idempotency_key, **facts)
        case _:
            text = f"Usage: /deploy SERVICE {'|'.join(ENVIRONMENTS)}"
            journal.record("reply", event.idempotency_key, channel=form["channel_id"], text=text)
