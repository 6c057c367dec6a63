"""How a preset proves origin, in sentences for a person."""

from collections.abc import Iterator, Sequence

from gateway.catalogue import (
    BasicAuthVerify,
    JwtVerify,
    KeySourceFile,
    Preset,
    SignatureVerify,
    SignedTime,
    TokenVerify,
    UnverifiedVerify,
    Verify,
    key_source_of,
)
from gateway.catalogue.keys import KeyTable
from gateway.catalogue.tokens import MessageSignatureVerify
from gateway.units import duration_text

KINDS = {
    "header": "the header",
    "query": "the query parameter",
    "form": "the form field",
    "json": "the JSON value",
    "item": "the item's JSON value",
    "form_json": "the JSON of the form field",
    "header_json": "the base64 JSON of the header",
}
FORMS = {
    "single": "",
    "list": "; several may stand there",
    "pairs": ", among pairs such as {key}{sign}SIGNATURE",
    "positional": ", as one of several fields",
}
UNITS = {
    "s": "in seconds since 1970",
    "ms": "in milliseconds since 1970",
    "auto": "in seconds or milliseconds since 1970",
    "iso8601": "in ISO 8601",
    "http-date": "as an HTTP date",
}


def proof_sentences(preset: Preset) -> list[str]:
    """What is signed, where signature and time stand, how the secret is written, what is covered."""
    verify = preset.verify
    sentences = [*_scheme(verify), *_key(verify)]
    if isinstance(verify, UnverifiedVerify):
        return sentences
    covered = "The proof covers the whole body."
    bare = "The proof does not cover the whole body: whoever has seen one request can write others."
    return [*sentences, covered if preset.body_signed else bare]


def _scheme(verify: Verify) -> Iterator[str]:
    match verify:
        case SignatureVerify():
            yield from _signature(verify)
        case JwtVerify():
            yield from _jwt(verify)
        case TokenVerify():
            where = _places(
                [f"header.{verify.header or 'Authorization'}"] if not verify.at else verify.at
            )
            yield f"A secret token in {where}{_after(verify.prefix)}."
        case BasicAuthVerify():
            yield "A user name and a password (basic authentication); the secret is user:password."
        case MessageSignatureVerify():
            yield f"An HTTP message signature (RFC 9421), {verify.algorithm}."
            yield f"It must cover {', '.join(verify.required)}."
            if verify.tolerance:
                yield f"One that was made more than {duration_text(verify.tolerance)} ago is refused."
        case UnverifiedVerify():
            yield "Nothing: anybody who knows the URL is believed. Add allow_ips."


def _signature(verify: SignatureVerify) -> Iterator[str]:
    algorithms = (
        " or ".join(
            f"{_algorithm(name)}{_after(prefix)}" for prefix, name in verify.algorithm_by_prefix.items()
        )
        or f"{_algorithm(verify.algorithm or 'hmac-sha256')}"
    )
    places = _places([*(f"header.{each}" for each in verify.header or ()), *(verify.at or ())])
    form = FORMS[verify.form].format(key=verify.signature_key, sign=verify.pair_separator)
    yield f"{algorithms} of {_message(verify.message)}."
    yield f"It stands in {places}, in {verify.encoding}{_after(verify.prefix)}{form}."
    if verify.each:
        yield f"Each item of {verify.each} is signed by itself."
    for text, allowed in verify.require.items():
        yield f"{text} must be {allowed}."
    yield _time(verify.timestamp)


def _jwt(verify: JwtVerify) -> Iterator[str]:
    place = _places([verify.at or f"header.{verify.header}"])
    yield f"A signed token (JWT, {_either(verify.algorithms)}) in {place}{_after(verify.prefix)}."
    if verify.claims:
        claims = ", ".join(f"{name.removesuffix('?')} = {text}" for name, text in verify.claims.items())
        yield f"It must say: {claims}."
    if verify.max_age:
        yield f"One that was issued more than {duration_text(verify.max_age)} ago is refused."
    else:
        yield "It counts until the end that it names (exp)."


def _key(verify: Verify) -> Iterator[str]:
    source = key_source_of(verify)
    if source:
        yield _fetched(source)
    elif isinstance(verify, KeyTable):
        written = {"utf8": "", "pem": ", in PEM"}
        decoded = written.get(verify.key_encoding, f" decoded from {verify.key_encoding}")
        if decoded or verify.key_prefix or verify.key_digest:
            prefix = f' without its "{verify.key_prefix}"' if verify.key_prefix else ""
            digest = f", then hashed ({verify.key_digest})" if verify.key_digest else ""
            yield f"The key is the secret{prefix}{decoded}{digest}."


def _fetched(source: KeySourceFile) -> str:
    hosts = f", on hosts {' or '.join(source.hosts)} only" if source.hosts else ""
    kept = duration_text(source.max_age)
    return f"The key is fetched from {source.url}{hosts}, and kept for {kept}. No secret is needed."


def _time(time: SignedTime | None) -> str:
    if time is None:
        return "No time is signed: only deduplication keeps a recorded request from counting twice."
    place = time.at or (f"header.{time.header}" if time.header else None)
    where = f"in {_places([place])}" if place else "beside the signature"
    said = f"The time is signed; it stands {where}, {UNITS[time.unit]}."
    if time.tolerance == "none":
        return f"{said} How old it is does not count: the provider's retries carry the first time."
    tolerance = duration_text(time.tolerance)
    return f"{said} More than {tolerance} away from our clock, a request is refused."


def _message(messages: tuple[str, ...]) -> str:
    shown = ["the body" if text == "{body}" else text.replace("\n", "\\n") for text in messages]
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"


def _algorithm(name: str) -> str:
    kind, _, digest = name.partition("-")
    match kind:
        case "hmac":
            return f"An HMAC ({digest.upper().replace('SHA', 'SHA-')})"
        case "hash":
            return f"A plain hash ({digest.upper().replace('SHA', 'SHA-')})"
        case _:
            return f"A public-key signature ({name})"


def _places(places: Sequence[str]) -> str:
    return _either([place_words(each) for each in places])


def _either(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def place_words(place: str) -> str:
    """`header.X-Id` as `the header X-Id`."""
    kind, _, name = place.partition(".")
    return f"{KINDS[kind]} {name}" if kind in KINDS else place


def _after(prefix: str) -> str:
    return f' after "{prefix}"' if prefix else ""
