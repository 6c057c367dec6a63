"""`run = "exec"`: real programs, how they end, and what is left of them."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.builtin.processes import ProgramFailed, Programs
from gateway.builtin.program import ProgramBusy
from gateway.core.outcomes import AttemptOutcome
from gateway.plugins import Discard, Event, Processor
from gateway.process import outcome_of
from tests.builtin_rig import CANARY, ENVIRON, an_event, attempt, processor, run
from tests.e2e.rig import until

Program = Callable[..., Processor]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A processor that runs a shell script of this text."""

    def made(text: str, *lines: str) -> Processor:
        path = tmp_path / "program.sh"
        path.write_text("#!/bin/sh\n" + dedent(text))
        path.chmod(0o755)
        table = ["[[processors]]", 'run = "exec"', f'command = ["{path}", "a b", "$HOME; *"]', *lines]
        return processor("\n".join(table), tmp_path)

    return made


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


# What it gets


def test_a_program_gets_the_body_on_its_standard_input(program: Program, tmp_path: Path) -> None:
    body = bytes(range(256)) * 8192  # two MiB: more than a pipe holds
    run(program(f"cat > {tmp_path}/out"), an_event(body))
    assert (tmp_path / "out").read_bytes() == body


def test_a_program_gets_its_arguments_as_they_stand_in_the_file(
    program: Program, tmp_path: Path
) -> None:
    run(program(f'printf "%s|" "$@" > {tmp_path}/out'), an_event())
    assert (tmp_path / "out").read_text() == "a b|$HOME; *|"


def test_a_program_gets_the_facts_its_own_variables_and_nothing_of_the_workers(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", CANARY)
    lines = ("[processors.env]", 'PLAIN = "x y"', 'TOKEN = "env:KEY"')
    event = an_event(processor="github.exec", attempt=3, fence=7)
    run(program(f"env -0 > {tmp_path}/out", *lines), event)
    text = (tmp_path / "out").read_text()
    found = dict(pair.split("=", 1) for pair in text.removesuffix("\0").split("\0"))
    for ours_of_the_shell in ("PWD", "SHLVL", "_", "OLDPWD"):
        found.pop(ours_of_the_shell, None)
    assert found.pop("PATH") == os.environ["PATH"]
    assert found == {
        "PLAIN": "x y",
        "TOKEN": ENVIRON["KEY"],
        "HOOKLINE_EVENT_ID": "evt_abcdefghijklmnopqrstuvwxyz",
        "HOOKLINE_EVENT_TYPE": "issues",
        "HOOKLINE_EVENT_SOURCE": "github",
        "HOOKLINE_EVENT_PROVIDER_ID": "72d3162e",
        "HOOKLINE_EVENT_KEY": "evt_abcdefghijklmnopqrstuvwxyz:github.exec",
        "HOOKLINE_EVENT_ATTEMPT": "3",
        "HOOKLINE_EVENT_FENCE": "7",
        "HOOKLINE_EVENT_RECEIVED_AT": "2026-01-01T12:00:00.000+00:00",
        "HOOKLINE_EVENT_CONTENT_TYPE": "application/json",
    }


def test_what_a_sender_wrote_cannot_keep_a_program_from_starting(program: Program) -> None:
    run(program("exit 0"), an_event(headers={"content-type": "a\0b"}))


# How it ends


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exit 0", AttemptOutcome.DONE),
        ("exit 75", AttemptOutcome.RETRY_ASKED),
        ("exit 65", AttemptOutcome.DISCARDED),
        ("exit 1", AttemptOutcome.FAILED),
        ("kill -9 $$", AttemptOutcome.FAILED),
        ("sleep 30", AttemptOutcome.TIMED_OUT),
    ],
)
def test_the_exit_status_is_the_outcome(script: str, outcome: AttemptOutcome, program: Program) -> None:
    ended = attempt(program(script, 'timeout = "300ms"' if "sleep" in script else ""), an_event())
    assert outcome_of(ended.error) is outcome


def test_other_statuses_may_be_told_to_mean_that_trying_again_is_of_no_use(program: Program) -> None:
    with pytest.raises(Discard, match="exit status 3"):
        run(program("exit 3", "discard_on = [3, 4]"), an_event())
    with pytest.raises(ProgramFailed):
        run(program("exit 65", "discard_on = [3, 4]"), an_event())


def test_a_busy_program_says_not_now_and_comes_again_as_configured(program: Program) -> None:
    with pytest.raises(ProgramBusy, match="exit status 75, again in 300 s: locked") as error:
        run(program("echo locked >&2; exit 75", 'retry_after = "5m"'), an_event())
    assert error.value.seconds == 300


def test_a_failure_tells_the_last_line_of_stderr_first_and_never_more_than_two_kilobytes(
    program: Program,
) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; printf '\\ndisk \\377 on fire\\n' >&2; exit 3"
    with pytest.raises(ProgramFailed) as error:
        run(program(script), an_event())
    first, title, *below = str(error.value).splitlines()
    assert (first, title) == ("program.sh: exit status 3: disk � on fire", "stderr:")
    assert below == ["x" * (2048 - len("\ndisk � on fire\n")), "disk � on fire"]


def test_a_signal_is_told_by_its_name(program: Program) -> None:
    with pytest.raises(ProgramFailed, match=r"^program.sh: ended by SIGSEGV$"):
        run(program("kill -SEGV $$"), an_event())


def test_a_program_need_not_read_what_it_is_given(program: Program) -> None:
    run(program("exit 0"), an_event(b"x" * 5_000_000))
    run(program("exec <&-; exit 0"), an_event(b"x" * 5_000_000))


def test_what_it_prints_and_the_body_go_nowhere(
    program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    run(program(f"echo {CANARY}; echo {CANARY} >&2; cat"), an_event(CANARY.encode()))
    assert CANARY not in "".join(capfd.readouterr())


def test_a_program_that_is_gone_meanwhile_is_a_failure_that_names_it(
    program: Program, tmp_path: Path
) -> None:
    given = program("exit 0")
    (tmp_path / "program.sh").unlink()
    with pytest.raises(ProgramFailed, match=r"program.sh cannot be started: No such file"):
        run(given, an_event())


# What is left of it


def test_a_time_limit_ends_the_program_and_all_that_it_has_started(
    program: Program, tmp_path: Path
) -> None:
    script = f"""
        sleep 60 &
        trap '' TERM INT
        echo $! $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pids
        while :; do wait; done
    """
    begun = (tmp_path / "pids").exists
    ended = attempt(program(script, 'timeout = "100ms"'), an_event(), limited_once=begun)
    assert outcome_of(ended.error) is AttemptOutcome.TIMED_OUT
    pids = [int(each) for each in (tmp_path / "pids").read_text().split()]
    until(lambda: not any(map(is_alive, pids)))


def test_what_a_program_leaves_behind_holds_nothing_up_and_ends_with_it(
    program: Program, tmp_path: Path
) -> None:
    began = time.monotonic()
    run(program(f"sleep 60 & echo $! > {tmp_path}/pid; exit 0"), an_event())  # it holds our pipe
    assert time.monotonic() - began < 30
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_a_program_that_still_runs_when_the_worker_ends_is_ended_with_it(
    program: Program, tmp_path: Path
) -> None:
    given = program(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; sleep 60")
    (lifespan,) = given.lifespans
    ended: list[BaseException] = []

    def one(programs: Programs) -> None:
        try:
            given.function(an_event(), programs)
        except ProgramFailed as error:
            ended.append(error)

    with lifespan.open() as programs:  # type: ignore[union-attr]  # a sync one
        thread = threading.Thread(target=one, args=(programs,))
        thread.start()
        until((tmp_path / "pid").exists)
    thread.join(60)
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert str(ended[0]) == "program.sh: ended by SIGKILL"


def test_a_program_that_is_started_while_the_worker_ends_is_ended_too(program: Program) -> None:
    programs = Programs()
    programs.end_all()
    with pytest.raises(ProgramFailed, match="SIGKILL"):
        program("sleep 60").function(an_event(), programs)


def test_no_program_and_no_descriptor_is_left_after_many(program: Program) -> None:
    given = program("cat > /dev/null; exit 1")
    run_many(given, an_event(b"x" * 100_000), 5)
    before = len(os.listdir("/proc/self/fd"))
    run_many(given, an_event(b"x" * 100_000), 40)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert not unburied()


def unburied() -> list[str]:
    """Children of ours that have ended, and that nobody has waited for."""
    facts = [_facts(each) for each in Path("/proc").glob("[0-9]*")]
    return [parent for state, parent, *_ in facts if state == "Z" and parent == str(os.getpid())]


def _facts(process: Path) -> list[str]:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended since
        return ["", ""]


def run_many(given: Processor, event: Event, many: int) -> None:
    def one() -> None:
        with pytest.raises(ProgramFailed):
            given.function(event, Programs())

    threads = [threading.Thread(target=one) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_signals_to_the_workers_group_do_not_reach_it(program: Program, tmp_path: Path) -> None:
    run(program(f"cut -d' ' -f5 /proc/$$/stat > {tmp_path}/group"), an_event())
    assert int((tmp_path / "group").read_text()) != os.getpgid(0)
