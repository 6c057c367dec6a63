"""The examples' journal: once per key, from many threads, and again when the effect failed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from processors import journal


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOKLINE_JOURNAL_DIR", str(tmp_path / "deep" / "journal"))
    return tmp_path / "deep" / "journal"


def test_keeps_the_first_facts_of_a_key() -> None:
    assert journal.record("invoice", "evt_1", amount=5) is True
    assert journal.record("invoice", "evt_1", amount=6) is False
    assert journal.entries("invoice") == [{"amount": 5}]


def test_the_same_key_of_another_kind_is_another_entry() -> None:
    assert journal.record("invoice", "evt_1")
    assert journal.record("letter", "evt_1")
    assert journal.knows("letter", "evt_1")
    assert not journal.knows("letter", "evt_2")


def test_appends_once_per_key(folder: Path) -> None:
    for key in ("evt_1", "evt_1", "evt_2"):
        journal.append("notes.md", key, f"- {key}\n")
    assert (folder / "notes.md").read_text() == "- evt_1\n- evt_2\n"


def test_a_failed_write_is_not_remembered_as_done(folder: Path) -> None:
    (folder / "notes.md").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        journal.append("notes.md", "evt_1", "- one\n")
    (folder / "notes.md").rmdir()
    journal.append("notes.md", "evt_1", "- one\n")
    assert (folder / "notes.md").read_text() == "- one\n"


def test_threads_that_start_together_neither_lose_nor_repeat_a_line(folder: Path) -> None:
    def write(number: int) -> None:
        journal.append("notes.md", f"evt_{number % 20}", f"{number % 20}\n")
        journal.record("invoice", f"evt_{number % 20}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))
    lines = (folder / "notes.md").read_text().splitlines()
    assert sorted(map(int, lines)) == list(range(20))
    assert len(journal.entries("invoice")) == 20
