"""All about one preset, for a person who sets a source up: `hookline presets show NAME`."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator

import click

from gateway.catalogue import Preset
from gateway.catalogue.family import family_of
from gateway.cli.shared.handshake_words import answer_words, handshake_sentence
from gateway.cli.shared.printing import counted, printable
from gateway.cli.shared.proof_words import proof_sentences
from gateway.cli.shared.published import facts_of
from gateway.cli.shared.source_sample import sample_source
from gateway.units import duration_text, size_text

WIDEST = 100
TRUST = {
    "vendor-code": "the vendor's own code",
    "vendor-docs": "the vendor's documentation",
    "third-party": "a third party's code or documentation",
}
RETRIES = {
    "none": "It does not try again by itself",
    "short": "It tries again for minutes or hours",
    "long": "It tries again for a day or longer",
    "unknown": "Whether and how long it tries again is not known",
}
FACTS = {
    "vendor": "The vendor says so.",
    "third-party": "A third party says so.",
    "unchecked": "Nobody has compared this, and the id and type above, with the vendor's word.",
}


def print_preset(name: str, preset: Preset) -> None:
    width = min(WIDEST, shutil.get_terminal_size().columns)
    click.secho(printable(preset.name), bold=True)
    click.echo(f"{name} · {family_of(preset.verify)} · {preset.category}")
    _section("Proof of origin", proof_sentences(preset), width)
    _heading(f"config/sources/{name}.toml")
    for line in sample_source(name, preset).splitlines():  # never wrapped: it is to be copied
        click.echo(f"  {printable(line)}".rstrip())
    _section("Events", _events(preset), width)
    _section("Handshakes", map(handshake_sentence, preset.handshakes), width)
    _section("Answer to an accepted webhook", [f"{answer_words(preset.acknowledge)}."], width)
    _section("How it sends", _sender(preset), width)
    _section("Its addresses", _addresses(name), width)
    _section("Notes", [preset.notes] if preset.notes else [], width)
    checked = f"Origin: from {TRUST[preset.trust]}, compared on {preset.checked}."
    _section("Where the facts are from", [checked, *preset.links], width)


def _heading(text: str) -> None:
    click.echo()
    click.secho(printable(text), bold=True)


def _section(title: str, texts: Iterable[str], width: int) -> None:
    """Nothing where there is nothing to say."""
    for number, text in enumerate(texts):
        if number == 0:
            _heading(title)
        lines = textwrap.wrap(
            printable(text), width - 4, break_long_words=False, break_on_hyphens=False
        )
        click.echo("\n    ".join(lines).join(("  ", "")))


def _events(preset: Preset) -> Iterator[str]:
    identity = preset.identity
    ids = ", else ".join((*identity.event_id, "the body's hash"))
    yield f"Id: {ids}."
    if identity.event_id and not identity.event_id_signed:
        repeat = "believed all the same" if identity.trust_unsigned_id else "a repeat"
        yield f"The id is not signed: the same signed content under another id is {repeat}."
    yield f"Type: {', else '.join(identity.event_type) or 'none; processors want `*`'}."
    if identity.batch:
        whole = f"the form field {identity.batch_field}" if identity.batch_field else "the body"
        place = whole if identity.batch == "$" else f"{identity.batch} in {whole}"
        yield f"Each item of {place} is an event of its own; its body is the item's bytes."
    ours = preset.source
    if ours.dedup_window:
        yield f"A repeat is known for {duration_text(ours.dedup_window)} (dedup_window)."
    if ours.revive_dead:
        yield "A repeat of a dead event brings it back (revive_dead)."
    if ours.max_body:
        yield f"A body may have {size_text(ours.max_body)} (max_body)."


def _sender(preset: Preset) -> Iterator[str]:
    sender = preset.sender
    if sender.deadline:
        yield f"It waits {duration_text(sender.deadline)} for the answer."
    schedule = f": {sender.retry_schedule}" if sender.retry_schedule else ""
    if sender.retries == "unknown" and schedule:
        yield f"It tries again, as far as is known{schedule}."
    else:
        yield f"{RETRIES[sender.retries]}{schedule}."
    if sender.disables_on:
        yield f"It switches the endpoint off on: {sender.disables_on}."
    yield FACTS[sender.facts]


def _addresses(name: str) -> Iterator[str]:
    facts = facts_of(name, [])
    if facts and facts["networks"]:
        many = counted(len(facts["networks"]), "network")
        yield f'{many} are known of {facts["fetched"]}: allow_ips = ["preset"] lets only those in.'
    elif facts:
        yield f"Listed at {facts['page']}."
    else:
        yield "None published that we know of."
