"""What can be seen of a request without recomputing, when nothing that was tried verifies."""

from collections.abc import Iterator
from typing import Final

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.template import Reference, resolve
from gateway.diagnosis.case import Case, Court, Finding
from gateway.diagnosis.codes import Code
from gateway.diagnosis.digests import other_keys
from gateway.diagnosis.schemes import (
    covers_body,
    covers_url,
    innermost,
    proof_places,
    signatures,
    signed_names,
    spelled,
    time_places,
)
from gateway.diagnosis.suspects import kind_of_secret, test_mode

LOST: Final = b"\xef\xbf\xbd"
PROOF_WORDS: Final = ("sign", "hmac", "token", "auth", "digest")
WRONG_SECRETS: Final = (Code.SECRET_KIND, Code.TEST_MODE, Code.BODY_EMPTY)
UNTOUCHED: Final = "Let it pass the bytes unchanged, or verify before it."


def facts(case: Case, refusal: Refusal, court: Court) -> list[Finding]:
    """The surest first, and never none."""
    found = [*_unusable(case, court)]
    if found and not court.keys(case):
        return found  # without a key, the reason tells nothing
    found += _by_reason(case, refusal)
    if refusal is not Refusal.SIGNATURE_MISMATCH:
        return found or [_unknown(refusal)]
    found += _body(case)
    found += (*kind_of_secret(case), *test_mode(case))
    explained = any(each.certain or each.code in WRONG_SECRETS for each in found)
    return found if explained else [*found, _wrong_secret(case)]


def _unusable(case: Case, court: Court) -> Iterator[Finding]:
    for secret, why in court.faults(case):
        mend = "Copy it from the provider again, whole."
        yield Finding(Code.SECRET_UNUSABLE, f"{secret.reference} cannot be used: it {why}.", mend)


def _by_reason(case: Case, refusal: Refusal) -> Iterator[Finding]:
    match refusal:
        case Refusal.MISSING_SIGNATURE:
            yield _missing(case)
        case Refusal.DUPLICATED_SIGNATURE:
            text = f"{_place(case)} came more than once, and no copy verifies by itself."
            yield Finding(Code.SIGNATURE_DUPLICATED, text, "Let only one pass it on.")
        case Refusal.MALFORMED_SIGNATURE:
            yield next(_only_other_versions(case), None) or _malformed(case)
        case Refusal.MISSING_TIMESTAMP | Refusal.MALFORMED_TIMESTAMP:
            named = ", ".join(_named(each) for each in time_places(case.scheme))
            text = f"The signed time{f' ({named})' if named else ''} is missing, or is no time."
            mend = "Compare the request with the provider's documentation: a proxy may drop the header."
            yield Finding(Code.TIME_MISSING, text, mend)
        case Refusal.MISSING_SIGNED_PART:
            yield from _missing_parts(case)
        case Refusal.ALGORITHM_NOT_ALLOWED:
            yield _algorithm(case)
        case Refusal.CLAIM_MISMATCH:
            text = "The signature is right, but what it says of the body or the request is not."
            yield Finding(Code.TOKEN_CLAIM, text, f"The body was changed on the way. {UNTOUCHED}")


def _missing(case: Case) -> Finding:
    names = [name.decode("latin-1") for name, _ in case.request.headers.raw]
    near = [spelled(name)[:60] for name in names if any(word in name for word in PROOF_WORDS)]
    came = f" Of its kind came: {', '.join(near[:4])}." if near else ""
    text = f"{_place(case)} is missing.{came}"
    mend = (
        "Is a secret set at the provider? Without one, many sign nothing. Else a proxy drops the header"
        " or somebody else calls."
    )
    return Finding(Code.SIGNATURE_MISSING, text, mend)


def _malformed(case: Case) -> Finding:
    for inner in signatures(case.scheme):
        prefix = inner.places.prefix.decode("latin-1")
        form = f"{prefix + ' then ' if prefix else ''}{inner.places.encoding}"
        text = f"{_place(case)} is not in the form that is expected: {form}."
        return Finding(Code.SIGNATURE_MALFORMED, text, "Compare it with the provider's documentation.")
    text = f"{_place(case)} is not in the form that is expected."
    return Finding(Code.SIGNATURE_MALFORMED, text, "Compare it with the provider's documentation.")


def _missing_parts(case: Case) -> Iterator[Finding]:
    if covers_url(case.scheme) and not case.request.url:
        text = "This provider signs its URL, and the public URL is not known."
        yield Finding(Code.URL_UNKNOWN, text, "Set public_url in the source's file (here: --url).")
    fields = Fields(case.request)
    missing = [each for each in signed_names(case.scheme) if _is_missing(each, fields)]
    if missing:
        names = ", ".join(_named(each) for each in missing)
        text = f"A part that is signed is missing: {names}."
        yield Finding(Code.PART_MISSING, text, "A proxy drops it, or the provider does not send it.")
    elif not covers_url(case.scheme) or case.request.url:
        text = "A part that must be signed is not covered by the signature."
        yield Finding(Code.PART_MISSING, text, "Compare it with the provider's documentation.")


def _is_missing(name: Reference, fields: Fields) -> bool:
    looked_up = name.kind in ("header", "query", "json", "form", "form_json")
    return looked_up and resolve(name, fields) is None


def _algorithm(case: Case) -> Finding:
    allowed = [name for each in innermost(case.scheme) for name in getattr(each, "algorithms", ())]
    headers = [
        each.unverified_header(Fields(case.request)) or {}
        for each in innermost(case.scheme)
        if isinstance(each, JwtScheme)
    ]
    named = str(next((each.get("alg") for each in headers), "another one"))[:20]
    text = (
        f"The signature names the algorithm {named}; allowed here: {', '.join(allowed) or 'one other'}."
    )
    mend = "Choose it at the provider. `none`, or one that nobody set there, is an attack."
    return Finding(Code.TOKEN_ALGORITHM, text, mend)


def _only_other_versions(case: Case) -> Iterator[Finding]:
    """Stripe signs events of test mode with v0 besides."""
    for inner in signatures(case.scheme):
        said = ", ".join(
            key.decode("latin-1")[:16] for key in other_keys(inner, Fields(case.request))[:4]
        )
        wanted = inner.places.signature_key.decode("latin-1")
        text = f"{_place(case)} has no {wanted}, only {said}."
        if said:
            mend = f"Only {wanted} counts: another one may prove nothing (Stripe's v0 is of test mode)."
            yield Finding(Code.SIGNATURE_OLD_VERSION, text, mend)


def _body(case: Case) -> Iterator[Finding]:
    body, headers = case.request.body, case.request.headers
    if not covers_body(case.scheme):
        return
    told = headers.one(b"content-length") or b""
    length = int(told) if told.isdigit() and len(told) < 12 else None
    came = len(body) if case.size is None else case.size
    if came != len(body) or (length is not None and length > len(body) > 0):
        whole = f"{max(came, length or 0):,}"
        text = f"The body is cut: {len(body):,} of {whole} bytes are here."
        yield Finding(Code.BODY_CUT, text, "Keep all of it: what is signed is the whole body.")
    elif not body:
        sure = bool(length)
        said = f", though Content-Length says {length:,}" if sure else ""
        text = f"The body is empty{said}."
        mend = "Something reads the body before it is verified or captured: verify first, parse later."
        yield Finding(Code.BODY_EMPTY, text, mend, sure)
    if length is not None and 0 <= length < len(body):
        text = (
            f"The body grew on the way: Content-Length says {length:,}, {len(body):,} bytes are here."
        )
        yield Finding(Code.BODY_WHITESPACE, text, UNTOUCHED, False)
    encoding = (headers.one(b"content-encoding") or b"").strip().lower()
    if encoding and encoding != b"identity":
        name = encoding.decode("latin-1")[:20]
        text = f"Content-Encoding says {name}: the body was compressed or unpacked on the way."
        yield Finding(Code.BODY_COMPRESSION, text, UNTOUCHED, False)
    if LOST in body:
        text = "The body holds U+FFFD, which stands for letters that a wrong charset has destroyed."
        yield Finding(Code.BODY_CHARSET, text, UNTOUCHED, False)


def _wrong_secret(case: Case) -> Finding:
    tried = ", ".join(each.reference for each in case.secrets) or "none"
    places = proof_places(case.scheme)
    text = f"The wrong secret, most likely. Tried: {tried}."
    if places and covers_body(case.scheme):
        text += " No known change of body, headers or secret makes it match."
    mend = (
        "Copy the secret of this very endpoint from the provider again; each endpoint, account and mode"
        " has its own. If it is right, the body was changed in a way that is not known here."
    )
    return Finding(Code.WRONG_SECRET, text, mend, False)


def _unknown(refusal: Refusal) -> Finding:
    text = f"Refused as {refusal}."
    return Finding(Code.SIGNATURE_MALFORMED, text, "See the word in docs/operations.md.", False)


def _place(case: Case) -> str:
    return " or ".join(_named(each) for each in proof_places(case.scheme)[:3]) or "The proof"


def _named(place: Reference) -> str:
    return spelled(place.name) if place.kind == "header" else f"{place.kind}.{place.name}"
