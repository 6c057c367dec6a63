"""The tutorial is true: its commands, files and tests, in the order in which they stand there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.test_docs import ROOT, blocks

PAGE: Final = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What of a clone the tutorial works with."""
    for name in ("config", "processors"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests" / "processors").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(clone: Path, line: str) -> str:
    """One command line of the page; hookline and python are this one."""
    first, *words = shlex.split(line)
    module = ["-m", "gateway"] if first == "hookline" else []
    kept = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    done = subprocess.run(
        [sys.executable, *module, *words],
        cwd=clone,
        env=kept | {"PYTHONPATH": f"{clone}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_can_be_followed(clone: Path) -> None:
    """`hookline new` and the tests, as they come; a file of the page goes where its first line says."""
    text = PAGE.read_text(encoding="utf-8")
    steps = sorted([*blocks(PAGE, "console"), *blocks(PAGE, "python"), *blocks(PAGE, "toml")])
    passed = []
    for _, code in steps:
        if file := re.match(r"# (\S+\.py)\n", code):
            (clone / file[1]).write_text(code.partition("\n")[2], encoding="utf-8")
        for line in re.findall(r"^\$ ((?:hookline new|python -m pytest) .+)$", code, re.MULTILINE):
            passed += re.findall(r"\d+ passed", said := run(clone, line))
            files = [each.split("  ")[0] for each in said.splitlines() if "new " in line]
            assert all(name in text for name in files)
    assert passed == ["1 passed", "3 passed"]
    assert tomllib.loads((clone / "config/sources/shop.toml").read_text()) == tomllib.loads(
        next(code for _, code in blocks(PAGE, "toml"))
    )
