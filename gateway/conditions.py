"""Conditions as a source's file and the decorator take them: tables, and CEL where its extra is there.

CEL is Google's Common Expression Language: `payload.action == 'opened'`. The `cel-expr-python` package
runs it, which is imported when the first expression is read. An expression is the operator's own, what
it looks at is not. So regular expressions take linear time, loops together 10,000 rounds over not too
much, and `map`, which could build texts without end, is refused. What is beyond that is `Unjudged`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from gateway.core import condition
from gateway.core.excerpt import Parts, measured, parts_of, picked, widest
from gateway.core.fields import MISSING
from gateway.core.json_path import Subject
from gateway.core.judging import Condition, Finding, Unjudged, keeps_out

MAX_EXPRESSION: Final = 2000
MAX_NESTING: Final = 200  # of a body: the package calls itself for each level
MAX_LOOPED: Final = 20_000  # characters, a value as ten: each may be looked at in each round
MAX_BITS: Final = 63  # of a whole number: CEL's own have no more, beside their sign
NAME: Final = "expression"
TOO_MUCH: Final = Unjudged("expression (too much to evaluate: let through)")
LOOP: Final = re.compile(r"\.\s*(all|exists|exists_one|filter)\s*\(")
MAP: Final = re.compile(r"\.\s*map\s*\(")
# A path into the body; a name before a bracket is a function of what the path leads to.
PATH: Final = re.compile(r"\bpayload\b((?:\.[A-Za-z_]\w*\b(?!\s*\())*)")
DEEPEST: Final = 8  # steps of a path: what lies below is given whole
VARIABLES: Final = "payload (the JSON body), headers and event_type"


def parse_condition(data: Any, at: str = "when") -> Condition:
    """From a table or an expression. Raises ConditionError with everything that is wrong."""
    return condition.parse_condition(data, at, compile_expression)


@dataclass(frozen=True, slots=True)
class Expression:
    """A CEL expression. What it cannot be asked of an event (a key is not there) does not hold."""

    text: str
    program: Any = field(compare=False, repr=False)
    parts: Parts | None = field(compare=False, repr=False)

    def judge(self, subject: Subject) -> str:
        return self._judge(subject)[0]

    def findings(self, subject: Subject) -> Iterator[Finding]:
        reason, note = self._judge(subject)
        unjudged = reason and not keeps_out(reason)
        yield Finding(self.text, None if unjudged else not reason, note=note)

    def _judge(self, subject: Subject) -> tuple[str, str]:
        """The reason and a note, neither with anything of the package's own words: they may quote."""
        payload = picked(subject.json(), self.parts) if self.parts != {} else None
        headers = _headers(subject) if "headers" in self.text else {}
        size = measured([payload, headers], MAX_NESTING)
        if size is None:
            return TOO_MUCH, f"the body is nested more than {MAX_NESTING} deep"
        if size > MAX_LOOPED and LOOP.search(self.text):
            return TOO_MUCH, f"it has loops, and looks at more than {MAX_LOOPED} characters"
        data = {
            "payload": None if payload is MISSING else payload,
            "headers": headers,
            "event_type": subject.type,
        }
        try:
            value = self.program.eval(data=data).plain_value()
        except Exception:  # a budget, or text that is no Unicode
            return TOO_MUCH, "it goes beyond 10,000 rounds, or looks at text that is no Unicode"
        if isinstance(value, bool):
            return ("", "") if value else (NAME, "")
        if widest(payload) > MAX_BITS:
            return TOO_MUCH, f"it looks at a whole number of more than {MAX_BITS} bits"
        return (
            NAME,
            "it cannot be evaluated for this event: ask with has() for a key that may be absent",
        )

    @property
    def name(self) -> str:
        return NAME

    @property
    def size(self) -> int:
        return 1

    def __str__(self) -> str:
        return self.text


def compile_expression(text: str) -> Expression:
    """Raises ValueError with ` → ` between what is wrong and the mend."""
    if not text.strip() or len(text) > MAX_EXPRESSION:
        raise ValueError(
            f"is no expression of 1 to {MAX_EXPRESSION} characters → write payload.action == 'opened'"
        )
    if MAP.search(text):
        raise ValueError("uses map, which could grow without end → ask with exists, all or filter")
    cel, environment = _environment()
    try:
        program = environment.compile(text)
    except RuntimeError as error:
        raise ValueError(f"is no CEL expression: {_first_line(error)} → known: {VARIABLES}") from None
    if program.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise ValueError("gives no true or false → compare with something: payload.action == 'opened'")
    steps = [tuple(found[1:].split("."))[:DEEPEST] if found else () for found in PATH.findall(text)]
    return Expression(text, program, parts_of(steps))


@cache
def _environment() -> tuple[Any, Any]:
    try:
        from cel_expr_python import cel
    except ImportError:
        raise ValueError(
            "is a CEL expression, which needs an optional package"
            ' → pip install \'hookline[cel]\', or write a table: {field = "action", equals = "opened"}'
        ) from None
    text = cel.Type.STRING
    headers = cel.Type.Map(text, text)
    variables = {"payload": cel.Type.DYN, "headers": headers, "event_type": text}
    return cel, cel.NewEnv(variables=variables)


def _first_line(error: Exception) -> str:
    """`1:16: Syntax error: ...`, without the package's own words around it."""
    line = str(error).partition("\n")[0]
    return line.partition("<input>:")[2] or line.partition(": ")[2] or "it cannot be read"


def _headers(subject: Subject) -> dict[str, str]:
    """Those that stand there once: a repeated one is ambiguous."""
    names = dict.fromkeys(name for name, _ in subject.headers.raw)
    found = ((name, subject.headers.one(name)) for name in names)
    return {_text(name): _text(value) for name, value in found if value is not None}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
