"""Where the peers that are no dependency of ours live: a virtual environment, and node's modules."""

import shutil
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
NODE = HERE / "node"


def python_missing() -> str | None:
    """Why arq and dramatiq cannot run here, or None."""
    return (
        None
        if (PYTHON.parent / "arq").exists()
        else "arq and dramatiq are not installed: scripts/bench does it"
    )


def node_missing() -> str | None:
    """Why the peers of node cannot run here, or None."""
    if not shutil.which("node"):
        return "node is not on PATH"
    if not (NODE / "node_modules" / "bullmq").exists():
        return "BullMQ is not installed: scripts/bench does it, given npm and a network"
    return None
