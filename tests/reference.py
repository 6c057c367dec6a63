"""Writes docs/reference.md: what `gateway.plugins` and `gateway.testing` offer, from the code itself.

Signatures and docstrings are taken as they stand in the source, so that every Python says the same.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import gateway.plugins
import gateway.testing

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference.md"
WIDTH: Final = 96
HEAD: Final = """\
# Reference

All that a processor imports (`gateway.plugins`), and all that its test does (`gateway.testing`).
Written from the code by `scripts/reference`; how to use it is in [processors.md](processors.md) and
[testing.md](testing.md).
"""
# What is passed on inside, in classes that are public.
INTERNAL: Final = {
    *("Event.steps", "Event.outbox", "Retry.over", "Defer.seconds_from", "Fixture.own_words"),
    *(f"Processor.{name}" for name in ("gives_up_on", "is_async", "payload", "model", "route")),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def text() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_package(gateway.plugins), *_package(gateway.testing)])


def _package(package: ModuleType) -> Iterator[str]:
    yield f"## `{package.__name__}`\n"
    for name in sorted(package.__all__, key=str.lower):
        yield f"### `{name}`\n"
        yield from _entry(name, getattr(package, name), package)


def _entry(name: str, value: Any, package: ModuleType) -> Iterator[str]:
    value = inspect.unwrap(value)  # of a cache
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        yield from _constant(name, package)
        return
    module = ast.parse(inspect.getsource(sys.modules[value.__module__]))
    spelled = Spelled(_aliases(module))
    node = spelled.visit(next(each for each in module.body if getattr(each, "name", "") == name))
    if isinstance(node, ast.ClassDef):
        yield from _class(node)
    elif isinstance(node, Function):
        yield from _function(node, node.name)


class Spelled(ast.NodeTransformer):
    """Names of types that only their module knows, such as `Delay`, become what they stand for."""

    def __init__(self, aliases: dict[str, ast.expr]) -> None:
        self.aliases = aliases

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.aliases.get(node.id, node)


def _aliases(module: ast.Module) -> dict[str, ast.expr]:
    return {
        name: node.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp | ast.Subscript)
        for name in _names(node)
    }


def _constant(name: str, package: ModuleType) -> Iterator[str]:
    """Where it is assigned, with the text below it."""
    for path in sorted(Path(str(package.__file__)).parent.glob("*.py")):
        lines = ast.parse(path.read_text(encoding="utf-8")).body
        for node, below in zip(lines, [*lines[1:], None], strict=True):
            if isinstance(node, ast.Assign | ast.AnnAssign) and name in _names(node):
                yield _code(f"{name} = {ast.unparse(node.value)}" if node.value else name)
                if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                    yield f"{below.value.value!s}\n"


def _names(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [each.id for each in targets if isinstance(each, ast.Name)]


def _class(node: ast.ClassDef) -> Iterator[str]:
    made = [each for each in node.body if isinstance(each, Function) and each.name == "__init__"]
    fields = list(_fields(node))
    if made:
        yield _code(_signature(made[0], node.name))
    elif fields:
        yield _code("\n".join([f"class {node.name}:", *(f"    {each}" for each in fields)]))
    yield from _said(node)
    for each in node.body:
        if isinstance(each, Function) and _is_public(node, each):
            yield from _function(each, f"{node.name}.{each.name}")


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if not (isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)):
            continue
        name = each.target.id
        if f"{node.name}.{name}" not in INTERNAL and not name.startswith("_"):
            made = isinstance(each.value, ast.Call)  # field(...)
            default = f" = {ast.unparse(each.value)}" if each.value and not made else ""
            yield f"{name}: {ast.unparse(each.annotation)}{default}"


def _is_public(owner: ast.ClassDef, node: Function) -> bool:
    hidden = node.name.startswith("_") or f"{owner.name}.{node.name}" in INTERNAL
    return not (hidden or "overload" in map(ast.unparse, node.decorator_list))


def _function(node: Function, name: str) -> Iterator[str]:
    kinds = set(map(ast.unparse, node.decorator_list))
    if kinds & {"property", "cached_property"}:
        yield _code(f"{name}: {_kind(node.returns)}")
    else:
        yield _code(_signature(node, name))
    yield from _said(node)


def _signature(node: Function, name: str) -> str:
    """In one line, or a parameter a line."""
    parameters = [each for each in _parameters(node.args) if each not in ("self", "cls")]
    gives = f" -> {_kind(node.returns)}" if node.returns and node.name != "__init__" else ""
    line = f"{name}({', '.join(parameters)}){gives}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in parameters), f"){gives}"])


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    for number, (each, default) in enumerate(zip(plain, defaults, strict=True), 1):
        yield _parameter(each, default)
        if number == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg:
        yield f"*{_parameter(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(each, default)
    if arguments.kwarg:
        yield f"**{_parameter(arguments.kwarg, None)}"


def _parameter(node: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(node.annotation)}" if node.annotation else ""
    equals = (" = " if kind else "=") + ast.unparse(default) if default else ""
    return f"{node.arg}{kind}{equals}"


def _kind(node: ast.expr | None) -> str:
    """A type; one that is quoted, as its class is not complete yet, without the quotes."""
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node or ast.Name("Any"))


def _said(node: Function | ast.ClassDef) -> Iterator[str]:
    if said := ast.get_docstring(node):
        yield f"{said}\n"


def _code(code: str) -> str:
    return f"```py\n{code.replace(chr(39), chr(34))}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
