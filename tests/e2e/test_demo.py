"""The main job, end to end, as a newcomer runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the shipped configuration and processors, and nothing else."""
    for name in ("config", "processors"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def hookline(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    secrets = ("REDIS_URL", "GITHUB_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET", "SLACK_SIGNING_SECRET")
    environ = {name: value for name, value in os.environ.items() if name not in secrets}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=place,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_demo_ends_with_every_row_as_expected_and_leaves_no_process(place: Path) -> None:
    done = hookline(place, "dev", "--demo", "--exit", "--port", "0", "--admin-port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert "outage over: replayed" in done.stdout
    assert done.stdout.rstrip().endswith("as expected."), "the table is the last that is shown"
    left = subprocess.run(["pgrep", "-f", str(place)], capture_output=True, text=True, check=False)
    assert not left.stdout, "a process of the demo is still running"
    assert (place / ".hookline" / "dev.env").stat().st_mode & 0o077 == 0


def test_the_demo_is_as_expected_beside_a_processor_of_ones_own(place: Path) -> None:
    own = "from gateway.plugins import *\nregistry = Registry()\n"
    own += '@registry.processor(source="github", events=["push", "star"])\ndef own(event: Event): ...\n'
    (place / "processors" / "own.py").write_text(own)
    done = hookline(place, "dev", "--demo", "--exit", "--port", "0", "--admin-port", "0")
    assert done.returncode == 0, done.stdout + done.stderr


def test_development_secrets_are_made_once_and_never_used_by_serve(place: Path) -> None:
    hookline(place, "dev", "--demo", "--exit", "--port", "0", "--admin-port", "0")
    first = (place / ".hookline" / "dev.env").read_text()
    hookline(place, "dev", "--demo", "--exit", "--port", "0", "--admin-port", "0")
    assert (place / ".hookline" / "dev.env").read_text() == first
    served = hookline(place, "serve")
    assert served.returncode == 78
    assert "GITHUB_WEBHOOK_SECRET is not set" in served.stderr
