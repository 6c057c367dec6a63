"""`--help` of everything: it works, it is complete, and quick because it imports nothing heavy."""

import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway import cli
from gateway.cli import COMMANDS, EPILOG, main
from gateway.cli.shared import exits
from gateway.cli.shared.listing import ListingGroup
from gateway.cli.shared.options import json_option

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


def test_every_other_file_is_shared() -> None:
    files = {path.stem for path in Path(cli.__file__).parent.glob("[!_]*.py")}
    assert files == {file for file, _ in COMMANDS.values()}, "what is no command lives in cli/shared/"


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
    statuses = {value for value in vars(exits).values() if isinstance(value, int)}
    documented = {int(word) for word in EPILOG.split() if word.isdigit()}
    assert documented == {0, 2, *statuses}


def test_ctrl_c_has_its_status_wherever_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(platform, "python_version", press)
    result = CliRunner().invoke(main, ["version"])
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((), "list"),
        (("--json",), "list --json"),
        (("list", "--json"), "list --json"),
        (("--json", "show", "x"), "show --json x"),
        (("show", "x"), "show x"),
    ],
)
def test_list_may_go_unsaid(words: tuple[str, ...], meant: str) -> None:
    seen = []

    @click.group(cls=ListingGroup)
    def group() -> None: ...

    def command(as_json: bool, name: str = "") -> None:
        context = click.get_current_context()
        seen.append(" ".join(filter(None, (context.info_name, "--json" * as_json, name))))

    group.command("list")(json_option(command))
    group.command("show")(click.argument("name")(json_option(command)))
    group.main(words, standalone_mode=False)
    assert seen == [meant]


def test_a_mistyped_sub_command_is_no_list() -> None:
    result = CliRunner().invoke(main, ["sources", "shwo"])
    assert (result.exit_code, "No such command 'shwo'" in result.stderr) == (2, True)
