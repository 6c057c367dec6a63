"""Where a new processor's files go, what is in them, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final, Self

from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.printing import short
from gateway.cli.shared.scaffold import Draft, Wish, body_text, processor_text
from gateway.cli.shared.scaffold_test import text_of_test
from gateway.core.event import INTERNAL

PYTEST_FILES: Final = ("pytest.ini", "pyproject.toml", "conftest.py", "setup.cfg", "tox.ini")
PYTEST_INI: Final = """# Tests import the processors from this directory.
[pytest]
pythonpath = .
"""
INIT: Final = '"""This deployment\'s processors: every module that has a `registry` is found."""\n'
ORIGINS: Final = {
    "recorded": "after the recorded events, with made-up values",
    "sample": "after the sample",
    "none": "a bare beginning",
}

Texts = Mapping[Path, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Order:
    """The places of one new processor. Tests lie in tests/processors/ where there is one."""

    name: str
    folder: Path
    tests: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> Self:
        """Status 1 where a test could not import what is in the folder."""
        folder = folder.resolve()
        if not folder.name.isidentifier():
            fail(FAILED, f"{short(str(folder))}: rename it: Python cannot import from {folder.name!r}.")
        tests = folder.parent / "tests"
        return cls(name, folder, tests / "processors" if (tests / "processors").is_dir() else tests)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.py"

    @property
    def test(self) -> Path:
        return self.tests / f"test_{self.name}.py"

    @property
    def root(self) -> Path:
        return self.folder.parent

    def wish(
        self, source: str, events: str, preset: str | None, *, is_async: bool, typed: bool
    ) -> Wish:
        module, inside = f"{self.folder.name}.{self.name}", (self.root / "gateway").is_dir()
        return Wish(self.name, source, events, module, preset, is_async, typed, inside)


def processor_files(order: Order, draft: Draft) -> Texts:
    """Texts, and what each file is. What makes the first processor findable comes along."""
    texts = {
        order.file: (processor_text(draft), f"the processor, {ORIGINS[draft.examples.origin]}"),
        order.test: (text_of_test(draft), "its test"),
    }
    if draft.body_file:
        texts[order.test.with_suffix(draft.body_file)] = (body_text(draft), "a body for the test")
    if not order.folder.is_dir():
        texts[order.folder / "__init__.py"] = (INIT, "makes it a package")
    if not any((order.root / name).exists() for name in PYTEST_FILES):
        texts[order.root / "pytest.ini"] = (PYTEST_INI, "lets tests import the processors")
    return texts


def steps_of(order: Order, draft: Draft) -> list[tuple[str, str]]:
    test = short(str(order.test))
    return [
        (f"python -m pytest {test}", "passes already; change both"),
        ("hookline dev", "in a terminal of its own"),
        _sending(order, draft),
    ]


def _sending(order: Order, draft: Draft) -> tuple[str, str]:
    """What makes it run: nobody can send what processors emit."""
    source, kind = draft.wish.source, draft.type
    if source == INTERNAL:
        return f'event.emit("{kind}", {{...}})', "in a processor whose event causes it"
    data = f" --data {short(str(order.test.with_suffix(draft.body_file)))}" if draft.body_file else ""
    return f"hookline send {source} {quote(kind)}{data}", "and see it run there"
