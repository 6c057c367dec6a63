"""Bodies that were changed on the way: what was the body that the provider signed?"""

from collections.abc import Iterator

from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.compression import compressions
from gateway.diagnosis.forms import forms
from gateway.diagnosis.json_texts import json_texts, wrappings
from gateway.diagnosis.schemes import covers_body
from gateway.diagnosis.texts import texts
from gateway.diagnosis.variant import Variant
from gateway.units import size_text


def bodies(case: Case) -> Iterator[Suspicion]:
    """The likeliest and the cheapest first; each body once."""
    body = case.request.body
    if not body or not covers_body(case.scheme):
        return
    content_type = case.request.headers.one(b"content-type") or b""
    encoding = case.request.headers.one(b"content-encoding") or b""
    seen = {body}
    for found in _all(body, content_type, encoding):
        if found.body not in seen:
            seen.add(found.body)
            yield _suspicion(case, found)


def light_bodies(case: Case) -> Iterator[Suspicion]:
    """What is cheap to try on top of anything else."""
    body = case.request.body
    if body and covers_body(case.scheme):
        yield from (_suspicion(case, found) for found in texts(body, b"") if found.body != body)


def _all(body: bytes, content_type: bytes, encoding: bytes) -> Iterator[Variant]:
    yield from texts(body, content_type)
    yield from compressions(body, encoding)
    yield from wrappings(body)
    yield from json_texts(body)
    yield from forms(body, content_type)


def _suspicion(case: Case, found: Variant) -> Suspicion:
    changed = case.with_request(body=found.body)
    if found.content_type:
        changed = changed.with_header("content-type", found.content_type)
    sizes = (
        f"{_size(len(found.body))} were signed, {_size(len(case.request.body))} came"
        if len(found.body) != len(case.request.body)
        else f"both have {_size(len(found.body))}"
    )
    return Suspicion(found.code, changed, f"{found.message} ({sizes}).", found.mend)


def _size(many: int) -> str:
    return f"{many:,} bytes" if many < 1_000_000 else size_text(many)
