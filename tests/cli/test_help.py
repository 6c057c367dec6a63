"""`--help` of everything: it works, it is complete, and quick because it imports nothing heavy."""

import subprocess
import sys
from importlib.util import find_spec

import click
import pytest

from gateway.cli import COMMANDS, EPILOG, common, main

HEAVY = {"redis", "rq", "pydantic", "uvicorn", "starlette", "limits", "structlog", "httpx2", "rich"}
RUN = """
import sys
from gateway.cli import main
main(sys.argv[1:], prog_name="hookline", standalone_mode=False)
print("IMPORTED", *{name.partition(".")[0] for name in sys.modules})
"""


def help_of(*words: str) -> tuple[str, set[str]]:
    """What `hookline WORDS --help` prints, and the packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text, _, imported = done.stdout.rpartition("IMPORTED")
    return text, set(imported.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_file(name: str) -> None:
    assert find_spec(f"gateway.cli.{COMMANDS[name][0]}"), (
        f"gateway/cli/{COMMANDS[name][0]}.py is missing"
    )


def test_help_lists_every_command_with_its_line() -> None:
    text, imported = help_of()
    words = " ".join(text.split())
    for name, (_, line) in COMMANDS.items():
        assert f"{name} {line}" in words
    assert not imported & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_imports_nothing_heavy(name: str) -> None:
    text, imported = help_of(name)
    assert text.startswith(f"Usage: hookline {name}")
    assert not imported & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, click.Command)
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    assert not [each.name for each in options if not each.help]


def test_every_exit_status_is_in_the_help() -> None:
    statuses = (common.FAILED, common.NOT_FOUND, common.UNAVAILABLE, common.BAD_CONFIG)
    documented = {int(word) for word in EPILOG.split() if word.isdigit()}
    assert documented == {0, 2, 130, *statuses}
