"""`hookline handshake`: lets a provider teach a source its secret, once, for a few minutes.

Asana and Notion send the secret in the first request of all: whoever sends it then is believed. So
nothing is learnt unless an operator has just armed the source.
"""

import click

from gateway.cli.shared.deployment import source_or_exit
from gateway.cli.shared.desk import open_desk
from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.facts import show_facts
from gateway.cli.shared.options import json_option, parse_span, place_options
from gateway.cli.shared.printing import counted, note


@click.group()
def command() -> None:
    """Arm a source, so that its provider can teach it a secret."""


@command.command("arm")
@click.argument("source")
@click.option(
    "--for",
    "seconds",
    callback=parse_span,
    default="10m",
    show_default=True,
    metavar="TIME",
    help="How long, at most.",
)
@place_options
def arm_source(source: str, seconds: float) -> None:
    """Accept the next handshake of SOURCE, such as the creation of a webhook at its provider."""
    from gateway.adapters.ledger.lessons import arm
    from gateway.adapters.ledger.redis_keys import Keys
    from gateway.core.handshake import Proof
    from gateway.units import duration_text

    with open_desk() as desk:
        found = source_or_exit(desk.app, source)
        if not any(each.proof is Proof.ARMED for each in found.handshakes):
            fail(FAILED, f"{source} has no handshake that needs arming: its provider teaches nothing.")
        arm(desk.client, Keys(desk.app.prefix), source, seconds)
    note(f"{source} is armed for {duration_text(seconds)}: create the webhook at its provider now.")
    note(f"Then look: hookline handshake status {source}")


@command.command("status")
@click.argument("source")
@place_options
@json_option
def show_status(source: str, as_json: bool) -> None:
    """Whether SOURCE is armed, and how many secrets it has been taught."""
    from gateway.adapters.ledger.lessons import arming, learnt
    from gateway.adapters.ledger.redis_keys import Keys

    with open_desk() as desk:
        source_or_exit(desk.app, source)
        names = Keys(desk.app.prefix)
        state, secrets = arming(desk.client, names, source), learnt(desk.client, names, source)
    facts = {
        "source": source,
        "armed": state is not None and not state.taught,
        "armed_seconds": round(state.seconds) if state else 0,
        "taught_now": state is not None and state.taught,
        "secrets_learnt": secrets,
    }
    show_facts(facts, as_json=as_json)


@command.command("disarm")
@click.argument("source")
@place_options
def disarm_source(source: str) -> None:
    """Learn nothing any more. What was learnt stays."""
    from gateway.adapters.ledger.lessons import disarm
    from gateway.adapters.ledger.redis_keys import Keys

    with open_desk() as desk:
        source_or_exit(desk.app, source)
        was_armed = disarm(desk.client, Keys(desk.app.prefix), source)
    note(f"{source} is disarmed." if was_armed else f"{source} was not armed.")


@command.command("forget")
@click.argument("source")
@place_options
def forget_secrets(source: str) -> None:
    """Forget what SOURCE was taught, all but the newest secret."""
    from gateway.adapters.ledger.lessons import forget
    from gateway.adapters.ledger.redis_keys import Keys

    with open_desk() as desk:
        source_or_exit(desk.app, source)
        many = forget(desk.client, Keys(desk.app.prefix), source)
    note(f"{counted(many, 'older secret')} of {source} forgotten; the newest one stays.")
