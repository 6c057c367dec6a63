"""`hookline explain`: why a request was refused, or that it verifies and who would get it."""

import sys
from typing import Final

import click

from gateway.cli.shared.exits import FAILED
from gateway.cli.shared.options import json_option, place_options

MOMENT: Final = "Unix seconds or ISO 8601 (default: when the request came, else now)."


@click.command()
@place_options
@click.argument("what", metavar="FILE|EVENT|REQUEST")
@click.argument("source_name", metavar="[SOURCE]", required=False)
@click.option("--preset", metavar="NAME", help="Judge by this preset: needs neither config nor Redis.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="REF",
    help="env:NAME or file:/path, a public key too; may be repeated.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option that the preset asks for; may be repeated.",
)
@click.option("--url", metavar="URL", help="The public URL that the provider calls.")
@click.option("--at", metavar="TIME", help=f"Judge as of then: {MOMENT}")
@json_option
def command(
    what: str,
    source_name: str | None,
    preset: str | None,
    secrets: tuple[str, ...],
    options: tuple[str, ...],
    url: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """Explain why a request was refused, or filtered. What can be recomputed is; no secret is printed.

    FILE is a request as JSON: {"method", "url", "headers": [[name, value], ...], "body": BASE64}, and
    "received_at" in Unix seconds; - is stdin. EVENT is the id of a stored event, REQUEST that of a
    quarantined request. Exit status 0: it verifies; 1: it does not.
    """
    from gateway.cli.shared.cases import case_of
    from gateway.cli.shared.explaining import show
    from gateway.cli.shared.filtering import filters_of
    from gateway.cli.shared.judges import Asked
    from gateway.diagnosis import explain

    asked = Asked(what, source_name, preset, secrets, options, url, at)
    case = case_of(asked)
    found = explain(case)
    filtered = filters_of(case.request, case.source) if case.source else None
    show(case, found, filtered, as_json=as_json)
    if not found.verified:
        sys.exit(FAILED)
