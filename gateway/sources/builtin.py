"""From `[[processors]]` of a source's file to checked values, or every fault in them."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.conditions import parse_condition
from gateway.core.builtin import Append, BuiltIn, Exec, Log, Work
from gateway.core.condition import Condition, ConditionError
from gateway.core.json_path import PathError, parse_path
from gateway.faults import Fault
from gateway.sources.builtin_file import (
    AppendFile,
    BuiltInFile,
    ExecFile,
    ForwardFile,
    LogFile,
    ProcessorFile,
)
from gateway.sources.builtin_forward import build_forward
from gateway.sources.desk import Desk


def build_builtin(
    source: str, files: Sequence[ProcessorFile], environ: Mapping[str, str], where: str
) -> tuple[tuple[BuiltIn, ...], list[Fault]]:
    """In the order of the file; those with a fault are left out."""
    faults: list[Fault] = []
    built: list[BuiltIn] = []
    for index, (file, name) in enumerate(zip(files, names(source, files), strict=True)):
        desk = Desk(where, f"processors[{index}]", environ, [])
        work, when = _work(file, desk), _when(file, desk)
        faults += desk.faults
        if work and not desk.faults:
            origin = f"{where}: {desk.key}"
            built.append(BuiltIn(name, source, file.events, origin, work, file.timeout, when))
    return tuple(built), faults


def names(source: str, files: Sequence[BuiltInFile | ProcessorFile]) -> Iterator[str]:
    """`github.forward`, `github.forward-2`, ...: where the file gives none."""
    seen: Counter[str] = Counter()
    for file in files:
        run = getattr(file, "run", "")
        seen[run] += 1
        yield file.name or f"{source}.{run}" + (f"-{seen[run]}" if seen[run] > 1 else "")


def _when(file: BuiltInFile, desk: Desk) -> Condition | None:
    """None where there is none, and with a fault."""
    if file.when is None:
        return None
    try:
        return parse_condition(file.when, f"{desk.key}.when")
    except ConditionError as error:
        desk.faults.extend(Fault(desk.where, *each) for each in error.problems)
        return None


def _work(file: ProcessorFile, desk: Desk) -> Work | None:
    match file:
        case ForwardFile():
            return build_forward(file, desk)
        case LogFile():
            return _log(file, desk)
        case AppendFile():
            return _append(file, desk)
        case ExecFile():
            return _exec(file, desk)


def _log(file: LogFile, desk: Desk) -> Log:
    paths = []
    for index, text in enumerate(file.fields):
        try:
            paths.append(parse_path(text))
        except PathError as error:
            desk.fault(f"fields[{index}]", error.problem, error.mend)
    return Log(tuple(paths))


def _append(file: AppendFile, desk: Desk) -> Append:
    path = Path(file.file)
    if path.is_dir():
        desk.fault("file", f"{file.file} is a directory", "name a file in it")
    elif not path.parent.is_dir():
        desk.fault("file", f"there is no directory {path.parent}", "make it, or correct the path")
    elif path.exists() and not path.is_file():
        desk.fault("file", f"{file.file} is no regular file", "name one: what is written is fsynced")
    return Append(file.file, tuple(name.lower() for name in file.headers))


def _exec(file: ExecFile, desk: Desk) -> Exec | None:
    program = shutil.which(file.command[0], path=desk.environ.get("PATH", os.defpath))
    if program is None:
        problem, mend = _unusable(file.command[0])
        desk.fault("command[0]", problem, mend)
    if any("\0" in each for each in file.command):
        desk.fault("command", "holds a NUL", "no program can be given one")
    env = {}
    for name, value in file.env.items():
        if name.startswith("HOOKLINE_EVENT_") or name == "PATH":
            desk.fault(f"env.{name}", "is set by us", "take another name")
        elif (text := desk.text(f"env.{name}", value)) is not None:
            env[name] = text
    if program is None:
        return None
    command = (program, *file.command[1:])
    return Exec(command, env, file.discard_on, file.retry_after)


def _unusable(program: str) -> tuple[str, str]:
    """Why a program cannot be run, and the mend."""
    path = Path(program)
    if path.is_dir():
        return f"{program} is a directory", "name a program in it"
    if path.exists() and path.name != program:
        return f"{program} is not executable", f"chmod +x {program}"
    if path.name != program:
        return f"there is no {program}", "correct the path: it is relative to the working directory"
    return f"no {program} is on the PATH", "install it, or write its path"
