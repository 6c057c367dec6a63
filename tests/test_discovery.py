"""Discovery: every registry of the folder and of packages, or a fault that says what and where."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.discovery import discover, idle_declarations
from gateway.faults import Fault

REPOSITORY = Path(__file__).parent.parent
HEAD = "from gateway.plugins import Event, Registry\nregistry = Registry()\n"
ONE = HEAD + '@registry.processor(source="github")\ndef {0}(event: Event) -> None: ...\n'
SCRIPT = """
import json, sys
from pathlib import Path
from gateway.discovery import discover
processors, faults = discover(Path(sys.argv[1]))
print(json.dumps([{name: each.origin for name, each in processors.items()}, [str(f) for f in faults]]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of processors with a name of its own; what was imported from it is forgotten."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / f"found_{tmp_path.name}"
    path.mkdir()
    yield path
    for module in [each for each in sys.modules if each.partition(".")[0] == path.name]:
        del sys.modules[module]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)


def faults_in(folder: Path) -> list[Fault]:
    return discover(folder)[1]


def test_finds_the_registry_of_every_module_in_order(folder: Path) -> None:
    write(folder, b=ONE.format("second"), a=ONE.format("first"), __init__="")
    processors, faults = discover(folder)
    assert list(processors) == ["first", "second"]
    assert processors["first"].origin.startswith(f"{folder}/a.py:")
    assert not faults


def test_skips_modules_without_a_registry_and_files_of_editors(folder: Path) -> None:
    write(folder, journal="entries = []\n", one=ONE.format("one"))
    write(folder, other="registry = 'a string'\n")
    (folder / ".#one.py").write_text("what an editor leaves behind (")
    (folder / "notes.txt").write_text("no module")
    processors, faults = discover(folder)
    assert list(processors) == ["one"]
    assert not faults


def test_a_module_may_import_its_siblings(folder: Path) -> None:
    write(folder, journal="def record(event: object) -> None: ...\n")
    write(folder, absolute=f"from {folder.name} import journal\n" + ONE.format("absolute"))
    write(folder, relative="from .journal import record\n" + ONE.format("relative"))
    processors, faults = discover(folder)
    assert set(processors) == {"absolute", "relative"}
    assert not faults


def test_a_registry_that_two_modules_name_is_one_registry(folder: Path) -> None:
    write(folder, a=ONE.format("one"), b=f"from {folder.name}.a import registry\n")
    processors, faults = discover(folder)
    assert list(processors) == ["one"]
    assert not faults


BROKEN = {
    "raises": ("import os\n\nraise LookupError('no such table')\n", "line 3", "LookupError: no such"),
    "misspelt": ("x = 1\nimport no_such_module\n", "line 2", "ModuleNotFoundError: No module named"),
    "syntax": ("x = 1\n\ndef f(:\n", "line 3", "SyntaxError"),
    "leaves": ("import sys\nsys.exit('not today')\n", "line 2", "SystemExit: not today"),
    "declared": (
        HEAD + "@registry.processor(source='a', events=[])\ndef f(event): ...\n",
        "line 3",
        "",
    ),
    "library": ("import json\njson.loads('no json')\n", "line 2", "JSONDecodeError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_module_that_cannot_be_imported_is_a_fault_with_file_line_and_why(
    folder: Path, name: str
) -> None:
    text, line, why = BROKEN[name]
    write(folder, **{name: text, "good": ONE.format("good")})
    processors, (fault,) = discover(folder)
    assert list(processors) == ["good"]
    assert (fault.file, fault.key) == (str(folder / f"{name}.py"), line)
    assert fault.problem.startswith("cannot be imported: ")
    assert why in fault.problem
    assert fault.mend


def test_a_broken_sibling_is_one_fault_in_its_own_file(folder: Path) -> None:
    write(
        folder, journal="x = (\n", a=f"from {folder.name} import journal\n", b="from . import journal\n"
    )
    (fault,) = faults_in(folder)
    assert (fault.file, fault.key) == (str(folder / "journal.py"), "line 1")


def test_a_broken_package_is_one_fault(folder: Path) -> None:
    write(folder, __init__="\nraise OSError('no')\n", a=ONE.format("a"), b=ONE.format("b"))
    (fault,) = faults_in(folder)
    assert (fault.file, fault.key) == (str(folder / "__init__.py"), "line 2")


def test_two_processors_of_one_name_are_a_fault_that_names_both(folder: Path) -> None:
    write(folder, a=ONE.format("same"), b=ONE.format("same"))
    processors, (fault,) = discover(folder)
    assert list(processors) == ["same"]
    assert fault.file.startswith(f"{folder}/b.py:")
    assert f"{folder}/a.py:" in fault.problem
    assert "name=" in fault.mend


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_in(tmp_path / "nowhere")
    assert fault.file == str(tmp_path / "nowhere")
    assert "--processors" in fault.mend


@pytest.mark.parametrize("name", ["json", "email", "pytest", "gateway"])
def test_a_folder_named_like_another_package_is_refused_not_mixed_up(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / name).mkdir()
    write(tmp_path / name, decoder=ONE.format("one"), application=ONE.format("two"))
    processors, (fault,) = discover(tmp_path / name)
    assert not processors
    assert fault.file == str(tmp_path / name)
    assert f"another '{name}'" in fault.problem
    assert fault.mend == "give the folder a name of its own"


# What has no effect


def idle_in(folder: Path) -> list[str]:
    assert not faults_in(folder)
    return idle_declarations(folder)


def test_modules_that_register_something_or_are_used_by_one_are_not_idle(folder: Path) -> None:
    write(folder, journal="def record(event: object) -> None: ...\n", _private="x = 1\n")
    write(folder, one=f"from {folder.name} import journal\n" + ONE.format("one"))
    write(folder, two="from .journal import record\n" + ONE.format("two"))
    assert idle_in(folder) == []


IDLE = {
    "empty": (HEAD, "{}: its registry has no processor"),
    "misnamed": (ONE.format("one").replace("registry", "mine"), "its Registry is called 'mine' and is"),
    "text": ("registry = 'text'\n", "'registry' is a str, no Registry: nothing is registered"),
    "unused": ("def one(event): ...\n", "registers nothing, and no module beside it imports it"),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_module_that_registers_nothing_is_named_with_the_reason(folder: Path, name: str) -> None:
    text, why = IDLE[name]
    write(folder, **{name: text, "good": ONE.format("good")})
    (warning,) = idle_in(folder)
    assert warning.startswith(f"{folder}/{name}.py: ")
    assert why.format(f"{folder}/{name}.py") in warning


def test_lifespans_and_transforms_that_no_processor_uses_are_named_with_their_line(
    folder: Path,
) -> None:
    text = HEAD + (
        "from collections.abc import Iterator\n"
        "@registry.lifespan\n"
        "def number() -> Iterator[int]:\n    yield 1\n"
        "@registry.transform(source='stripe')\n"
        "def flatten(event: Event) -> object: ...\n"
        "@registry.processor(source='github')\n"
        "def one(event: Event) -> None: ...\n"
    )
    write(folder, one=text)
    lifespan, transform = idle_in(folder)
    assert lifespan.startswith(
        f"{folder}/one.py:4: no processor below it takes what the lifespan number"
    )
    assert transform.startswith(
        f"{folder}/one.py:7: no processor below it takes events of source 'stripe'"
    )


# Installed packages, in a process of their own: what is installed is asked once a process.


def install(site: Path, module: str, text: str, entry: str) -> None:
    """A tiny distribution, as pip would leave it."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(text)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[gateway.processors]\n{module} = {entry}\n")
    (info / "RECORD").write_text("")


def discovered(site: Path, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Names with origins, and faults, of a process that has `site` installed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        env={"PYTHONPATH": f"{REPOSITORY}:{site}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert not done.returncode, done.stderr
    found: Any = json.loads(done.stdout)
    return found[0], found[1]


def test_an_installed_plugin_is_found_beside_the_folders_own(tmp_path: Path) -> None:
    install(tmp_path / "site", "acme", ONE.format("from_package"), "acme:registry")
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", one=ONE.format("from_folder"))
    processors, faults = discovered(tmp_path / "site", tmp_path / "mine")
    assert list(processors) == ["from_folder", "from_package"]
    assert processors["from_package"].startswith(f"{tmp_path}/site/acme.py:")
    assert not faults


@pytest.mark.parametrize(
    ("text", "entry", "problem"),
    [
        ("raise OSError('no licence')\n", "bad:registry", "cannot be imported: OSError: no licence"),
        ("import sys\nsys.exit(1)\n", "bad:registry", "cannot be imported: SystemExit"),
        ("x = 1\n", "bad:registry", "cannot be imported: AttributeError"),
        ("registry = 1\n", "bad:registry", "is no Registry"),
    ],
)
def test_an_installed_plugin_that_is_broken_is_named(
    tmp_path: Path, text: str, entry: str, problem: str
) -> None:
    install(tmp_path / "site", "bad", text, entry)
    install(tmp_path / "site", "good", ONE.format("good"), "good:registry")
    processors, (fault,) = discovered(tmp_path / "site", tmp_path / "mine")
    assert list(processors) == ["good"]
    assert fault.startswith(f"bad ({entry}): {problem}")


def test_a_plugin_and_the_folder_may_not_share_a_name(tmp_path: Path) -> None:
    install(tmp_path / "site", "acme", ONE.format("same"), "acme:registry")
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", one=ONE.format("same"))
    processors, (fault,) = discovered(tmp_path / "site", tmp_path / "mine")
    assert processors["same"].startswith(f"{tmp_path}/mine/one.py:")
    assert f"is taken by {tmp_path}/mine/one.py:" in fault


def test_a_folder_that_cannot_be_read_is_a_fault_and_not_an_empty_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of its deliveries would be a dead letter."""
    (folder / "shop.py").write_text(ONE.format("shop"))

    def refuse(_: Any) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gateway.discovery.os.listdir", refuse)
    _, faults = discover(folder)
    assert [fault.problem for fault in faults] == ["cannot be read: Permission denied"]
