"""What every `list` shares: that it may go unsaid, and that it stops at the limit and says so."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click

from gateway.cli.shared.printing import note

T = TypeVar("T")

MOST_LOOKED_AT: Final = 10_000


class ListingGroup(click.Group):
    """`hookline sources` is `hookline sources list`; options may also stand before the sub-command."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(
            **attrs,
            subcommand_metavar="[COMMAND] [ARGS]...",
            epilog="Without a command it lists, and takes the options of `list`.",
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = next((place for place, word in enumerate(args) if word in self.commands), None)
        if named is not None:
            args = [args[named], *args[:named], *args[named + 1 :]]
        elif not (ctx.resilient_parsing or set(args) & set(ctx.help_option_names)):
            args = ["list", *args] if not args or args[0].startswith("-") else args
        return super().parse_args(ctx, args)


def show_newest(
    rows: Iterable[T],
    wants: Callable[[T], bool],
    limit: int,
    show: Callable[[list[T]], None],
    nothing: str,
) -> None:
    """Shows the first `limit` wanted rows, and says on stderr whether that is all.

    A filter that hardly anything passes must not read a whole index: it stops, and says where.
    """
    found: list[T] = []
    looked_at = 0
    for row in rows:
        if len(found) > limit or looked_at == MOST_LOOKED_AT:
            break
        looked_at += 1
        if wants(row):
            found.append(row)
    show(found[:limit])
    if len(found) > limit:
        note(f"The newest {limit}; there are more: --limit or a filter shows them.")
    elif looked_at == MOST_LOOKED_AT:
        note(f"Only the newest {looked_at} were looked at: filter more narrowly.")
    elif not found:
        note(nothing)
