"""`hookline`: the command line.

Each command lives in a file of its own and is imported when it is run, so that `--help` is quick;
what commands share lives in `shared/`. Data goes to stdout, notes to stderr.
"""

import importlib
from typing import Any, Final

import click

from gateway.cli.shared.exits import INTERRUPTED, fail

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "dev": ("dev", "Run everything here: embedded server, gateway and worker."),
    "serve": ("serve", "Run the gateway that providers call."),
    "worker": ("worker", "Run processors for accepted events."),
    "new": ("new", "Make a processor, a source or a package: files that work as they are."),
    "check": ("check", "Check configuration, secrets, processors and Redis; list every fault."),
    "sources": ("sources", "List the configured sources, or show one."),
    "handshake": ("handshake", "Let a provider teach a source its secret, for a few minutes."),
    "presets": ("presets", "List the providers that are known, or show one."),
    "addresses": ("addresses", "List, show or refresh the addresses that providers publish."),
    "send": ("send", "Send a signed webhook, as the provider would."),
    "explain": ("explain", "Explain why a request was refused."),
    "events": ("events", "List events, or show one."),
    "tail": ("tail", "Follow arrivals and outcomes as they happen."),
    "dead-letters": ("dead_letters", "List, show, replay or discard dead letters."),
    "capture": ("capture", "Make a test's fixture of an event that came."),
    "refused": ("refused", "List, show, release or discard refused requests."),
    "spool": ("spool", "Show or drain what waits on disk until Redis is back."),
    "replay": ("replay", "Put deliveries back, by id or by source, type, time and state."),
    "plugins": ("plugins", "List the processors and where they come from."),
    "schema": ("schema", "Print the JSON Schema of a configuration file."),
    "dashboard": ("dashboard", "Serve rq-dashboard, made safe."),
    "version": ("version", "Print the version."),
}

EPILOG: Final = """\b
Exit status:
  0 success                    69 Redis cannot be reached
  1 something failed           78 the configuration has faults
  2 wrong usage               130 interrupted
  3 not found
"""


class LazyGroup(click.Group):
    """Knows its commands by name and one line each; imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"gateway.cli.{COMMANDS[name][0]}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Ctrl-C has one status, wherever it comes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail(INTERRUPTED, "Interrupted.")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Hookline, an inbound webhook gateway.

    What was answered with a 2xx is never lost, and never processed twice because of Hookline.
    Start with `hookline dev`.
    """
