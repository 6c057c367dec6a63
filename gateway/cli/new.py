"""`hookline new`: files to begin with, which work as they are: a processor, a source, a package."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.shared.deployment import current_place
from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.new_files import Made, force_option, tell, write_files
from gateway.cli.shared.options import place_options

if TYPE_CHECKING:
    from gateway.cli.shared.examples import Examples

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.group()
def command() -> None:
    """Make a processor, a source or a package of processors: files that work as they are."""


@command.command("processor")
@click.argument("source")
@click.argument("events", metavar="EVENT")
@click.option("--name", metavar="NAME", help="Of the processor and its file (default: SOURCE_EVENT).")
@click.option("--async", "is_async", is_flag=True, help="Make it an async def.")
@click.option("--typed", is_flag=True, help="Describe the payload by a pydantic model.")
@click.option("--from", "event_id", metavar="EVENT_ID", help="Make it after this recorded event.")
@force_option
@place_options
@json_option
def new_processor(
    source: str,
    events: str,
    name: str | None,
    is_async: bool,
    typed: bool,
    event_id: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make a processor and its test.

    It takes SOURCE's events of type EVENT, which may be a glob such as 'pull_*', and is made after the
    newest recorded ones, else after the preset's sample. Of what was recorded only the names of
    fields are taken, never a value.
    """
    from gateway.cli.shared import examples, naming
    from gateway.cli.shared.new_processor import Order, processor_files, steps_of
    from gateway.cli.shared.scaffold import draft_of

    preset = naming.source_or_mend(source).preset
    naming.events_glob(events)
    name = naming.module_name(name if name is not None else naming.slug(f"{source}_{events}"))
    order = Order.of(current_place().processors, name)
    naming.refuse_a_clash(name, order.file)
    found = (
        examples.recorded(source, events, event_id)
        if event_id
        else examples.recorded_or_samples(source, preset, events)
    )
    if typed and not (found.payloads and found.kind == "json"):
        fail(FAILED, _no_model(source, events, found))
    draft = draft_of(order.wish(source, events, preset, is_async=is_async, typed=typed), found)
    texts = processor_files(order, draft)
    write_files({path: text for path, (text, _) in texts.items()}, force=force)
    made = Made(
        {path: what for path, (_, what) in texts.items()},
        {"name": name, "source": source, "events": events, "made_after": found.origin},
        _notes(preset, events, found),
        steps_of(order, draft),
    )
    tell(made, as_json=as_json)


def _no_model(source: str, events: str, found: "Examples") -> str:
    why = (
        f"a body of kind {found.kind}, no JSON object" if found.origin != "none" else "no example of it"
    )
    return (
        f"--typed needs a JSON payload to describe, and there is {why} ({events!r} of {source}).\n"
        "Leave --typed out, or name a recorded event with --from EVENT_ID (`hookline events list`)."
    )


def _notes(preset: str | None, events: str, found: "Examples") -> list[str]:
    """For an event of which nothing is known: it may be mistyped."""
    from gateway import samples

    if found.origin != "none":
        return []
    have = (
        f" Samples there are of: {', '.join(samples.types(preset))}."
        if (preset and preset in samples.presets())
        else ""
    )
    return [f"Of {events!r} there is neither a recorded event nor a sample: a bare beginning.{have}"]


@command.command("source")
@click.argument("preset")
@click.option(
    "--name", metavar="NAME", help="Of the source, its file and its path (default: the preset's)."
)
@force_option
@place_options
@json_option
def new_source(preset: str, name: str | None, force: bool, as_json: bool) -> None:
    """Make a source's file.

    config/sources/NAME.toml for the provider PRESET (`hookline presets` lists them), and what is left
    to you: the secret, and the URL to give to the provider.
    """
    from gateway.cli.shared.new_source import preset_or_exit, source_text, told_of

    found = preset_or_exit(preset)
    name = name or preset
    path = current_place().config / "sources" / f"{name}.toml"
    text = source_text(path, name, preset, found)
    write_files({path: text}, force=force)
    tell(told_of(path, name, preset, found, text), as_json=as_json)


@command.command("package")
@click.argument("name")
@click.option(
    "--source", default=None, metavar="SOURCE", help="Whose events (default: a configured source's)."
)
@force_option
@place_options
@json_option
def new_package(name: str, source: str | None, force: bool, as_json: bool) -> None:
    """Make a package of processors.

    In the directory NAME, with its project file and its test. Hookline finds it by its entry point
    once it is installed beside it.
    """
    from gateway.cli.shared.new_package import made_package, package_files

    texts = package_files(Path(name), source)
    write_files({path: text for path, (text, _) in texts.items()}, force=force)
    tell(made_package(Path(name), texts), as_json=as_json)
