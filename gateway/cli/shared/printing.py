"""How text is printed. Whatever could command a terminal is escaped here, whoever wrote it.

That is every control character, C1 and DEL among them, and every sign that turns text around or hides.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click


def printable(text: str) -> str:
    """One line: what is not printable is escaped, a line break too."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def printable_lines(text: str) -> str:
    """As `printable`, but line breaks stay."""
    return "\n".join(map(printable, text.split("\n")))


def json_text(value: Any) -> str:
    """Indented JSON, equal to the value: what is not printable is a JSON escape."""
    text = json.dumps(value, default=str, ensure_ascii=False, indent=2)
    return "\n".join(map(_json_line, text.split("\n")))


def _json_line(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in line)


def body_text(body: bytes) -> str:
    """JSON indented, other text as it is; each line safe for a terminal."""
    text = body.decode("utf-8", "backslashreplace")
    try:
        return json_text(json.loads(text))
    except (ValueError, RecursionError):
        return printable_lines(text)


def print_json(value: Any) -> None:
    click.echo(json_text(value))


def print_text(text: str) -> None:
    click.echo(printable_lines(text))


def note(text: str) -> None:
    """For people, not for pipes: on stderr."""
    click.echo(printable_lines(text), err=True)


def print_pairs(*pairs: tuple[str, str]) -> None:
    """A name and its value a line."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {printable(value) or '-'}")


def print_block(text: str) -> None:
    """Lines, indented."""
    for line in text.splitlines():
        click.echo(f"      {printable(line)}")


def local(seconds: float) -> str:
    """A time for people; `seconds` by Unix."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def iso(seconds: float) -> str:
    """A time for programs."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def counted(many: int, one: str, several: str = "") -> str:
    """`1 fault`, `2 faults`; `several` where it is not `one` with an s."""
    return f"{many} {one if many == 1 else several or f'{one}s'}"


def http_url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def short(path: str) -> str:
    """Relative where it lies below us: shorter, and an editor opens it all the same."""
    return path.removeprefix(f"{Path.cwd()}/")
