"""Where the peers that are no dependency of ours live: a virtual environment, and node's modules.

And Hookline itself, with its hot parts compiled.
"""

import shutil
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
NODE = HERE / "node"
COMPILED = HERE / ".compiled" / "bin" / "python"


def python_missing() -> str | None:
    """Why arq and dramatiq cannot run here, or None."""
    return (
        None
        if (PYTHON.parent / "arq").exists()
        else "arq and dramatiq are not installed: scripts/bench does it"
    )


def compiled_missing() -> str | None:
    """Why Hookline cannot run compiled here, or None."""
    return (
        None if COMPILED.exists() else "it is not compiled: scripts/bench does it, given a C compiler"
    )


def node_missing() -> str | None:
    """Why the peers of node cannot run here, or None."""
    if not shutil.which("node"):
        return "node is not on PATH"
    if not (NODE / "node_modules" / "bullmq").exists():
        return "BullMQ is not installed: scripts/bench does it, given npm and a network"
    return None
