"""`hookline version`."""

import platform

import click

from gateway import __version__


@click.command()
def command() -> None:
    """Print Hookline's version, and Python's."""
    click.echo(f"hookline {__version__} (Python {platform.python_version()})")
