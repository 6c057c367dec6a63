"""Requests as a provider would send them, for the whole path."""

from collections.abc import Sequence
from typing import Final

from gateway import samples
from gateway.catalogue import load_preset
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.fixture import SECRETS
from gateway.plugins import Registry
from gateway.signing import Draft, new_event_id, sample_draft
from gateway.signing import signed_request as sign
from gateway.testing.clock import NOON

SECRET: Final = SECRETS[0].encode()
"""What tests sign with where they do not say: made up, and known to everybody."""
JSON: Final = "application/json"


def signed_request(
    preset: str,
    secret: bytes = SECRET,
    body: bytes | None = None,
    *,
    now: float = NOON.timestamp(),
    type: str | None = None,
    provider_id: str | None = None,
    path: str = "/hooks/test",
    content_type: str = JSON,
) -> InboundRequest:
    """The request that the preset's provider would send at `now` (Unix seconds).

    Without a body, the sample for `type`. Raises gateway.samples.UnknownSample.
    """
    return draw(preset_source(preset, secret, path), body, now, type, provider_id, content_type)


def draw(
    source: Source,
    body: bytes | None,
    now: float,
    type: str | None,
    provider_id: str | None,
    content_type: str = JSON,
) -> InboundRequest:
    """As `source`'s provider would send it, signed with the source's first secret."""
    new_id = provider_id or new_event_id(source.preset)
    if body is not None:
        return sign(source, Draft(body, content_type, type, new_id), now)
    preset = source.preset or ""
    wanted = type or samples.types(preset)[0]
    return sign(source, sample_draft(source, samples.load(preset, wanted), new_id), now)


def preset_source(
    preset: str, secret: bytes = SECRET, path: str = "/hooks/test", registry: Registry | None = None
) -> Source:
    """A source of that preset as if it were configured; named after its processors' source, if they
    have one in common. Raises KeyError for an unknown preset."""
    found = load_preset(preset)
    scheme = found.verify.build()
    names: Sequence[str] = sorted({each.source for each in registry.processors} if registry else ())
    name = names[0] if len(names) == 1 else preset
    return Source(
        name=name,
        path=path,
        queue=name,
        scheme=scheme,
        keys=(scheme.load_key(secret),) if scheme.needs_secret else (),
        preset=preset,
        identity=found.identity.build(),
        handshakes=tuple(each.build({}) for each in found.handshakes),
        acknowledgement=found.acknowledge.build({}).settled(),
        revive_dead=bool(found.source.revive_dead),
    )
