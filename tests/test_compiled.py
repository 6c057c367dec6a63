"""What is compiled: named as it is called, and whole or not at all."""

import ast
import importlib
import os
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main

ROOT = Path(__file__).parents[1]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["hooks"]["mypyc"]
COMPILED = sorted(
    {str(path.relative_to(ROOT)) for pattern in HOOK["include"] for path in ROOT.glob(pattern)}
)
ASKED = "HOOKLINE_COMPILED" in os.environ


@pytest.mark.parametrize("pattern", HOOK["include"])
def test_whatever_is_to_be_compiled_is_there(pattern: str) -> None:
    assert list(ROOT.glob(pattern))


@pytest.mark.parametrize("path", COMPILED)
def test_no_constant_is_a_tuple_of_bare_floats(path: str) -> None:
    """mypyc 2.4 takes one for a constant that was not set yet, where it is asked for as a whole."""
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Tuple):
            floats = [each for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            bare = ast.unparse(node.annotation) == "Final"
            assert not (bare and all(isinstance(each.value, float) for each in floats)), (
                f"line {node.lineno}: write Final[tuple[float, ...]]"
            )


def test_it_is_compiled_only_where_somebody_asks() -> None:
    assert HOOK["enable-by-default"] is False


@pytest.mark.parametrize("path", COMPILED)
def test_these_tests_run_on_the_compiled_parts_where_they_were_asked_to(path: str) -> None:
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert str(module.__file__).endswith(".py") is not ASKED


def test_the_version_says_whether_it_is_compiled() -> None:
    said = CliRunner().invoke(main, ["version"]).output
    assert (", compiled)" in said) is ASKED
