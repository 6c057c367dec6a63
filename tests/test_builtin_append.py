"""`run = "append"`: whole lines in a real file, whoever else writes, dies, or fills the disk."""

import base64
import fcntl
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.builtin.append import AppendFailed, json_in_a_line, line_of, write_line
from tests.builtin_rig import CANARY, an_event, processor, run


def table(file: Path, *lines: str) -> str:
    return "\n".join(["[[processors]]", 'run = "append"', f'file = "{file}"', *lines])


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


# A line


def test_a_line_is_an_object_with_the_event_and_its_payload(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    appending = processor(table(file, 'headers = ["X-GitHub-Event"]'), tmp_path)
    run(appending, an_event(b'{"a": "\xc3\xbc"}', processor="github.append"))
    assert lines_of(file) == [
        {
            "id": "evt_abcdefghijklmnopqrstuvwxyz",
            "source": "github",
            "type": "issues",
            "key": "evt_abcdefghijklmnopqrstuvwxyz:github.append",
            "received_at": "2026-01-01T12:00:00.000+00:00",
            "headers": {"x-github-event": "issues"},
            "payload": {"a": "ü"},
        }
    ]


@pytest.mark.parametrize(
    "body", [b"a=b", b"\xff\x00", b"", b'{"a": NaN}', b"[" * 100_000, b"\xef\xbb\xbf{}", b"9" * 5000]
)
def test_a_body_that_is_no_json_stands_there_in_base64(body: bytes) -> None:
    line = json.loads(line_of(an_event(body)))
    assert base64.b64decode(line["body"]) == body
    assert "payload" not in line


def test_json_stands_there_as_it_was_sent_without_its_line_breaks() -> None:
    body = b'{\r\n  "price": 0.10000000000000000001,\n  "big": 123456789012345678901234567890 }\n'
    line = line_of(an_event(body))
    assert b'"price": 0.10000000000000000001' in line
    assert b"123456789012345678901234567890" in line
    assert line.count(b"\n") == 1


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_taking_line_breaks_out_changes_no_value(value: Any) -> None:
    text = json_in_a_line(json.dumps(value, indent=2, ensure_ascii=False).encode())
    assert text is not None
    assert "\n" not in text
    assert json.loads(text) == value


@given(st.binary(max_size=300))
def test_any_body_makes_one_line_of_json(body: bytes) -> None:
    line = line_of(an_event(body))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["id"]


# A file


def test_an_event_that_runs_twice_stands_there_twice_with_one_key(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    appending = processor(table(file), tmp_path)
    for attempt in (1, 2):
        run(appending, an_event(attempt=attempt))
    assert len({line["key"] for line in lines_of(file)}) == 1
    assert len(lines_of(file)) == 2


def test_a_line_that_was_torn_gets_its_end_and_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"id": 1}\n{"id": "to')
    write_line(file, b'{"id": 3}\n')
    assert file.read_bytes() == b'{"id": 1}\n{"id": "to\n{"id": 3}\n'
    write_line(file, b'{"id": 4}\n')
    assert file.read_bytes().endswith(b'{"id": 3}\n{"id": 4}\n')


def test_nobody_else_may_read_a_new_file(tmp_path: Path) -> None:
    write_line(tmp_path / "new", b"x\n")
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0


WRITER = """
    import sys
    from pathlib import Path
    from concurrent.futures import ThreadPoolExecutor
    from gateway.builtin.append import write_line

    file, name, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with ThreadPoolExecutor(8) as pool:
        lines = [f'["{name}", {number}, "{"x" * 9000}"]\\n'.encode() for number in range(100)]
        for _ in range(times):
            list(pool.map(lambda line: write_line(file, line), lines))
"""


def start(program: str, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", dedent(program), *words], stderr=subprocess.PIPE)


def test_four_processes_of_eight_threads_leave_whole_lines_only(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    writers = [start(WRITER, str(file), name, "1") for name in "abcd"]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert {(name, number) for name, number, _ in lines} == {(n, i) for n in "abcd" for i in range(100)}
    assert len(lines) == 400


def test_a_writer_that_is_killed_leaves_at_most_one_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    for _ in range(3):
        writer = start(WRITER, str(file), "killed", "1000")  # it would write on for long
        while not file.exists() or file.stat().st_size < 50_000:
            assert writer.poll() is None
        writer.kill()
        writer.communicate(timeout=60)
        write_line(file, b'["last", 0, ""]\n')
        lines = file.read_bytes().splitlines()
        assert json.loads(lines[-1])[0] == "last"
        torn = [line for line in lines[:-1] if not line.endswith(b"]")]
        assert len(torn) <= 1
        file.unlink()


def test_a_file_that_was_moved_away_while_we_waited_is_begun_anew(tmp_path: Path) -> None:
    file, rotated = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    file.write_bytes(b"old\n")
    with file.open("rb") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = pool.submit(write_line, file, b"new\n")
        while not _is_waited_for(file):
            assert not waiting.done()
        file.rename(rotated)
        fcntl.flock(held, fcntl.LOCK_UN)
        waiting.result(60)
    assert (rotated.read_bytes(), file.read_bytes()) == (b"old\n", b"new\n")


def _is_waited_for(file: Path) -> bool:
    """Whether somebody else has it open."""
    return [_opened(each) for each in os.listdir("/proc/self/fd")].count(str(file)) >= 2


def _opened(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:  # it was closed since
        return ""


# A full disk

FULL = """
    import resource, sys
    from pathlib import Path
    from gateway.builtin.append import write_line

    file = Path(sys.argv[1])
    size = file.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
    try:
        write_line(file, b"x" * 1000 + b"\\n")
    except OSError as error:
        assert file.stat().st_size == size, file.stat().st_size
        write_line(file, b"y" * 50 + b"\\n")
        sys.exit(error.strerror)
"""


def test_what_a_disk_took_of_a_line_is_taken_back_when_it_takes_no_more(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"first\n")
    writer = start(FULL, str(file))
    _, errors = writer.communicate(timeout=60)
    assert errors.decode() == "File too large\n"
    assert file.read_bytes() == b"first\n" + b"y" * 50 + b"\n"


def test_an_attempt_that_is_cut_short_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"first\n")

    def cut(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        write_line(file, b"second\n")
    assert file.read_bytes() == b"first\n"


def test_a_failure_names_the_file_and_the_reason_and_nothing_of_the_body(tmp_path: Path) -> None:
    directory = tmp_path / "there"
    directory.mkdir()
    appending = processor(table(directory / "events.jsonl"), tmp_path)
    directory.rmdir()
    with pytest.raises(AppendFailed) as error:
        run(appending, an_event(CANARY.encode()))
    assert str(error.value) == f"{directory}/events.jsonl: No such file or directory"


def test_others_are_not_held_up_by_one_that_waits_for_its_file(tmp_path: Path) -> None:
    file, other = tmp_path / "held", tmp_path / "other"
    file.touch()
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=write_line, args=(file, b"x\n"))
        waiting.start()
        write_line(other, b"y\n")
        fcntl.flock(held, fcntl.LOCK_UN)
    waiting.join(60)
    assert (file.read_bytes(), other.read_bytes()) == (b"x\n", b"y\n")
