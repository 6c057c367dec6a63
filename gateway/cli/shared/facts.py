"""Facts shown as they would stand in a configuration file: dotted keys, times and sizes with units."""

from collections.abc import Iterator
from typing import Any, Final

from gateway.cli.shared.printing import print_json
from gateway.cli.shared.tables import print_table

SIZES: Final = {"max_body"}
DURATIONS: Final = {
    "dedup_window",
    "retention",
    "attempt_timeout",
    "first_delay",
    "longest_delay",
    "deadline",
    "tolerance",
}


def show_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    """Nested facts as JSON, with seconds and bytes; or as a table for people."""
    if as_json:
        print_json(facts)
    else:
        print_table(("key", "value"), list(_lines(facts)))


def _lines(facts: dict[str, Any], table: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{table}{name}.")
        elif isinstance(value, list):
            yield from _items(table, name, value)
        else:
            yield f"{table}{name}", text_of(name, value)


def _items(table: str, name: str, values: list[Any]) -> Iterator[tuple[str, str]]:
    """A line each with the key on all of them, so that `grep` finds them."""
    if not values:
        yield f"{table}{name}", "none"
    for index, value in enumerate(values):
        if isinstance(value, dict) and name != "processors":
            yield from _lines(value, f"{table}{name}[{index}].")
        else:
            yield f"{table}{name}", text_of(name, value)


def text_of(name: str, value: Any) -> str:
    """One fact for people: `300.0` seconds as 5m, bytes with their unit, absence as what it means."""
    from gateway.units import duration_text, size_text

    if value is None:
        return "any" if name == "allow_ips" else "-"
    if name in SIZES:
        return size_text(value)
    if name in DURATIONS:
        return duration_text(value)
    if name == "processors":
        return f"{value['name']} ({', '.join(value['events'])}) {value['origin']}"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
