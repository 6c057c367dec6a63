"""How a stored webhook becomes a fixture: redacted, signed anew, and judged by its own deployment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gateway.cli.shared.exits import FAILED, fail
from gateway.cli.shared.stored_requests import Stored

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.core.capture import Captured
    from gateway.core.redaction import Redactor
    from gateway.core.source import Source
    from gateway.fixture import Fixture

UNCLEAR: Final = "The fixture would be another event: {}. Keep what decides on it with --keep."


@dataclass(frozen=True, slots=True)
class Made:
    """`believed`: the deployment takes the fixture for genuine. `unfit`: processors whose payload's
    type took the event as it came and does not take the fixture, each with the reason."""

    fixture: "Fixture"
    believed: bool
    processors: tuple[str, ...]
    replaced: int = 0
    likely: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()


def make_fixture(app: "Application", stored: Stored, *, seed: str | None, keep: Sequence[str]) -> Made:
    """`seed` None: not redacted. Ends with status 1 where that cannot be done."""
    from gateway.fixture import Fixture, events_of

    source = app.config.source(stored.captured.source)
    wanted = _routed(app, stored)
    redactor = _redactor(app, source, wanted, seed, keep)
    captured = _redacted(stored.captured, source, redactor) if redactor else _disarmed(stored, source)
    provider_id = redactor.text(stored.provider_id) if redactor else stored.provider_id
    preset = (source.preset or "") if source else ""
    plain = Fixture(captured, stored.type, provider_id, preset, redacted=redactor is not None)
    fixture, believed = _signed(plain, source) if source else (plain, False)
    events = events_of(fixture, source) if source else ()
    if events:  # of a refused request only the fixture tells what it is
        fixture = replace(
            fixture, type=stored.type or events[0].type, provider_id=events[0].provider_id
        )
    body = events[0].body if events else fixture.captured.body
    if redactor:
        _check(fixture, redactor)
    routed = _routed(app, Stored(replace(fixture.captured, body=body), fixture.type))
    if events and events[0].type != fixture.type:
        fail(FAILED, UNCLEAR.format(f"its type is {events[0].type!r} and not {fixture.type!r}"))
    if stored.type and routed != wanted:
        fail(FAILED, UNCLEAR.format(f"it is for {_names(routed)}, not for {_names(wanted)}"))
    made = Made(fixture, believed, routed)
    if redactor is None:
        return made
    unfit = tuple(_unfit(app, routed, stored.captured.body, body))
    return replace(made, replaced=len(redactor.replaced), likely=tuple(_likely(redactor)), unfit=unfit)


def _names(processors: Sequence[str]) -> str:
    return ", ".join(processors) or "no processor"


def _routed(app: "Application", stored: Stored) -> tuple[str, ...]:
    """The processors that take it by the configuration of now."""
    from gateway.core.event import Event
    from gateway.routes import build_router

    sources = {each.name: each.when for each in app.config.sources if each.when}
    captured = stored.captured
    event = Event("", captured.source, stored.type, "", captured.headers, captured.body, 0.0)
    return build_router(app.processors, sources)(event).processors


def _redactor(
    app: "Application",
    source: "Source | None",
    processors: Sequence[str],
    seed: str | None,
    keep: Sequence[str],
) -> "Redactor | None":
    from gateway.redaction import redactor_for

    if seed is None:
        return None
    return redactor_for(source, seed, keep, [app.processors[name] for name in processors])


def _redacted(captured: "Captured", source: "Source | None", redactor: "Redactor") -> "Captured":
    from gateway.redaction import RedactionError, redact

    try:
        return redact(captured, source, redactor)
    except RedactionError as error:
        fail(FAILED, f"{captured.source}: {error}")


def _disarmed(stored: Stored, source: "Source | None") -> "Captured":
    """As it came, but for what proved origin: an old token may still be good."""
    from gateway.cli.shared.desk import SECRET_HEADER
    from gateway.core.masking import is_proof, proof_places

    proof = proof_places(source.scheme) if source else frozenset()
    kept = tuple(
        (name, value)
        for name, value in stored.captured.headers
        if not SECRET_HEADER.search(word := name.decode("latin-1").lower())
        and not is_proof(f"header.{word}", proof)
    )
    return replace(stored.captured, headers=kept, client=None, reason="")


def _signed(plain: "Fixture", source: "Source") -> "tuple[Fixture, bool]":
    from gateway.fixture import signed_fixture, whole_batch

    body = whole_batch(plain.request(), source.identity).body
    captured = replace(plain.captured, body=body, body_size=len(body))
    return signed_fixture(replace(plain, captured=captured), source)


def _check(fixture: "Fixture", redactor: "Redactor") -> None:
    from gateway.redaction import RedactionError, check

    captured = fixture.captured
    names = [name.decode("latin-1") for name, _ in captured.headers]
    types = [value.decode("latin-1") for name, value in captured.headers if name == b"content-type"]
    own = (fixture.source, fixture.type, fixture.preset, fixture.secret, captured.url)
    try:
        check(fixture.to_toml(), redactor, (fixture.own_words, *own, *names, *types))
    except RedactionError as error:
        fail(FAILED, f"{fixture.source}: {error}.")


def _likely(redactor: "Redactor") -> list[str]:
    from gateway.core.redaction import likely_kinds

    return likely_kinds(redactor.replaced)


def _unfit(
    app: "Application", processors: Sequence[str], before: bytes, after: bytes
) -> "Iterator[str]":
    for name in processors:
        reason = _misfit(app, name, after)
        if reason and not _misfit(app, name, before):
            yield f"{name}: {reason}"


def _misfit(app: "Application", name: str, body: bytes) -> str:
    """Why the processor's model does not take the body; empty when it does, or there is none."""
    from gateway.core.fields import parse_json
    from gateway.plugins.payload import PayloadMismatch

    processor = app.processors[name]
    if processor.payload is None or processor.transform is not None:
        return ""
    try:
        processor.payload.from_body(body, lambda: parse_json(body))
    except PayloadMismatch as error:
        return str(error).split("\n")[0]
    return ""
