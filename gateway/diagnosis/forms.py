"""Forms that were turned into JSON, JSON that was turned into a form, forms that were written anew."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlencode

from gateway.core.fields import FORM_TYPE, parse_pairs
from gateway.diagnosis.codes import Code
from gateway.diagnosis.variant import Variant

JSON_TYPE: Final = b"application/json"
NODE_SAFE: Final = "-_.!~*'()"  # what JavaScript's encodeURIComponent leaves
QUOTES: Final[dict[str, Callable[..., str]]] = {
    "+ for spaces": quote_plus,
    "%20 for spaces": quote,
}
Pairs = list[tuple[str, str]]


def forms(body: bytes, content_type: bytes) -> Iterator[Variant]:
    if content_type.lower().startswith(FORM_TYPE):
        pairs = [
            (key.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            for key, value in parse_pairs(body) or ()
        ]
        yield from _anew(pairs)
        yield from _to_json(pairs)
    if body[:1] == b"{":
        yield from _from_json(body)


def _anew(pairs: Pairs) -> Iterator[Variant]:
    """The same form, written in another way."""
    for order, given in (("", pairs), (", sorted", sorted(pairs))):
        for name, how in QUOTES.items():
            for safe in ("", NODE_SAFE):
                text = urlencode(given, quote_via=how, safe=safe)
                message = f"The form was written anew: the signature matches with {name}{order}"
                yield Variant(Code.BODY_FORM, text.encode(), message)
                lower = _lower_escapes(text)
                yield Variant(Code.BODY_FORM, lower.encode(), f"{message}, %2f for %2F")


def _lower_escapes(text: str) -> str:
    head, *rest = text.split("%")
    return "%".join((head, *(each[:2].lower() + each[2:] for each in rest)))


def _to_json(pairs: Pairs) -> Iterator[Variant]:
    """The provider sent JSON, and a form came."""
    message = "JSON was turned into a form: the signature matches the JSON"
    values: list[Any] = [dict(pairs)]
    if len(pairs) == 1:
        values += _parsed(pairs[0][0]) + _parsed(pairs[0][1])
        yield from (
            Variant(Code.BODY_FORM, each.encode(), message, content_type=JSON_TYPE) for each in pairs[0]
        )
    for value in values:
        for separators in ((",", ":"), (", ", ": ")):
            for ascii_only in (False, True):
                text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
                raw = text.encode("utf-8", "surrogatepass")
                yield Variant(Code.BODY_FORM, raw, message, content_type=JSON_TYPE)


def _parsed(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


def _from_json(body: bytes) -> Iterator[Variant]:
    """The provider sent a form, and JSON came."""
    message = "A form was turned into JSON: the signature matches the form"
    found = _parsed(body.decode("utf-8", "replace"))
    value = found[0] if found else None
    if not isinstance(value, dict):
        return
    flat = [(key, item) for key, each in value.items() for item in _texts(each)]
    wrapped = [("payload", body.decode("utf-8", "replace"))]
    for pairs in (flat, wrapped):
        for how in QUOTES.values():
            for safe in ("", NODE_SAFE):
                text = urlencode(pairs, quote_via=how, safe=safe, errors="surrogatepass")
                yield Variant(Code.BODY_FORM, text.encode(), message, content_type=FORM_TYPE)


def _texts(value: Any) -> list[str]:
    """As a form has it; a list is a repeated field."""
    if isinstance(value, list):
        return [item for each in value for item in _texts(each)]
    if isinstance(value, str):
        return [value]
    return [json.dumps(value, separators=(",", ":"))]
