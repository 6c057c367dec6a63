"""`hookline capture`: a webhook that came becomes a fixture of the tests, and a test that uses it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.shared.desk import open_desk
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import counted, note, print_json, print_text

if TYPE_CHECKING:
    from gateway.cli.shared.capturing import Made


@click.command()
@place_options
@click.argument("event", metavar="[EVENT_ID]", required=False)
@click.option("--refused", metavar="REF", help="A refused request of the quarantine instead (ref_...).")
@click.option("--redact", is_flag=True, help="Replace personal data and secrets, each the same way.")
@click.option(
    "--keep",
    multiple=True,
    metavar="FIELD",
    help="With --redact: leave this field as it is; a name, or a path such as items.*.sku.",
)
@click.option(
    "--seed",
    envvar="HOOKLINE_CAPTURE_SEED",
    metavar="TEXT",
    help="Fixtures of one seed fit together (default: one of this place, in .hookline/).",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("tests/fixtures"),
    show_default=True,
    metavar="PATH",
    help="The directory, or the file if it ends with .toml.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--print-test", is_flag=True, help="Print a test that uses it.")
@json_option
def command(
    event: str | None,
    refused: str | None,
    redact: bool,
    keep: tuple[str, ...],
    seed: str | None,
    to: Path,
    force: bool,
    print_test: bool,
    as_json: bool,
) -> None:
    """Make a fixture of an event that came: signed anew, with a secret that was made up for it.

    EVENT_ID is evt_..., dlv_...-1, or SOURCE:ID with the id that the provider gave. With --redact
    everything is replaced that is not known to be harmless, and the fixture may be committed.

    Status 1: it could not be made, and nothing was written; 3: the event or its body is not there.
    """
    from gateway.cli.shared.capturing import make_fixture
    from gateway.cli.shared.fixture_file import seed_of_this_place, write_fixture
    from gateway.cli.shared.fixture_test import text_of_test
    from gateway.cli.shared.stored_requests import stored_event, stored_refusal

    name = refused or event
    if name is None or (refused and event):
        raise click.UsageError("Give either EVENT_ID or --refused REF.")
    if keep and not redact:
        raise click.UsageError("--keep needs --redact: without it all is kept.")
    with open_desk() as desk:
        is_refusal = bool(refused) or name.startswith("ref_")
        read = stored_refusal if is_refusal else stored_event
        stored, app = read(desk, name), desk.app
    seed = (seed or seed_of_this_place()) if redact else None
    made = make_fixture(app, stored, seed=seed, keep=keep)
    path = write_fixture(made.fixture, to, force=force)
    text = text_of_test(made, path)
    if as_json:
        print_json(_facts(made, path, text))
        return
    _tell(made, path)
    if print_test:
        print_text(text)
    else:
        note("--print-test prints a test that uses it.")


def _facts(made: "Made", path: Path, text: str) -> dict[str, Any]:
    return {
        "fixture": str(path),
        "source": made.fixture.source,
        "type": made.fixture.type,
        "redacted": made.fixture.redacted,
        "replaced": made.replaced,
        "perhaps_keep": made.likely,
        "verifies": made.believed,
        "processors": made.processors,
        "does_not_fit": made.unfit,
        "test": text,
    }


def _tell(made: "Made", path: Path) -> None:
    """On stderr: a test that is printed can be redirected into its file."""
    fixture = made.fixture
    how = (
        f"redacted, {counted(made.replaced, 'value')} replaced" if fixture.redacted else "NOT redacted"
    )
    note(f"{path}  {fixture.type or 'event'} of {fixture.source}, {how}")
    note(f"For {', '.join(made.processors) or 'no processor of this deployment'}.")
    if not fixture.redacted:
        note("It is what the sender wrote: keep it to yourself, or use --redact.")
    if not made.believed:
        note("Only its provider can sign such a request: tests take the event as verified.")
    if made.unfit:
        note("A processor's payload type took the event, and does not take the fixture:")
        for each in made.unfit:
            note(f"    {each}")
    if made.likely:
        note("Replaced too, and perhaps one of a few words: --keep what your code compares with.")
        for each in made.likely:
            note(f"    --keep {each}")
