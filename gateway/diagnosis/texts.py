"""Changes to a body as text: its end, its line ends, its byte order mark, its charset."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from gateway.diagnosis.codes import Code
from gateway.diagnosis.variant import Variant

BOM: Final = b"\xef\xbb\xbf"
ENDS: Final = ((b"\n", "a line break"), (b"\r\n", "CR LF"), (b" ", "a space"), (b"\0", "a NUL"))
ADDED: Final = (
    "An editor, `echo` or a log adds it: capture the raw bytes, and let proxies pass them unchanged."
)
CHARSET: Final = "Something before the gateway converts the charset: let it pass the bytes unchanged."


def texts(body: bytes, content_type: bytes) -> Iterator[Variant]:  # noqa: ARG001 - as its siblings
    yield from _ends(body)
    yield from _line_ends(body)
    if body.startswith(BOM):
        text = "A byte order mark was put before the body: the signature matches without it"
        yield Variant(Code.BODY_BOM, body.removeprefix(BOM), text)
    else:
        text = "The body's byte order mark was taken off: the signature matches with it"
        yield Variant(Code.BODY_BOM, BOM + body, text)
    yield from _charsets(body)


def _ends(body: bytes) -> Iterator[Variant]:
    for end, name in ENDS:
        if body.endswith(end):
            text = (
                f"{_sentence(name)} was added at the end of the body: the signature matches without it"
            )
            yield Variant(Code.BODY_NEWLINE, body.removesuffix(end), text, ADDED)
    stripped = body.strip()
    text = "White space was put around the body: the signature matches without it"
    yield Variant(Code.BODY_NEWLINE, stripped, text, ADDED)
    for end, name in ENDS[:2]:
        text = f"{_sentence(name)} was taken off the body's end: the signature matches with it"
        mend = "Something strips the body before the gateway: let it pass the bytes unchanged."
        yield Variant(Code.BODY_NEWLINE, body + end, text, mend)


def _line_ends(body: bytes) -> Iterator[Variant]:
    mend = "Something converts line ends (text mode, git, a form): handle the body as bytes."
    unix = body.replace(b"\r\n", b"\n")
    text = "Line ends were turned from LF into CR LF: the signature matches with LF"
    yield Variant(Code.BODY_LINE_ENDS, unix, text, mend)
    text = "Line ends were turned from CR LF into LF: the signature matches with CR LF"
    yield Variant(Code.BODY_LINE_ENDS, unix.replace(b"\n", b"\r\n"), text, mend)


def _charsets(body: bytes) -> Iterator[Variant]:
    if body.isascii():
        yield from _converted(body, "ascii", "utf-16-le", "UTF-16 was turned into ASCII")
        return
    yield from _converted(body, "latin-1", "utf-8", "UTF-8 was turned into Latin-1")
    yield from _converted(body, "cp1252", "utf-8", "UTF-8 was turned into Windows-1252")
    yield from _converted(body, "utf-8", "latin-1", "UTF-8 was read as Latin-1 and written anew")
    yield from _converted(body, "utf-8", "cp1252", "UTF-8 was read as Windows-1252 and written anew")
    for name in ("utf-16-le", "utf-16-be"):
        yield from _converted(body, name, "utf-8", "UTF-8 was turned into UTF-16")
    for form in ("NFC", "NFD"):
        try:
            changed = unicodedata.normalize(form, body.decode()).encode()
        except ValueError:
            continue
        text = f"Accents were composed otherwise: the signature matches in Unicode's form {form}"
        yield Variant(Code.BODY_CHARSET, changed, text, CHARSET)


def _converted(body: bytes, came: str, was: str, text: str) -> Iterator[Variant]:
    try:
        changed = body.decode(came).encode(was)
    except ValueError:
        return
    yield Variant(
        Code.BODY_CHARSET, changed, f"{text}: the signature matches when that is undone", CHARSET
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
