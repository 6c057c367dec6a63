"""The same JSON written in another way: what a program does that parses a body and writes it anew."""

import json
from collections.abc import Iterator
from typing import Any, Final

from gateway.diagnosis.codes import Code
from gateway.diagnosis.escapes import escapes
from gateway.diagnosis.variant import Variant

LARGE: Final = 256 * 1024  # bytes: of what is larger not every style is tried with every escape
NUL: Final = r"\u0000"  # as JSON writes the character
STYLES: Final[dict[str, dict[str, Any]]] = {
    "without spaces": {"separators": (",", ":")},
    "with a space after commas and colons": {"separators": (", ", ": ")},
    "indented by 2": {"indent": 2},
    "indented by 4": {"indent": 4},
    "indented by tabs": {"indent": "\t"},
}


def _kept(number: str) -> str:
    """A number that is to be written as it was read: 1.0 stays 1.0, and 1e3 stays 1e3."""
    return f"\0{number}\0"


def json_texts(body: bytes) -> Iterator[Variant]:
    """Spaces, then escapes, then the order of keys, then numbers."""
    try:
        text = body.decode()
        value = json.loads(text, parse_float=_kept)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict | list):
        return
    ascii_only = r"\u" in text
    for name, style in STYLES.items():
        message = f"The JSON was written anew: the signature matches it {name}"
        yield from _written(value, style, Code.BODY_WHITESPACE, message, ascii_only)
    yield from escapes(text)
    for name, style in STYLES.items():
        message = f"The JSON was written anew: the signature matches it {name} and escaped otherwise"
        yield from _written(value, style, Code.BODY_ESCAPES, message, not ascii_only)
        if len(body) <= LARGE and (written := _dumped(value, style, ascii_only)) is not None:
            yield from (other._replace(message=message) for other in escapes(written))
    for name, style in STYLES.items():
        message = f"The order of its keys was changed: the signature matches the JSON sorted, {name}"
        for way in (ascii_only, not ascii_only):
            yield from _written(value, style | {"sort_keys": True}, Code.BODY_KEY_ORDER, message, way)
    yield from _numbers(text)


def _written(
    value: Any, style: dict[str, Any], code: Code, message: str, ascii_only: bool
) -> Iterator[Variant]:
    text = _dumped(value, style, ascii_only)
    if text is not None:
        yield Variant(code, text.encode("utf-8", "surrogatepass"), message)


def _dumped(value: Any, style: dict[str, Any], ascii_only: bool) -> str | None:
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, **style)
    except (ValueError, TypeError, RecursionError):  # TypeError: keys that cannot be sorted
        return None
    return text.replace(f'"{NUL}', "").replace(f'{NUL}"', "")


def _numbers(text: str) -> Iterator[Variant]:
    """JavaScript writes 1.0 as 1, and Python reads big exponents away."""
    message = "Numbers were written anew: the signature matches with {}"
    for name, readers in NUMBERS.items():
        value = json.loads(text, **readers)
        for style in list(STYLES.values())[:3]:
            yield from _written(value, style, Code.BODY_NUMBERS, message.format(name), False)


def _shortest(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _with_point(text: str) -> str:
    return _kept(f"{text}.0")


NUMBERS: Final[dict[str, dict[str, Any]]] = {
    "1 for 1.0": {"parse_float": _shortest},
    "1.0 for 1": {"parse_float": _kept, "parse_int": _with_point},
}


def wrappings(body: bytes) -> Iterator[Variant]:
    """JSON in a JSON text: written twice."""
    if not body.lstrip().startswith(b'"'):
        return
    try:
        inner = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(inner, str):
        text = "The body is JSON within a JSON text: the signature is of the inner one"
        mend = "Something writes the body as JSON a second time: hand it on as it is."
        yield Variant(Code.BODY_WRAPPED, inner.encode("utf-8", "surrogatepass"), text, mend)
