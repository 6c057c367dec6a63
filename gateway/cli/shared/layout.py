"""Python as `ruff format` lays it out, and imports as its rules sort them."""

import re
from collections.abc import Iterable
from typing import Final

WIDEST: Final = 104
STANDARD: Final = ("asyncio", "pathlib", "typing", "urllib")


def subscript(keys: Iterable[str]) -> str:
    return "".join(f'["{key}"]' for key in keys)


def call(start: str, *arguments: str, end: str = ")") -> str:
    """In one line, or an argument a line."""
    line = f"{start}({', '.join(arguments)}{end}"
    if len(line) <= WIDEST:
        return line
    indent = " " * (len(start) - len(start.lstrip()))
    lines = "".join(f"{indent}    {each},\n" for each in arguments)
    return f"{start}(\n{lines}{indent}{end}"


def import_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= WIDEST else call(f"from {module} import ", *names)


def imports(lines: Iterable[str], inside: bool) -> list[str]:
    """Sorted into the standard library, what is installed, and what is here: as ruff does."""
    known = [(_section(each, inside), each) for each in lines]
    found = [sorted((text for at, text in known if at == section), key=_order) for section in range(3)]
    return ["\n".join(each) + "\n" for each in found if each]


def _section(line: str, inside: bool) -> int:
    top = re.split(r"[ .]", line)[1]
    if top in STANDARD:
        return 0
    installed = ("pydantic", "pytest") if inside else ("pydantic", "pytest", "gateway")
    return 1 if top in installed else 2


def _order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line
