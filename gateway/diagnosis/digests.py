"""Signatures that are right but written otherwise, made with another digest, or of an older version."""

import re
from collections.abc import Iterator
from dataclasses import replace
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from gateway.core.encoding import DECODERS, ENCODERS
from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.placing import put
from gateway.core.schemes.algorithms import ALGORITHMS, Algorithm, Hmac, PlainHash
from gateway.core.schemes.signature import SignatureScheme, known_to
from gateway.core.template import Reference
from gateway.core.verification import SecretError
from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import before_it, exchanged, signatures, spelled, stamped

PREFIX: Final = re.compile(rb"^([A-Za-z][A-Za-z0-9_-]{0,15}[=,: ])")
SIZES: Final = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
NAMES: Final[dict[Any, str]] = {value: name for name, value in ALGORITHMS.items()}
MOST_HEADERS: Final = 40
SHORTEST_CUT: Final = 16  # letters: a beginning as long as that is no accident


class Reading(NamedTuple):
    """A scheme that reads the signature in another way, and what is wrong if it holds."""

    code: Code
    scheme: SignatureScheme
    message: str
    mend: str


def digests(case: Case) -> Iterator[Suspicion]:
    fields = Fields(case.request)
    for inner in signatures(case.scheme):
        for reading in _all_readings(inner, fields):
            changed = replace(case, scheme=exchanged(case.scheme, inner, reading.scheme))
            yield Suspicion(reading.code, changed, reading.message, reading.mend)
        yield from _completed(case, inner, fields)


def _all_readings(inner: SignatureScheme, fields: Fields) -> Iterator[Reading]:
    yield from _readings(inner, fields, None)
    yield from _versions(inner, fields)
    for key, _ in fields.request.headers.raw[:MOST_HEADERS]:
        place = Reference("header", key.decode("latin-1"))
        if place not in inner.places.places:
            yield from _readings(inner, fields, place)


def _readings(inner: SignatureScheme, fields: Fields, elsewhere: Reference | None) -> Iterator[Reading]:
    """Other prefixes, encodings and digests that fit what stands there."""
    places = replace(inner.places, places=(elsewhere,)) if elsewhere else inner.places
    for prefix in _prefixes(inner, fields, places.places):
        for encoding in DECODERS:
            tried = replace(places, prefix=prefix, encoding=encoding, prefix_optional=False)
            groups = tried.read(fields)
            if isinstance(groups, Refusal):
                continue
            sizes = {len(each) for group in groups for each in group.signatures}
            for algorithm in _algorithms(inner.algorithm, sizes):
                changed = replace(inner, places=tried, algorithm=algorithm)
                if changed != inner:
                    yield _told(inner, changed, elsewhere)


def _prefixes(
    inner: SignatureScheme, fields: Fields, places: tuple[Reference, ...]
) -> dict[bytes, None]:
    values = [fields.lookup(place.kind, place.name) or b"" for place in places]
    items = [item for value in values for item in value.split(inner.places.separator)]
    found = [match[1] for item in items[:8] if (match := PREFIX.match(item.strip()))]
    return dict.fromkeys((inner.places.prefix, b"", *found))


def _algorithms(own: Algorithm, sizes: set[int]) -> list[Algorithm]:
    if not isinstance(own, Hmac | PlainHash):
        return [own]
    kin = [each for each in ALGORITHMS.values() if isinstance(each, type(own))]
    return [each for each in kin if SIZES[each.digest] in sizes]


def _told(inner: SignatureScheme, changed: SignatureScheme, elsewhere: Reference | None) -> Reading:
    where = spelled((elsewhere or inner.places.places[0]).name)
    wanted = spelled(inner.places.places[0].name)
    old, new = NAMES.get(inner.algorithm, ""), NAMES.get(changed.algorithm, "")
    before, after = inner.places, changed.places
    if elsewhere and old != new:
        text = f"{where} holds a sound signature of another version ({new}): {wanted} ({old}) counts."
        mend = f"Find out who drops {wanted} on the way, or switch the provider to that version."
        return Reading(Code.SIGNATURE_OLD_VERSION, changed, text, mend)
    if old != new:
        text = f"{where} holds a signature made with {new}, not with {old}."
        mend = "Choose that digest at the provider, or the preset that is made for this version of it."
        return Reading(Code.SIGNATURE_DIGEST, changed, text, mend)
    if before.encoding != after.encoding:
        text = f"{where} holds the signature in {after.encoding}, not in {before.encoding}."
        mend = "Something writes the signature anew, or it is of another version of these webhooks."
        return Reading(Code.SIGNATURE_ENCODING, changed, text, mend)
    if before.prefix != after.prefix:
        text = f"The signature in {where} {before_it(after.prefix, before.prefix)}."
        mend = "Pass the header on as the provider wrote it: the beginning says which version it is."
        return Reading(Code.SIGNATURE_PREFIX, changed, text, mend)
    text = f"{wanted} arrived as {where}."
    return Reading(Code.HEADER_RENAMED, changed, text, "Let it pass under its own name.")


def _versions(inner: SignatureScheme, fields: Fields) -> Iterator[Reading]:
    """Other keys in a header such as `t=..,v0=..`."""
    places = inner.places
    for key in other_keys(inner, fields):
        said, wanted = key.decode("latin-1")[:16], places.signature_key.decode("latin-1")
        changed = replace(inner, places=replace(places, signature_key=key))
        text = f"Only the signature {said} is sound; {wanted} is what counts."
        mend = f"Switch the provider to signatures of version {wanted}."
        yield Reading(Code.SIGNATURE_OLD_VERSION, changed, text, mend)


def other_keys(inner: SignatureScheme, fields: Fields) -> list[bytes]:
    """The keys of `t=..,v0=..` that are not read."""
    places = inner.places
    if places.form != "pairs":
        return []
    values = [fields.lookup(place.kind, place.name) or b"" for place in places.places]
    items = [item.strip() for value in values for item in value.split(places.separator)]
    keys = [item.partition(places.pair_separator)[0] for item in items[:16]]
    known = (places.signature_key, places.timestamp_key, b"")
    return [key for key in dict.fromkeys(keys) if key not in known]


def _completed(case: Case, inner: SignatureScheme, fields: Fields) -> Iterator[Suspicion]:
    """The given signature is the beginning of the right one."""
    places = inner.places
    place = places.places[0]
    text = (fields.lookup(place.kind, place.name) or b"").strip().removeprefix(places.prefix)
    if places.form != "single" or not isinstance(inner.algorithm, Hmac) or len(text) < SHORTEST_CUT:
        return
    for whole in _expected(case, inner, fields):
        written = ENCODERS[places.encoding](whole)
        if len(text) < len(written) and compare_digest(written[: len(text)], text):
            changed = replace(case, request=put(case.request, place, places.write(whole, b"")))
            said = f"The signature is cut: {len(text)} of {len(written)} letters came, all right."
            mend = "Something limits the length of header values on the way: raise the limit."
            yield Suspicion(Code.SIGNATURE_CUT, changed, said, mend)


def _expected(case: Case, inner: SignatureScheme, fields: Fields) -> Iterator[bytes]:
    """For comparing only: what comes out of here is never told."""
    ts = next(iter(stamped(inner, fields)), None)
    for secret in case.secrets:
        try:
            key = inner.load_key(secret.value)
        except SecretError:
            continue
        for message in inner.messages:
            parts = message.render(fields, known_to(key, ts))
            if parts is not None:
                yield inner.algorithm.sign(key, parts)
