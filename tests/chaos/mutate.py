"""`scripts/chaos mutate`: plants known bugs one by one, and requires that each is noticed.

A bug is planted in a copy of the package. Where the code has moved on, so that a replacement does not
apply exactly once, that is a failure too: a bug that is not planted is not caught.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from tests.chaos.mutants import MUTANTS, Mutant

REPOSITORY: Final = Path(__file__).parents[2]
COPIED: Final = ("gateway", "tests", "processors", "config", "pyproject.toml")
AT_ONCE: Final = 2
LONGEST_SECONDS: Final = 300.0
TESTS_FAILED: Final = 1  # pytest's exit status; others say that nothing was tested


class NotPlanted(Exception):  # noqa: N818 - an outcome
    """The text to replace is not there exactly once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word`: caught, missed, or what kept it from being planted."""

    mutant: Mutant
    word: str
    seconds: float

    def __str__(self) -> str:
        by = " ".join((*self.mutant.held_by, *self.mutant.cases))
        return f"  {self.word:<8} {self.mutant.name} ({by}; {self.seconds:.0f} s)"


def plant(root: Path, mutant: Mutant) -> None:
    """Raises NotPlanted."""
    path = root / mutant.file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if (times := text.count(mutant.old)) != 1:
        raise NotPlanted(f"the text to replace stands {times} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


@contextmanager
def a_copy() -> Iterator[Path]:
    with TemporaryDirectory(prefix="hookline-mutant-") as folder:
        root = Path(folder)
        for name in COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root / name)
        yield root


def what_fails(root: Path, tests: Sequence[str], cases: Sequence[str]) -> str:
    """What a failing test or case of this copy says; "": all pass. Raises AssertionError when none
    could be tried."""
    said = _failing_tests(root, tests) if tests else ""
    return said or (_failing_cases(root, cases) if cases else "")


def _failing_tests(root: Path, tests: Sequence[str]) -> str:
    done = _python(root, "-m", "pytest", "-q", "-x", *tests)
    assert done.returncode in (0, TESTS_FAILED), done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout[-3000:] if done.returncode else ""


def _failing_cases(root: Path, cases: Sequence[str]) -> str:
    words = [word for case in cases for word in ("--case", case)]
    done = _python(root, "-m", "tests.chaos.sweep.campaign", *words)
    failed = "FAULT in" in done.stdout
    assert failed == bool(done.returncode), done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout if failed else ""


def _python(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def judge(mutant: Mutant) -> Verdict:
    began = time.monotonic()
    with a_copy() as root:
        try:
            plant(root, mutant)
            word = "caught" if what_fails(root, mutant.held_by, mutant.cases) else "MISSED"
        except (NotPlanted, AssertionError, subprocess.TimeoutExpired) as error:
            word = f"FAILED: {error}"
    return Verdict(mutant, word, time.monotonic() - began)


def fails_already() -> str:
    """What of all that is to notice bugs fails where there is none."""
    tests = dict.fromkeys(each for mutant in MUTANTS for each in mutant.held_by)
    cases = dict.fromkeys(each for mutant in MUTANTS for each in mutant.cases)
    with a_copy() as root:
        return what_fails(root, list(tests), list(cases))


@click.command()
@click.option("--only", default="", help="Bugs whose name holds this.")
def main(only: str) -> None:
    """Plant known bugs and see that each is noticed; exit status 1 when one is not."""
    chosen = [mutant for mutant in MUTANTS if only in mutant.name]
    if not only:
        already = fails_already()
        click.echo(f"without any bug: {already or 'all pass'}")
        if already:
            sys.exit(1)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        verdicts = []
        for verdict in threads.map(judge, chosen):
            click.echo(str(verdict))
            verdicts.append(verdict)
    caught = sum(verdict.word == "caught" for verdict in verdicts)
    click.echo(f"caught / planted: {caught} / {len(verdicts)}")
    sys.exit(caught != len(verdicts))


if __name__ == "__main__":
    main()
