"""`hookline version`."""

import platform

import click

from gateway import __version__
from gateway.core import event


@click.command()
def command() -> None:
    """Print Hookline's version, and Python's."""
    # One of the parts that `scripts/compile` compiles: all of them are, or none.
    compiled = ", compiled" if not event.__file__.endswith(".py") else ""
    click.echo(f"hookline {__version__} (Python {platform.python_version()}{compiled})")
