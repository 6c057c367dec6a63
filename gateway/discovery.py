"""Finds registries: in the modules of the processors folder, and in installed packages.

Both roads end in one Registry. A module that fails to import, and two processors of one name, refuse
to start, saying which, where and why.
"""

import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from gateway.faults import Fault
from gateway.plugins import Processor, Registry

ENTRY_POINTS: Final = "gateway.processors"


@dataclass(frozen=True, slots=True)
class Found:
    """A registry and where it came from."""

    origin: str
    registry: Registry


def discover(directory: Path) -> tuple[dict[str, Processor], list[Fault]]:
    """Processors by name, in order of discovery, and every fault on the way."""
    faults: list[Fault] = []
    found = [*_from_folder(directory, faults), *_from_packages(faults)]
    return _merge(found, faults), faults


def _from_folder(directory: Path, faults: list[Fault]) -> Iterable[Found]:
    if not directory.is_dir():
        mend = "give --processors DIR or set HOOKLINE_PROCESSORS"
        faults.append(Fault(str(directory), "", "is no directory of processors", mend))
        return
    for path in sorted(directory.glob("*.py")):
        if path.stem == "__init__":
            continue
        module = _load(path, directory, faults)
        registry = getattr(module, "registry", None)
        if isinstance(registry, Registry):
            yield Found(str(path), registry)


def _load(path: Path, directory: Path, faults: list[Fault]) -> ModuleType | None:
    """The module, imported under the folder's own name, so that its modules can import each other."""
    package = directory.resolve().name
    parent = str(directory.resolve().parent)
    if parent not in sys.path:
        sys.path.insert(0, parent)
    name = f"{package}.{path.stem}"
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever an author's module raises is a fault to be shown
        faults.append(Fault(*_import_fault(path, error)))
        return None


def _import_fault(path: Path, error: Exception) -> tuple[str, str, str, str]:
    """The author's own line, not ours or importlib's."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    line = f"line {ours[-1].lineno}" if ours else ""
    if isinstance(error, SyntaxError):
        line = f"line {error.lineno}"
    return str(path), line, f"cannot be imported: {type(error).__name__}: {error}", "mend that line"


def _from_packages(faults: list[Fault]) -> Iterable[Found]:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        origin = f"{entry.dist.name if entry.dist else 'package'} ({entry.value})"
        try:
            registry = entry.load()
        except Exception as error:  # another program's module: it may raise anything
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
