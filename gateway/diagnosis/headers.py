"""Headers that were renamed, doubled or changed on the way."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.core.request import Headers
from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import headers_of, proof_places, spelled

# What proxies, CGI and frameworks put before names.
ADDED: Final = re.compile(r"^(http-|x-original-|x-forwarded-|x-amzn-remapped-|x-)+")
MOST_VALUES: Final = 24
KEEP_NAMES: Final = "Let it pass the provider's headers under their own names"


def headers(case: Case) -> Iterator[Suspicion]:
    wanted = headers_of(case.scheme)
    yield from _copies(case, wanted)
    yield from _renamed(case, wanted)
    yield from _cleaned(case, wanted)
    yield from _under_any_name(case)


def _copies(case: Case, wanted: Iterable[str]) -> Iterator[Suspicion]:
    for name in wanted:
        values = case.request.headers.all(name.encode("latin-1"))
        pieces = [piece.strip() for value in values for piece in value.split(b",")]
        copies = values if len(values) > 1 else pieces if len(set(pieces)) < len(pieces) else []
        for at, value in enumerate(copies, 1):
            joined = "in one line" if len(values) == 1 else "in lines of their own"
            yield Suspicion(
                Code.SIGNATURE_DUPLICATED,
                case.with_header(name, value),
                f"{spelled(name)} came {len(copies)} times, {joined}: number {at} alone verifies.",
                "A proxy adds a copy of the header, or two proxies each do: let only one pass it on. A"
                " repeated header is refused, since two readers may read two copies.",
            )


def plain(name: str) -> str:
    """What is left of a header's name when all that is known to change it is undone."""
    folded = name.lower().replace("_", "-").replace(".", "-")
    return ADDED.sub("", folded).replace("-", "")


def _renamed(case: Case, wanted: Iterable[str]) -> Iterator[Suspicion]:
    """Every wanted header that is missing, from the one whose name is nearest."""
    pairs, renamed = case.request.headers.raw, {}
    for name in wanted:
        if not case.request.headers.all(name.encode("latin-1")):
            near = [key for key, _ in pairs if plain(key.decode("latin-1")) == plain(name)]
            if near:
                renamed[near[0]] = name
    if renamed:
        changed = Headers(tuple((renamed.get(key, "").encode() or key, value) for key, value in pairs))
        said = ", ".join(f"{spelled(name)} arrived as {_said(key)}" for key, name in renamed.items())
        yield Suspicion(
            Code.HEADER_RENAMED,
            case.with_request(headers=changed),
            f"{said}.",
            f"{KEEP_NAMES}{_why(renamed)}.",
        )


def _why(renamed: Iterable[bytes]) -> str:
    if any(b"_" in key for key in renamed):
        return "; nginx and CGI write - as _, and nginx drops names with _ altogether"
    return ""


def _cleaned(case: Case, wanted: Iterable[str]) -> Iterator[Suspicion]:
    """What a proxy or a copy by hand does to a value."""
    for name in wanted:
        value = case.request.headers.one(name.encode("latin-1"))
        if value:
            for what, changed in _cleanings(value):
                yield Suspicion(
                    Code.HEADER_CHANGED,
                    case.with_header(name, changed),
                    f"{spelled(name)} was changed on the way: it verifies {what}.",
                    "Let proxies pass the value unchanged, and capture it without editing.",
                )


def _cleanings(value: bytes) -> Iterator[tuple[str, bytes]]:
    ways = {
        "without the white space around it": value.strip(),
        "without the quotes around it": value.strip().strip(b"\"'"),
        "once it is percent-decoded": unquote_to_bytes(value),
        "with + where spaces are": value.replace(b" ", b"+"),
        "without the white space in it": b"".join(value.split()),
        "with the = at its end": value + b"=" * (-len(value.rpartition(b"=")[2]) % 4),
        "without the comma at its end": value.rstrip(b",; "),
    }
    yield from ((what, changed) for what, changed in ways.items() if changed != value)


def _under_any_name(case: Case) -> Iterator[Suspicion]:
    """Any other header whose value would verify."""
    for place in proof_places(case.scheme):
        if place.kind != "header":
            continue
        wanted = place.name.removesuffix("*")
        for key, value in case.request.headers.raw[:MOST_VALUES]:
            if key != wanted.encode("latin-1"):
                yield Suspicion(
                    Code.HEADER_RENAMED,
                    case.with_header(wanted, value),
                    f"{spelled(wanted)} arrived as {_said(key)}.",
                    f"{KEEP_NAMES}.",
                )


def _said(key: bytes) -> str:
    """A stranger's header name, short."""
    name = key.decode("latin-1")[:60]
    return name if "_" in name else spelled(name)
