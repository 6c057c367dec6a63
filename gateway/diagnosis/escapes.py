"""JSON text with other escapes, and everything else as it is."""

import html
import re
from collections.abc import Iterator
from typing import Final

from gateway.diagnosis.codes import Code
from gateway.diagnosis.variant import Variant

ESCAPED: Final = re.compile(r"(?<!\\)(?:\\\\)*((?:\\u[0-9a-fA-F]{4})+)")
LETTERS: Final = re.compile(r"[^\x00-\x7f]+")
NUMBER: Final = re.compile(r"\\u[0-9a-f]{4}")
UNIT: Final = re.compile(r"(.{4})")
# What Go and Rails escape, for JSON that stands in HTML.
IN_HTML: Final = {each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
FOR_HTML: Final = str.maketrans(IN_HTML)


def escapes(text: str) -> Iterator[Variant]:
    message = r"Letters were turned into \uXXXX: the signature matches with the letters themselves"
    yield _variant(_unescaped(text), message)
    message = r"\uXXXX were turned into letters: the signature matches with them"
    numbered = _numbered(text)
    yield _variant(numbered, message)
    yield _variant(NUMBER.sub(lambda found: "\\u" + found[0][2:].upper(), numbered), message)
    message = r"Slashes were turned from \/ into /: the signature matches with \/"
    slashes = text.replace("\\/", "/").replace("/", "\\/")
    yield _variant(slashes, message)
    yield _variant(_numbered(slashes), message)
    message = r"Slashes were turned from / into \/: the signature matches with /"
    yield _variant(text.replace("\\/", "/"), message)
    message = r"< > & were written out from \u003c and the like: the signature matches with those"
    yield _variant(text.translate(FOR_HTML), message)
    message = r"HTML entities stand in the body: the signature matches with the characters"
    yield _variant(html.unescape(text), message)


def _variant(text: str, message: str) -> Variant:
    return Variant(Code.BODY_ESCAPES, text.encode("utf-8", "surrogatepass"), message)


def _unescaped(text: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        units = bytes.fromhex(found[1].replace("\\u", ""))
        letters = units.decode("utf-16-be", "surrogatepass")
        safe = all(each > "\x7f" or each in IN_HTML for each in letters)
        return found[0].replace(found[1], letters) if safe else found[0]

    return ESCAPED.sub(replaced, text)


def _numbered(text: str) -> str:
    def numbers(found: re.Match[str]) -> str:
        return UNIT.sub(r"\\u\1", found[0].encode("utf-16-be", "surrogatepass").hex())

    return LETTERS.sub(numbers, text)
