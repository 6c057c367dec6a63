"""`hookline presets`: the providers that are known, and how each of them proves origin and behaves."""

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.shared.exits import NOT_FOUND, fail, fail_unknown
from gateway.cli.shared.listing import ListingGroup
from gateway.cli.shared.options import json_option
from gateway.cli.shared.printing import note, print_json
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.catalogue import Preset

TRUST: Final = ("vendor-code", "vendor-docs", "third-party")
COLUMNS: Final = ("id", "name", "family", "trust", "body", "link")
WIDEST: Final = 100
STEPS: Final = (("name", 24), ("link", 24), ("link", 0), ("name", 14), ("name", 0))


def _kind(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A scheme or a family that there is."""
    from gateway.catalogue.family import FAMILIES
    from gateway.faults import suggest

    known = ["signature", *FAMILIES]
    if value not in (None, *known):
        raise click.BadParameter(f"{value!r} is none: {suggest(value or '', known)}", ctx, param)
    return value


@click.group(cls=ListingGroup)
def command() -> None:
    """List the providers that are known, or show one."""


@command.command("list")
@click.option("--category", metavar="TEXT", help="Only of a category with this in its name.")
@click.option("--trust", type=click.Choice(TRUST), help="Only where the facts are from there.")
@click.option(
    "--scheme",
    callback=_kind,
    metavar="WORD",
    help="Only of this scheme or family, such as token.",
)
@click.option("--search", metavar="TEXT", help="Only with this in id, name, category or notes.")
@click.option(
    "--write",
    metavar="PAGE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fill in the tables between the marks of a Markdown page instead.",
)
@json_option
def list_presets(
    category: str | None,
    trust: str | None,
    scheme: str | None,
    search: str | None,
    write: Path | None,
    as_json: bool,
) -> None:
    """List the providers that are known. `hookline presets show NAME` tells all about one.

    BODY: whether the proof covers the whole body. TRUST: where the facts are from.
    """
    from gateway.catalogue import load_preset, preset_names
    from gateway.cli.shared.preset_lists import write_tables

    every = [(name, load_preset(name)) for name in preset_names()]
    if write:
        write_tables(write, every)
        return note(str(write))
    found = [
        (name, preset)
        for name, preset in every
        if _says(category, preset.category)
        and trust in (None, preset.trust)
        and scheme in (None, *_kinds(preset))
        and _says(search, f"{name}\n{preset.name}\n{preset.category}\n{preset.notes}")
    ]
    if as_json:
        return print_json([facts_of(name, preset) for name, preset in found])
    print_table(COLUMNS, [_row(name, preset) for name, preset in found], STEPS)
    return _tell(found, len(every))


@command.command("show")
@click.argument("name")
@json_option
def show_preset(name: str, as_json: bool) -> None:
    """Show one preset: what proves origin, what a source must say, how the provider behaves."""
    from gateway.catalogue import load_preset, preset_names
    from gateway.catalogue.left_out import why_left_out
    from gateway.cli.shared.preset_page import print_preset

    if name not in preset_names():
        reason = why_left_out(name)
        if reason:
            fail(NOT_FOUND, reason)
        fail_unknown("preset", name, list(preset_names()))
    if as_json:
        print_json(facts_of(name, load_preset(name)))
    else:
        print_preset(name, load_preset(name))


def _says(wanted: str | None, text: str) -> bool:
    return wanted is None or wanted.casefold() in text.casefold()


def _kinds(preset: "Preset") -> tuple[str, str]:
    from gateway.catalogue.family import family_of

    return preset.verify.scheme, family_of(preset.verify)


def _row(name: str, preset: "Preset") -> tuple[str, ...]:
    scheme, family = _kinds(preset)
    body = "-" if scheme == "unverified" else ("no", "yes")[preset.body_signed]
    link = preset.links[0]
    if sys.stdout.isatty():  # it may be cut: whose word it is should still be seen
        link = link.removeprefix("https://")
    return (name, preset.name, family, preset.trust, body, link)


def _tell(found: "Sequence[tuple[str, Preset]]", total: int) -> None:
    """On stderr: how many there are; of all of them also what stayed out, and why."""
    from gateway.cli.shared.preset_lists import closing_words

    width = min(WIDEST, shutil.get_terminal_size().columns)
    for text, indent in closing_words(found, total):
        more = indent or "  "
        note(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=more))


def facts_of(name: str, preset: "Preset") -> dict[str, Any]:
    """The preset as data. Times in seconds, sizes in bytes; what it leaves open is left out."""
    _, family = _kinds(preset)
    return {"id": name, "family": family, **preset.model_dump(mode="json", exclude_none=True)}
