"""Each kind of bad processor in a real worker: its end is defined, its author is told the file and the
line, and the good one beside it does its work.

`pytest -s` prints what the author saw: docs/processors.md has it.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.chaos.rig import Crew, Process, a_deployment
from tests.e2e.rig import PROCESSORS, until

GOOD = """
@registry.processor(source="github", name="good")
def good(event: Event) -> None:
    note(event, "start")
    note(event, "end")
"""


@contextmanager
def crew_of(
    root: Path, redis_url: str, bad: str = "", more: str = "", lease: str = "1h", **modules: str
) -> Iterator[Crew]:
    """The good processor beside `bad`. `modules`: further files. `more`: settings of [worker].
    `lease`: who dies without a word is waited for so long."""
    deployment = a_deployment(root, GOOD + bad, lease=lease)
    settings = deployment.gateway.replace("[worker]\n", f"[worker]\n{more}")
    deployment = replace(deployment, gateway=settings, processors={**deployment.processors, **modules})
    with Crew(deployment, redis_url) as crew:
        yield crew


def line_of(crew: Crew, text: str, module: str = "all") -> str:
    """`file:line` of the one line of a module that holds this text."""
    path = crew.deployment.root / PROCESSORS / f"{module}.py"
    (number,) = (n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)
    return f"{path}:{number}"


def saw(what: str, text: object) -> None:
    print(f"\n--- {what}\n{text}")


def good_is_done(crew: Crew, *values: str) -> bool:
    return all(crew.row(value).state == "done" for value in values)


def until_told(worker: Process, event: str) -> dict[str, Any]:
    line = until(lambda: worker.lines(event), what=f"{event}:\n{worker.text()}")[0]
    saw(event, line)
    return line


# What is wrong before anything runs


def test_one_that_raises_at_import_and_one_with_a_wrong_signature_keep_a_worker_from_starting(
    tmp_path: Path, redis_url: str
) -> None:
    """Both are told at once."""
    wrong = '@registry.processor(source="github")  # wrong\ndef wrong(event, *, database): ...\n'
    broken = "import os\n\nraise LookupError('no such table')\n"
    with crew_of(tmp_path, redis_url, wrong, broken=broken) as crew:
        worker = crew.worker(ready=False)
        assert worker.process.wait(60) == 78
        saw("refused", worker.text())
        file = line_of(crew, "raise", "broken").rpartition(":")[0]
        assert f"{file}: line 3: cannot be imported: LookupError" in worker.text()
        assert f"{line_of(crew, '# wrong')}: a processor takes (event), and after" in worker.text()


def test_one_that_raises_at_import_leaves_a_running_worker_alone(
    tmp_path: Path, redis_url: str
) -> None:
    with crew_of(tmp_path, redis_url) as crew:
        worker = crew.worker()
        crew.accept("0", processors=["good"])
        until(lambda: good_is_done(crew, "0"))
        broken = tmp_path / PROCESSORS / "broken.py"
        broken.write_text("import no_such_module\n")
        worker.signal(signal.SIGHUP)
        until_told(worker, "reload.refused")
        saw("reload", worker.text())
        crew.accept("1", processors=["good"])
        until(lambda: good_is_done(crew, "1"))
        assert f"{broken}: line 1: cannot be imported" in worker.text()


def test_one_that_registers_nothing_is_warned_of_and_the_others_run(
    tmp_path: Path, redis_url: str
) -> None:
    forgotten = "from gateway.plugins import *\nregistry = Registry()\ndef process(event): ...\n"
    with crew_of(tmp_path, redis_url, forgotten=forgotten, lost="def process(event): ...\n") as crew:
        checked = crew.deployment.run("check", "--offline", redis_url=redis_url)
        saw("hookline check", checked.stderr)
        folder = tmp_path / PROCESSORS
        assert f"warning: {folder}/forgotten.py: its registry has no processor" in checked.stderr
        assert f"warning: {folder}/lost.py: registers nothing" in checked.stderr
        assert checked.returncode == 0


CANNOT_OPEN = """
from collections.abc import Iterator

@registry.lifespan
def database() -> Iterator[list]:
    raise ConnectionError("no server at db:5432")  # it fails to open
    yield []

@registry.processor(source="github")
def keep(event: Event, database: list) -> None: ...
"""


def test_one_whose_lifespan_cannot_be_opened_keeps_a_worker_from_starting(
    tmp_path: Path, redis_url: str
) -> None:
    with crew_of(tmp_path, redis_url, CANNOT_OPEN) as crew:
        worker = crew.worker(ready=False)
        assert worker.process.wait(60) == 69
        saw("refused", worker.text())
        place = line_of(crew, "# it fails to open")
        why = "the lifespan database cannot be opened: ConnectionError: no server at db:5432"
        assert worker.text() == f"{place}: {why}\n"


# What is wrong while it runs

BLOCKS = """
import time

@registry.processor(source="github")
async def quick(event: Event) -> None:
    pass

@registry.processor(source="github", timeout=30)
async def blocks(event: Event) -> None:
    note(event, "start")
    time.sleep(3600)  # it blocks the loop
"""


def test_one_that_blocks_the_event_loop_is_named_and_the_others_move_on(
    tmp_path: Path, redis_url: str
) -> None:
    with crew_of(tmp_path, redis_url, BLOCKS) as crew:
        worker = crew.worker()
        crew.accept("1", processors=["blocks"])
        until(crew.runs)
        crew.accept("2", processors=["quick"])
        line = until_told(worker, "processor.blocks_loop")
        assert (line["processor"], line["where"]) == ("blocks", line_of(crew, "# it blocks the loop"))
        until(lambda: good_is_done(crew, "2"))


LEAKS = """
KEPT = []

@registry.processor(source="github")
def leaks(event: Event) -> None:
    KEPT.append(b"x" * 40_000_000)
"""


def test_one_that_leaks_memory_makes_its_worker_start_anew(tmp_path: Path, redis_url: str) -> None:
    with crew_of(tmp_path, redis_url, LEAKS, 'max_memory = "256MiB"\n') as crew:
        values = [str(number) for number in range(12)]
        crew.accept(*values, processors=["leaks"])
        worker = crew.worker("--concurrency", "2")
        line = until_told(worker, "worker.memory_exceeded")
        assert line["runs"].startswith("leaks=")
        until(lambda: good_is_done(crew, *values))
        until(lambda: len(worker.lines("worker.started")) >= 2)
        assert worker.process.poll() is None, "the same process goes on"
        assert {crew.row(value).attempts for value in values} == {1}


KILLS = """
import os

@registry.processor(source="github")
def kills(event: Event) -> None:
    os._exit(1)
"""


def test_one_that_kills_its_process_is_poison(tmp_path: Path, redis_url: str) -> None:
    with crew_of(tmp_path, redis_url, KILLS, lease="1s") as crew:
        crew.accept("1", processors=["kills"])
        assert crew.worker().process.wait(60) == 1
        second = crew.worker()
        line = until_told(second, "delivery.dead")
        assert (line["processor"], line["reason"]) == ("kills", "poison")
        crew.accept("2", processors=["good"])
        until(lambda: good_is_done(crew, "2"))


def test_one_that_killed_a_process_of_its_own_takes_no_further_worker_down(
    tmp_path: Path, redis_url: str
) -> None:
    with crew_of(tmp_path, redis_url, KILLS, lease="1s") as crew:
        crew.accept("1", processors=["kills"])
        assert crew.worker().process.wait(60) == 1
        second = crew.worker()
        until_told(second, "delivery.dead")
        crew.accept("2", processors=["kills"])
        until(lambda: crew.row("2").reason == "poison")
        assert second.process.poll() is None


CRASHES = """
import ctypes

@registry.processor(source="github")
def crashes(event: Event) -> None:
    ctypes.string_at(0)
"""


def test_one_that_crashes_in_native_code_is_told_by_its_line(tmp_path: Path, redis_url: str) -> None:
    with crew_of(tmp_path, redis_url, CRASHES) as crew:
        crew.accept("1", processors=["crashes"])
        first = crew.worker()
        assert first.process.wait(60) < 0
        line = line_of(crew, "ctypes.string_at(0)").rpartition(":")[2]
        assert f'all.py", line {line} in crashes' in first.text()


ENDLESS = """
import asyncio, time

@registry.processor(source="github", timeout=0.5, retry=Retry(attempts=1))
def in_c(event: Event) -> None:
    time.sleep(3600)  # in C code

@registry.processor(source="github", timeout=0.5, retry=Retry(attempts=1))
def loops(event: Event) -> None:
    while True: pass  # in a loop

@registry.processor(source="github", timeout=0.5, retry=Retry(attempts=1))
async def waits(event: Event) -> None:
    await asyncio.sleep(3600)  # in a wait
"""


def test_one_that_never_returns_has_timed_out_at_its_line(tmp_path: Path, redis_url: str) -> None:
    with crew_of(tmp_path, redis_url, ENDLESS) as crew:
        worker = crew.worker()
        crew.accept("1", processors=["in_c", "loops", "waits"])
        crew.accept("2", processors=["good"])
        until(lambda: good_is_done(crew, "2"))
        lines = until(lambda: _three(worker.lines("attempt.timed_out")))
        saw("attempt.timed_out", lines)
        assert {each["processor"]: each["where"] for each in lines} == {
            "in_c": line_of(crew, "# in C code"),
            "loops": line_of(crew, "# in a loop"),
            "waits": line_of(crew, "# in a wait"),
        }
        assert {crew.row("1", number).reason for number in (1, 2, 3)} == {"exhausted"}
        assert worker.stop() == 0


def _three(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found if len(found) == 3 else []


HOLDS = """
import ctypes

@registry.processor(source="github")
def holds(event: Event) -> None:
    note(event, "start")
    ctypes.PyDLL(None).sleep(3600)  # it never lets go, and takes no core
"""


def test_one_that_holds_the_interpreter_ends_its_worker_which_says_the_line(
    tmp_path: Path, redis_url: str
) -> None:
    """Nothing of Python runs there any more: a thread of C ends it, and the next one goes on."""
    with crew_of(tmp_path, redis_url, HOLDS, lease="1s") as crew:
        worker = crew.worker()
        crew.accept("1", processors=["holds"])
        assert worker.process.wait(60) == 1
        saw("on stderr", worker.text())
        file, _, number = line_of(crew, "# it never lets go").rpartition(":")
        assert f'File "{file}", line {number} in holds' in worker.text()
        second = crew.worker()
        crew.accept("2", processors=["good"])
        until(lambda: good_is_done(crew, "2"))
        second.kill()
