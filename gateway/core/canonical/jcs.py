"""JSON in the one spelling that RFC 8785 gives it."""

import json
import math
from typing import Any, Final, NoReturn

from gateway.core.fields import Fields

STRING: Final = json.JSONEncoder(ensure_ascii=False).encode
EXACT: Final = 2**53  # up to here an integer's digits are the shortest
WORDS: Final = {None: "null", True: "true", False: "false"}


def jcs(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Inngest: the body as canonical JSON. None for what RFC 8785 refuses: a repeated key, a number
    that is no double, a lone surrogate.

    https://www.rfc-editor.org/rfc/rfc8785
    https://github.com/inngest/inngest-py/blob/main/pkg/inngest/inngest/_internal/net.py
    """
    try:
        value = json.loads(
            fields.request.body.decode(),
            object_pairs_hook=_unique,
            parse_int=float,
            parse_constant=_refuse,
        )
        written: list[str] = []
        _write(value, written)
        return "".join(written).encode()
    except (ValueError, RecursionError):
        return None


def number(value: float) -> str:
    """A finite number as ECMAScript writes it: the shortest digits that read back as the same."""
    if not math.isfinite(value):
        raise ValueError("no number of JSON")
    if value.is_integer() and abs(value) <= EXACT:
        return str(int(value))
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = len(digits) - len(fraction) + int(exponent or 0)
    return "-" * (value < 0) + _placed(digits.rstrip("0"), point)


def _placed(digits: str, point: int) -> str:
    if not -6 < point <= 21:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{point - 1:+d}"
    if point <= 0:
        return "0." + "0" * -point + digits
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{whole}.{fraction}" if fraction else whole


def _write(value: Any, out: list[str]) -> None:
    if isinstance(value, dict):
        for count, key in enumerate(sorted(value, key=_utf16)):
            out += ("," if count else "{", STRING(key), ":")
            _write(value[key], out)
        out.append("}" if value else "{}")
    elif isinstance(value, list):
        for count, each in enumerate(value):
            out.append("," if count else "[")
            _write(each, out)
        out.append("]" if value else "[]")
    elif isinstance(value, str):
        out.append(STRING(value))
    else:
        out.append(number(value) if isinstance(value, float) else WORDS[value])


def _utf16(key: str) -> bytes:
    """Keys are sorted by their UTF-16 code units."""
    return key.encode("utf-16-be")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
