"""The main job, end to end, as a newcomer runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.rig import until

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
        timeout=180,
        check=False,
    )


def test_the_demo_ends_with_every_row_as_expected_and_leaves_no_process(place: Path) -> None:
    """Also the second time, beside a processor of one's own. Secrets are made once; serve has none."""
    secrets = place / ".hookline" / "dev.env"
    first = the_demo(place)
    made = secrets.read_text()
    assert secrets.stat().st_mode & 0o077 == 0
    own = "from gateway.plugins import *\nregistry = Registry()\n"
    own += '@registry.processor(source="github", events=["push", "star"])\ndef own(event: Event): ...\n'
    (place / "processors" / "own.py").write_text(own)
    for shown in (first, the_demo(place)):
        assert "✗" not in shown
        assert "outage over: replayed" in shown
        assert shown.rstrip().endswith("as expected."), "the table is the last that is shown"
    assert secrets.read_text() == made
    served = hookline(place, "serve")
    assert served.returncode == 78
    assert "GITHUB_WEBHOOK_SECRET is not set" in served.stderr


def left_of(place: Path) -> str:
    """Processes of the demo that still run."""
    words = ["pgrep", "-f", str(place)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def the_demo(place: Path) -> str:
    done = hookline(place, "dev", "--demo", "--exit", "--port", "0", "--admin-port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: not left_of(place), what="the end of its processes")
    return done.stdout
