"""The units of systemd, and what containers are told, fit what the commands do."""

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import pytest

from gateway.cli import main
from gateway.settings import Settings

ROOT: Final = Path(__file__).parent.parent
UNITS: Final = sorted((ROOT / "docs" / "systemd").glob("*.service"))
SETTINGS: Final = Settings()


def unit(path: Path) -> ConfigParser:
    found = ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment,method-assign]  # configparser's own recipe
    found.read(path)
    return found


def longest_stop(command: str) -> float:
    if command == "worker":
        return SETTINGS.worker.grace
    return SETTINGS.server.grace + (SETTINGS.server.drain or 0.0)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_service_runs_a_command_of_ours_and_leaves_it_the_time_to_stop(path: Path) -> None:
    service = unit(path)["Service"]
    command = service["ExecStart"].split()[-1]
    assert command in main.commands or command in main.list_commands(None)  # type: ignore[arg-type]
    assert float(service["TimeoutStopSec"]) > longest_stop(command)
    assert service["KillMode"] == "mixed"
    assert service["RestartPreventExitStatus"] == "78"


def test_the_sockets_come_in_the_order_in_which_a_gateway_takes_them() -> None:
    text = (ROOT / "docs" / "systemd" / "hookline-serve.socket").read_text()
    ports = [int(port) for port in re.findall(r"^ListenStream=\S*:(\d+)$", text, re.M)]
    assert ports == [SETTINGS.server.port, SETTINGS.admin.port]


@pytest.mark.parametrize("command", ["gateway", "worker"])
def test_compose_waits_longer_for_a_stop_than_it_may_take(command: str) -> None:
    text = (ROOT / "compose.yaml").read_text().partition(f"\n  {command}:\n")[2]
    seconds = re.search(r"stop_grace_period: (\d+)s", text)
    assert seconds
    assert float(seconds[1]) > longest_stop(command)
