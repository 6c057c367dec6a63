"""Holds a process to a part of a core, by the control groups of Linux; only root may."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 20_000
LEAVE_SECONDS = 2.0  # a process that has ended leaves its group a moment later


def missing() -> str:
    """Why nothing can be held here; empty when it can."""
    home, unified = _home(ROOT)
    if not os.access(home, os.W_OK):
        return f"only root may make control groups in {home}"
    # Of version 2 a group has the files of what the one above hands down, of version 1 all of its own.
    needed = home / ("cgroup.subtree_control" if unified else "cpu.cfs_quota_us")
    if not needed.exists() or (unified and "cpu" not in needed.read_text().split()):
        return f"there are no control groups for CPU in {home}"
    return ""


@contextmanager
def held(pid: int, name: str, share: float, root: Path = ROOT) -> Iterator[None]:
    """The process gets at most `share` of one core, its threads together. It shall end in the block."""
    home, unified = _home(root)
    group = home / f"hookline-bench-{os.getpid()}-{name}"
    group.mkdir()
    quota = str(int(PERIOD_US * share))
    if unified:
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(quota)
    (group / "cgroup.procs").write_text(str(pid))
    try:
        yield
    finally:
        _remove(group)


def _home(root: Path) -> tuple[Path, bool]:
    """Where groups are made, and whether that is the hierarchy of version 2."""
    unified = (root / "cgroup.controllers").exists()
    return (root if unified else root / "cpu"), unified


def _remove(group: Path) -> None:
    deadline = time.monotonic() + LEAVE_SECONDS
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
