"""The floors of the house, and what each may touch. A failure says which rule, where, and why."""

import ast
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "gateway"
PROCESSORS = ROOT / "processors"

# From the ground up: a module may import from its own floor and from those below it.
FLOORS = (
    ("core", {"core"}),
    ("crypto", {"crypto"}),
    ("leaves", {"logs", "lines", "deadlines", "collector", "samples", "presets"}),
    (
        "set-up",
        {"plugins", "settings", "sources", "catalogue", "configuration", "faults", "units"}
        | {"secret_refs", "signing", "application", "options", "addresses", "diagnosis"}
        | {"redaction", "fixture"}
        | {"conditions"},
    ),
    ("flows", {"ports", "routes", "endings", "ingest", "process", "refusals", "replay", "shadow"}),
    ("adapters", {"adapters", "builtin"}),
    (
        "wiring",
        {"wiring", "bootstrap", "discovery", "jobs", "isolated", "shadowed", "demo"}
        | {"testing", "pytest_plugin"},
    ),
    ("cli", {"cli", "__main__"}),
)
# What the ground floor may use: nothing here reads a clock, a file, a socket or chance.
PURE = {"base64", "binascii", "collections", "dataclasses", "enum", "fnmatch", "functools", "hashlib"}
PURE |= {"hmac", "ipaddress", "json", "math", "re", "typing", "unicodedata", "urllib"}
PURE |= {"datetime", "decimal", "email"}  # for reading dates; the calls that ask the clock are below
CLOCKS = {"now", "today", "utcnow", "localtime"}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "globals", "id"}
TECHNOLOGY = {"redis", "rq", "starlette", "uvicorn", "httpx2", "click", "rich", "prometheus_client"}
# Comparisons in core/schemes of which neither side is a constant, with the reason why each may be.
PUBLIC_COMPARISONS = {
    "base64.b64encode(value) == text": "asks how a signature is spelled, both sides are the sender's",
    "key == places.timestamp_key": "a name from the header against a name from the preset",
    "key == places.signature_key": "a name from the header against a name from the preset",
    "b''.join(parts) in allowed": "a version or an account against the preset's and the source's words",
    "telling in LEAST_TELLING": "words of ours",
    "unit in ('iso8601', 'http-date')": "words of ours",
}

Complaints = Iterator[str]


def modules(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: str, tree: ast.AST, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Every import as (line, dotted name), those inside functions and TYPE_CHECKING included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            above = parts[: len(parts) - node.level + is_package] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def floor_of(module: str) -> int | None:
    """The number of a module's floor; None for the package itself and for what is not ours."""
    package, _, rest = module.partition(".")
    if package != "gateway" or not rest:
        return None
    top = rest.split(".")[0]
    return next((level for level, (_, names) in enumerate(FLOORS) if top in names), None)


# The rules: a module's name and tree in, complaints out.


def looks_down_only(module: str, tree: ast.AST) -> Complaints:
    own = floor_of(module)
    for line, name in imports(module, tree):
        other = floor_of(name)
        if own is not None and other is not None and other > own:
            yield (
                f"line {line} imports {name}: {FLOORS[own][0]} must not know {FLOORS[other][0]},"
                " so that it can be read, tested and replaced without it; pass the thing in from above"
            )


def is_pure(module: str, tree: ast.AST) -> Complaints:
    why = "the ground floor decides on values alone; take it as an argument"
    for line, name in imports(module, tree):
        ours = name.startswith("gateway.core")
        if not ours and (name.split(".")[0] not in PURE or name.startswith("urllib.request")):
            yield f"line {line} imports {name}: {why}"
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in IMPURE_CALLS
        ):
            yield f"line {node.lineno} calls {node.func.id}(): {why}"
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield f"line {node.lineno} asks for .{node.attr}: {why}"
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield f"line {node.lineno} rebinds {', '.join(node.names)}: {why}"


def has_no_globals_that_change(module: str, tree: ast.Module) -> Complaints:
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, mutable):
            yield f"line {node.lineno} can be changed by anybody: annotate it with Final"


def imports_no_technology(module: str, tree: ast.AST) -> Complaints:
    for line, name in imports(module, tree):
        if name.split(".")[0] in TECHNOLOGY:
            yield f"line {line} imports {name}: technology belongs to adapters; declare a port here"


def compares_no_secrets(module: str, tree: ast.AST) -> Complaints:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or ast.unparse(node) in PUBLIC_COMPARISONS:
            continue
        operands = [node.left, *node.comparators]
        telling = any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
        if telling and not any(_is_constant(operand) for operand in operands):
            yield (
                f"line {node.lineno} has {ast.unparse(node)}: == stops at the first different byte, and"
                " that can be timed; use hmac.compare_digest, or list it in PUBLIC_COMPARISONS with why"
            )


def _is_constant(node: ast.expr) -> bool:
    length = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"
    return isinstance(node, ast.Constant) or length


def makes_no_verified_request(module: str, tree: ast.AST) -> Complaints:
    names = {"VerifiedRequest"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {each.asname for each in node.names if each.name in names and each.asname}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "__new__":
            called = called.value
        if getattr(called, "id", getattr(called, "attr", None)) in names:
            yield (
                f"line {node.lineno} makes a VerifiedRequest: only core/verification.py may,"
                " after the proof; elsewhere it would be a claim that nobody checked"
            )


def knows_plugins_only(module: str, tree: ast.AST) -> Complaints:
    for line, name in imports(module, tree):
        if name.split(".")[0] == "gateway" and not f"{name}.".startswith("gateway.plugins."):
            yield (
                f"line {line} imports {name}: processors import gateway.plugins only, so that a team's"
                " code goes on working when the inside changes"
            )


Rule = Callable[[str, ast.Module], Complaints]
CORE = GATEWAY / "core"
ADAPTERS = next(level for level, (floor, _) in enumerate(FLOORS) if floor == "adapters")
BELOW_ADAPTERS = {name for _, names in FLOORS[:ADAPTERS] for name in names}


def below_adapters() -> list[Path]:
    return [path for path in modules(GATEWAY) if (_top(path) in BELOW_ADAPTERS)]


def _top(path: Path) -> str:
    return path.relative_to(GATEWAY).with_suffix("").parts[0]


def outside_verification() -> list[Path]:
    own = CORE / "verification.py"
    return [path for path in (*modules(GATEWAY), *modules(PROCESSORS)) if path != own]


RULES: list[tuple[Rule, Callable[[], list[Path]]]] = [
    (looks_down_only, lambda: modules(GATEWAY)),
    (is_pure, lambda: modules(CORE)),
    (has_no_globals_that_change, lambda: modules(CORE)),
    (imports_no_technology, below_adapters),
    (compares_no_secrets, lambda: [*modules(CORE / "schemes"), CORE / "encoding.py"]),
    (makes_no_verified_request, outside_verification),
    (knows_plugins_only, lambda: modules(PROCESSORS)),
]


@pytest.mark.parametrize(("rule", "where"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_every_module_keeps_the_rule(rule: Rule, where: Callable[[], list[Path]]) -> None:
    paths = where()
    assert paths, "the rule looks at no file: it guards nothing"
    complaints = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in paths
        for complaint in rule(name_of(path), parsed(path))
    ]
    assert not complaints, "\n".join(complaints)


def test_every_module_stands_on_a_floor() -> None:
    homeless = [
        str(path.relative_to(ROOT))
        for path in modules(GATEWAY)
        if path != GATEWAY / "__init__.py" and floor_of(name_of(path)) is None
    ]
    assert not homeless, f"say in FLOORS where {homeless} stand, or nothing limits what they import"


def test_the_package_itself_imports_nothing() -> None:
    """Every import of anything of ours runs it: what it imports, everything imports."""
    assert not list(imports("gateway", parsed(GATEWAY / "__init__.py")))


def test_no_modules_import_each_other_in_a_circle() -> None:
    paths = {name_of(path): path for path in modules(GATEWAY)}
    graph = {}
    for name, path in paths.items():
        found = {each for _, each in imports(name, parsed(path), path.name == "__init__.py")}
        nearest = {each if each in paths else each.rpartition(".")[0] for each in found}
        graph[name] = {each for each in nearest if each in paths and each not in (name, "gateway")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle has no lower part to read first: {' → '.join(error.args[1])}")


def test_the_allowed_comparisons_are_all_still_there() -> None:
    paths = [*modules(CORE / "schemes"), CORE / "encoding.py"]
    nodes = [node for path in paths for node in ast.walk(parsed(path))]
    made = {ast.unparse(node) for node in nodes if isinstance(node, ast.Compare)}
    gone = PUBLIC_COMPARISONS.keys() - made
    assert not gone, f"remove {gone} from PUBLIC_COMPARISONS: an exception for nothing hides the next"


def test_the_ground_floor_uses_the_standard_library_only() -> None:
    assert sys.stdlib_module_names >= PURE


# The rules themselves: each finds what it is for.


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (looks_down_only, "gateway.core.event", "from gateway.plugins import Event"),
        (looks_down_only, "gateway.core.event", "import gateway.logs"),
        (looks_down_only, "gateway.ingest", "from gateway.adapters.http.edge import Edge"),
        (looks_down_only, "gateway.ingest", "from gateway import adapters"),
        (looks_down_only, "gateway.ingest", "from . import adapters"),
        (looks_down_only, "gateway.adapters.http.edge", "from ...wiring import load"),
        (looks_down_only, "gateway.adapters.http.edge", "def f():\n    from gateway.cli import main"),
        (
            looks_down_only,
            "gateway.plugins",
            "if TYPE_CHECKING:\n    from gateway.process import Process",
        ),
        (looks_down_only, "gateway.logs", "from gateway.settings import Settings"),
        (is_pure, "gateway.core.event", "import time"),
        (is_pure, "gateway.core.event", "from datetime import datetime\nat = datetime.now()"),
        (is_pure, "gateway.core.event", "from os import environ"),
        (is_pure, "gateway.core.event", "import random"),
        (is_pure, "gateway.core.event", "from urllib.request import urlopen"),
        (is_pure, "gateway.core.event", "import pydantic"),
        (is_pure, "gateway.core.event", "from gateway.units import Size"),
        (is_pure, "gateway.core.event", "def f(): return open('x')"),
        (is_pure, "gateway.core.event", "def f():\n    global x\n    x = 1"),
        (has_no_globals_that_change, "gateway.core.event", "SEEN = {}"),
        (imports_no_technology, "gateway.ingest", "from redis.asyncio import Redis"),
        (imports_no_technology, "gateway.plugins", "def f():\n    import rq"),
        (compares_no_secrets, "gateway.core.schemes.token", "token == expected"),
        (compares_no_secrets, "gateway.core.schemes.token", "key.digest != digest"),
        (compares_no_secrets, "gateway.core.schemes.token", "value in tokens"),
        (makes_no_verified_request, "gateway.ingest", "VerifiedRequest(request, fields, 0)"),
        (makes_no_verified_request, "gateway.ingest", "verification.VerifiedRequest(r, f, 0)"),
        (
            makes_no_verified_request,
            "gateway.ingest",
            "from gateway.core.verification import VerifiedRequest as V\nV(request, fields, 0)",
        ),
        (makes_no_verified_request, "gateway.ingest", "VerifiedRequest.__new__(VerifiedRequest)"),
        (knows_plugins_only, "processors.a", "from gateway.core.event import Event"),
        (knows_plugins_only, "processors.a", "from gateway import signing"),
        (knows_plugins_only, "processors.a", "import gateway"),
        (knows_plugins_only, "processors.a", "from gateway.plugins_inside import Event"),
    ],
)
def test_a_rule_finds_what_it_is_for(rule: Rule, module: str, text: str) -> None:
    assert list(rule(module, ast.parse(text)))


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (looks_down_only, "gateway.cli", "from gateway.core.event import Event"),
        (
            looks_down_only,
            "gateway.adapters.http.edge",
            "from gateway.adapters.http.responses import respond",
        ),
        (looks_down_only, "gateway.plugins", "from gateway import __version__, logs"),
        (is_pure, "gateway.core.event", "from urllib.parse import parse_qsl\nimport hashlib"),
        (has_no_globals_that_change, "gateway.core.event", "A: Final = {}\nB = (1,)"),
        (compares_no_secrets, "gateway.core.schemes.token", "form == 'pairs' and True in found"),
        (compares_no_secrets, "gateway.core.schemes.token", "len(a) > LIMIT and b is None"),
        (makes_no_verified_request, "gateway.ingest", "isinstance(x, VerifiedRequest)"),
        (
            knows_plugins_only,
            "processors.a",
            "from gateway.plugins import Event\nimport gateway.plugins",
        ),
    ],
)
def test_a_rule_lets_the_rest_be(rule: Rule, module: str, text: str) -> None:
    assert not list(rule(module, ast.parse(text)))
