"""Options that several commands take."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Moment = timedelta | datetime | None

MOMENT_HELP: Final = "2h or 7d ago, or 2026-01-31T14:00."


def place_options(function: F) -> F:
    """--config and --processors; the command finds them in `current_place()`."""
    config = _directory("config", "Directory of gateway.toml and sources/.")
    processors = _directory("processors", "Directory of processor modules.")
    return config(processors(function))


def _directory(name: str, text: str) -> Callable[[F], F]:
    """Kept in the environment, which child processes and jobs read: one truth for all of them."""
    variable = f"HOOKLINE_{name.upper()}"
    return click.option(
        f"--{name}",
        envvar=variable,
        default=name,
        metavar="DIR",
        show_default=True,
        help=text,
        callback=lambda _ctx, _param, value: os.environ.update({variable: value}),
        expose_value=False,
    )


def parse_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> Moment:
    """A duration back from now, or an ISO time, local where it names no zone."""
    from gateway.units import parse_duration

    if value is None:
        return None
    try:
        return timedelta(seconds=parse_duration(value))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        mend = "write how long ago (30m, 2h, 7d) or when (2026-01-31T14:00)"
        raise click.BadParameter(f"{value!r} is no time: {mend}", ctx, param) from None


def parse_span(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A duration, in seconds."""
    from gateway.units import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}", ctx, param) from None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most N."
)
source_option = click.option("--source", metavar="NAME", help="Only of this source.")
type_option = click.option(
    "--type", "glob", metavar="GLOB", help='Only of events of this type, such as "pull_*".'
)
processor_option = click.option("--processor", metavar="NAME", help="Only for this processor.")
since_option = click.option(
    "--since", callback=parse_moment, metavar="TIME", help=f"Received since then: {MOMENT_HELP}"
)
until_option = click.option(
    "--until", callback=parse_moment, metavar="TIME", help="Received until then, written likewise."
)
