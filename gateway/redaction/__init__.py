"""Takes personal data and secrets out of a captured webhook, so that it can become a test's fixture.

What is harmless is learnt from our samples of the preset and from the processors' own models and
conditions; all the rest is replaced (`core/redaction.py`). Headers stay that say of what kind the
request is; what proves origin is made anew afterwards.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote_from_bytes, urlsplit

from gateway.core.capture import Captured
from gateway.core.fields import MISSING, Fields, parse_json, parse_pairs, steps_of
from gateway.core.harmless import Harmless, Path, kept_path
from gateway.core.masking import SECRET_NAME, is_proof, proof_places
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.redaction import Redactor, dotted, survivors
from gateway.core.source import Source
from gateway.core.template import Reference
from gateway.core.text_parts import URL_WORDS
from gateway.plugins import Processor
from gateway.redaction.known import constants_of, known_of

PUBLIC_URL: Final = "https://hooks.example.com"
JSON_KINDS: Final = ("json", "item", "form", "form_json")


class RedactionError(ValueError):
    """It cannot be redacted, or something was left: what, and the mend."""


def key_of(seed: str) -> bytes:
    """Of what decides which pseudonym stands for what: keep it to yourself."""
    return blake2b(seed.encode()).digest()


def redactor_for(
    source: Source | None, seed: str, keep: Iterable[str], processors: Iterable[Processor]
) -> Redactor:
    """One for a source: everything is replaced the same in all that it gets."""
    known = known_of(source.preset if source else None)
    rules = source.identity.event_type if source else ()
    places = {
        place
        for template in rules
        for reference in template.references()
        if (place := _place(reference))
    }
    harmless = Harmless(
        keep=frozenset(map(kept_path, keep)),
        places=frozenset(places),
        seen=known.seen,
        constants=frozenset(constants_of(processors)),
        names=known.names,
    )
    return Redactor(Pseudonyms(key_of(seed), known.hosts, known.url_words | URL_WORDS), harmless)


def redact(captured: Captured, source: Source | None, redactor: Redactor) -> Captured:
    """Unsigned: what proved origin is gone. Raises RedactionError."""
    received = captured.received_at or 0.0
    made = replace(
        captured,
        url=_url(captured, redactor),
        headers=_headers(captured, source, redactor),
        body=_body(captured, redactor),
        received_at=float(round(redactor.pseudonyms.moved(received))),
        client=None,
        reason="",
    )
    return replace(made, body_size=len(made.body))


def check(text: str, redactor: Redactor, harmless: Iterable[str]) -> None:
    """Nothing that was replaced is still in the fixture's text. Raises RedactionError naming places."""
    public = (PUBLIC_URL, *redactor.pseudonyms.hosts, *redactor.pseudonyms.url_words)
    left = survivors(redactor, text, (*public, *harmless))
    if left:
        places = ", ".join(sorted({dotted(path) for path in left})[:5])
        mend = "if they may be seen, name them with --keep; nothing was written"
        raise RedactionError(f"words of {places} would still stand elsewhere in the fixture → {mend}")


def _place(reference: Reference) -> Path | None:
    if reference.kind == "header":
        return ("header", reference.name)
    return steps_of(reference.name) if reference.kind in JSON_KINDS else None


def _headers(
    captured: Captured, source: Source | None, redactor: Redactor
) -> tuple[tuple[bytes, bytes], ...]:
    """Of what kind it is, which event and of what type, and what else the signature covers."""
    proof = proof_places(source.scheme) if source else frozenset()
    wanted = {each.name for each in references_in(source) if each.kind == "header"} if source else set()
    kept = []
    for name, value in captured.headers:
        path = ("header", word := name.decode("latin-1").lower())
        proves = is_proof(".".join(path), proof) or bool(SECRET_NAME.search(word))
        if word == "content-type":
            kept.append((name, value))
        elif (word in wanted and not proves) or redactor.harmless.keeps(path):
            text = redactor.text(value.decode("utf-8", "backslashreplace"), path)
            kept.append((name, text.encode()))
    return tuple(kept)


def references_in(value: Any) -> Iterator[Reference]:
    """Every name that a source's scheme, identity and answer read in a request."""
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from references_in(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from references_in(getattr(value, field.name))


def _url(captured: Captured, redactor: Redactor) -> str:
    base, mark, query = captured.url.partition("?")
    if "://" in base:
        base = PUBLIC_URL + urlsplit(base).path
    return base + mark + (_pairs(query.encode("latin-1"), redactor, "query").decode() if mark else "")


def _body(captured: Captured, redactor: Redactor) -> bytes:
    if not captured.body.strip():
        return b""
    value = parse_json(captured.body)
    try:
        if value is not MISSING:
            return json.dumps(redactor.value(value), indent=2, ensure_ascii=False).encode()
        if Fields(captured.request(0.0)).pairs():
            return _pairs(captured.body, redactor)
    except (RecursionError, UnicodeEncodeError) as error:
        raise RedactionError(f"the body cannot be redacted: {type(error).__name__} → {MEND}") from None
    raise RedactionError(
        f"the body is neither JSON nor a form: what in it is personal is unknown → {MEND}"
    )


MEND: Final = "capture it without --redact, and take out of the file yourself what nobody may see"


def _pairs(text: bytes, redactor: Redactor, *above: str) -> bytes:
    """A form or query with other values under the same names."""
    made = []
    for name, value in parse_pairs(text) or ():
        word = name.decode("utf-8", "replace")
        new = redactor.text(value.decode("utf-8", "replace"), (*above, word))
        made.append((redactor.name(word, above), new))
    return b"&".join(_quoted(name) + b"=" + _quoted(value) for name, value in made)


def _quoted(text: str) -> bytes:
    return quote_from_bytes(text.encode(), safe="").encode()
