"""Finds registries: in the modules of the processors folder, and in installed packages.

Both roads end in one Registry. A module that fails to import, and two processors of one name, refuse
to start, saying which, where and why.
"""

import importlib
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from gateway.faults import Fault
from gateway.plugins import Processor, Registry

ENTRY_POINTS: Final = "gateway.processors"
NO_PROCESSOR: Final = "its registry has no processor"
DEFAULT_FOLDER: Final = Path("processors")


@dataclass(frozen=True, slots=True)
class Found:
    """A registry and where it came from."""

    origin: str
    registry: Registry


def discover(
    directory: Path, built_in: Sequence[Processor] | None = ()
) -> tuple[dict[str, Processor], list[Fault]]:
    """Processors by name, in order of discovery, and every fault on the way.

    `built_in` are those of the sources' files; None: these have faults. Who has one needs no folder,
    where none was asked for.
    """
    faults: list[Fault] = []
    spared = (built_in is None or built_in) and directory == DEFAULT_FOLDER and not directory.exists()
    found = [] if spared else [*_from_folder(directory, faults)]
    found += [*_from_packages(faults), Found("", Registry(list(built_in or ())))]
    return _merge(found, faults), faults


def _from_folder(directory: Path, faults: list[Fault]) -> Iterable[Found]:
    if not directory.is_dir():
        mend = "give --processors DIR or set HOOKLINE_PROCESSORS"
        faults.append(Fault(str(directory), "", "is no directory of processors", mend))
        return
    if _import(directory.resolve().name, directory / "__init__.py", directory, faults) is None:
        return
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:  # `glob` would find nothing, and each delivery would be a dead letter
        problem = f"cannot be read: {error.strerror}"
        faults.append(Fault(str(directory), "", problem, "let the user that this runs as read it"))
        return
    for path in (directory / name for name in names if name[0] != "." and name.endswith(".py")):
        if path.stem == "__init__":  # editors leave .#name.py
            continue
        module = _import(f"{directory.resolve().name}.{path.stem}", path, directory, faults)
        registry = getattr(module, "registry", None)
        if isinstance(registry, Registry):
            yield Found(str(path), registry)


def _import(name: str, path: Path, directory: Path, faults: list[Fault]) -> ModuleType | None:
    """The module, imported under the folder's own name, so that its modules can import each other."""
    parent = str(directory.resolve().parent)
    if parent not in sys.path:
        sys.path.insert(0, parent)
    module: ModuleType | None
    fault: Fault | None
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever an author's module does is a fault to be shown
        module, fault = None, _rival(name, path, directory) or _import_fault(path, error)
    else:
        fault = _rival(name, path, directory)
    if fault and fault not in faults:  # two modules may import the broken third
        faults.append(fault)
    return None if fault else module


def _rival(name: str, path: Path, directory: Path) -> Fault | None:
    """Something else that Python knows by this name: never run another file than the one meant."""
    found = sys.modules.get(name) or sys.modules.get(name.partition(".")[0])
    places = {Path(each).resolve() for each in getattr(found, "__path__", ())}
    file = getattr(found, "__file__", None)
    if (
        found is None
        or directory.resolve() in places
        or (file and Path(file).resolve() == path.resolve())
    ):
        return None
    problem = f"Python knows another {found.__name__!r}: {file or 'one that is built in'}"
    return Fault(str(directory), "", problem, "give the folder a name of its own")


def _import_fault(path: Path, error: BaseException) -> Fault:
    """The innermost line of the author's folder, which another of its modules may hold."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    folder = path.resolve().parent
    file, line = ([each for each in places if each[0].resolve().parent == folder] or [(path, None)])[-1]
    problem = f"cannot be imported: {type(error).__name__}: {error}"
    return Fault(
        str(path.parent / file.name), f"line {line}" if line else "", problem, "mend that line"
    )


def _from_packages(faults: list[Fault]) -> Iterable[Found]:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        origin = f"{entry.dist.name if entry.dist else 'package'} ({entry.value})"
        try:
            registry = entry.load()
        except (Exception, SystemExit) as error:  # another program's module may do anything
            problem = f"cannot be imported: {type(error).__name__}: {error}"
            faults.append(Fault(origin, "", problem, "mend or uninstall it"))
            continue
        if isinstance(registry, Registry):
            yield Found(origin, registry)
        else:
            faults.append(Fault(origin, "", "is no Registry", "point the entry point at one"))


def _merge(found: Iterable[Found], faults: list[Fault]) -> dict[str, Processor]:
    merged: dict[str, Processor] = {}
    for each in found:
        for processor in each.registry.processors:
            other = merged.setdefault(processor.name, processor)
            if other is not processor:
                problem = f"the name {processor.name!r} is taken by {other.origin}"
                faults.append(Fault(processor.origin, "", problem, "give one of them name=..."))
    return merged


def idle_declarations(directory: Path) -> list[str]:
    """What stands there and has no effect, for a warning: modules that register nothing, registries
    without processors, lifespans and transforms that no processor uses. Call it after `discover`."""
    package = directory.resolve().name
    paths = sorted(directory.glob("[!._]*.py"))
    loaded = {path: sys.modules.get(f"{package}.{path.stem}") for path in paths}
    modules = {path: module for path, module in loaded.items() if module}
    warnings = [_idleness(path, module, modules.values()) for path, module in modules.items()]
    registries = [getattr(module, "registry", None) for module in modules.values()]
    for each in _from_packages([]):
        registries.append(each.registry)
        warnings.append("" if each.registry.processors else f"{each.origin}: {NO_PROCESSOR}")
    for registry in registries:
        warnings += _unused(registry) if isinstance(registry, Registry) else ()
    return list(dict.fromkeys(filter(None, warnings)))


def _idleness(path: Path, module: ModuleType, others: Iterable[ModuleType]) -> str:
    """Why a module has no effect; "" when it has one."""
    registry = getattr(module, "registry", None)
    if isinstance(registry, Registry):
        return "" if registry.processors else f"{path}: {NO_PROCESSOR}"
    names = [name for name, value in vars(module).items() if isinstance(value, Registry)]
    if names:
        return f"{path}: its Registry is called {names[0]!r} and is not found: call it 'registry'"
    if registry is not None:
        return f"{path}: 'registry' is a {type(registry).__name__}, no Registry: nothing is registered"
    values = [value for other in others if other is not module for value in vars(other).values()]
    used = any(value is module or _module_of(value) == module.__name__ for value in values)
    return "" if used else f"{path}: registers nothing, and no module beside it imports it"


def _module_of(value: object) -> object:
    return getattr(value, "__module__", None) if callable(value) else None


def _unused(registry: Registry) -> Iterable[str]:
    opened = {each for processor in registry.processors for each in processor.lifespans}
    for lifespan in registry.lifespans:
        if lifespan not in opened:
            yield (
                f"{lifespan.origin}: no processor below it takes what the lifespan {lifespan.name}"
                " yields: it is never opened"
            )
    for transform in registry.transforms:
        if not any(each.transform is transform for each in registry.processors):
            yield (
                f"{transform.origin}: no processor below it takes events of source"
                f" {transform.source!r}: the transform never runs"
            )
