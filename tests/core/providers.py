"""A made-up provider for every preset: its secrets, its requests and its proofs.

Everything is taken from the preset's own declarations, so a new preset needs no line here unless its
provider signs something that only code can describe.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from gateway.catalogue import Options, Preset, load_preset, preset_names
from gateway.core.fields import Fields, dig_all
from gateway.core.identity import IdentityRules
from gateway.core.outcomes import Refusal
from gateway.core.placing import fits, put, with_json
from gateway.core.request import InboundRequest
from gateway.core.schemes.combined import EachItem
from gateway.core.schemes.signature import SignatureScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference
from gateway.core.verification import Scheme

from .examples import NOW, judged, keys, signing_key
from .made_up import unsigned_request
from .reading import proof_places, verified_names


@dataclass(frozen=True, eq=False)
class Provider:
    """One preset's provider. Secrets have numbers; those of two providers are never the same."""

    name: str
    preset: Preset
    scheme: Scheme
    options: tuple[tuple[str, bytes], ...]

    @property
    def proves(self) -> bool:
        return not isinstance(self.scheme, UnverifiedScheme)

    def keys(self, *numbers: int) -> list[Any]:
        """Loaded once: there are many tests."""
        return [_key(self, number) for number in numbers or (1,)]

    def identity(self) -> IdentityRules:
        return self.preset.identity.build(dict(self.options))

    def signed(
        self, incoming: InboundRequest | None = None, number: int = 1, now: float = NOW
    ) -> InboundRequest:
        """What the provider would send at `now`."""
        key = signing_key(self.scheme, number, self.name)
        return _sign(self.scheme, incoming or unsigned(self), key, now)

    def verdict(self, incoming: InboundRequest, *numbers: int, now: float = NOW) -> int | Refusal:
        return judged(self.scheme, incoming, self.keys(*numbers), now)


@cache
def _key(of: Provider, number: int) -> Any:
    return keys(of.scheme, number, owner=of.name)[0]


@cache
def provider(name: str) -> Provider:
    preset = load_preset(name)
    options: Options = {
        key: (f"made-up-{key}" if each.default is None else each.default).encode()
        for key, each in preset.options.items()
    }
    return Provider(name, preset, preset.verify.build(options), tuple(options.items()))


@cache
def providers() -> tuple[Provider, ...]:
    return tuple(provider(name) for name in preset_names())


@cache
def unsigned(of: Provider) -> InboundRequest:
    return unsigned_request(of.scheme, of.identity())


def proof_place(of: Provider) -> Reference:
    """Where it stands in the request that the provider sends."""
    places = proof_places(of.scheme)
    return next((each for each in places if fits(unsigned(of), each)), places[0])


def proof(of: Provider, good: InboundRequest) -> bytes:
    """The value of the proof in a request of the provider's."""
    place = proof_place(of)
    name = place.name.replace("*", "1" if place.kind == "header" else "0")
    return Fields(good).lookup(place.kind, name) or b""


# Proofs


def _sign(scheme: Any, incoming: InboundRequest, key: Any, now: float) -> InboundRequest:
    if isinstance(scheme, EachItem):
        return _sign_items(scheme, incoming, key, now)
    if Reference("canonical", "hygraph") in verified_names(scheme):
        return _sign_hygraph(scheme, incoming, key, now)
    return scheme.sign(incoming, key, now)  # type: ignore[no-any-return]


def _sign_items(scheme: EachItem, incoming: InboundRequest, key: Any, now: float) -> InboundRequest:
    """Signs each item of the body, as who makes the body does."""
    inner = scheme.scheme
    assert isinstance(inner, SignatureScheme)
    data = json.loads(incoming.body)
    for item in dig_all(data, scheme.path):
        parts = inner.messages[0].render(Fields(incoming).of_item(item))
        assert parts is not None
        text = inner.places.write(inner.algorithm.sign(key, parts), b"").decode()
        place = inner.places.places[0].name
        item.update(json.loads(with_json(json.dumps(item).encode(), place, text)))
    return replace(incoming, body=json.dumps(data, indent=2).encode())


def _sign_hygraph(scheme: Any, incoming: InboundRequest, key: Any, now: float) -> InboundRequest:
    """Its header holds, beside the signature, what else is signed."""
    stamped = f"env=production, t={int(now * 1000)}"
    name = Reference("header", "gcms-signature")
    incoming = put(incoming, name, f"sign=, {stamped}".encode())
    parts = scheme.messages[0].render(Fields(incoming))
    proof = scheme.places.write(scheme.algorithm.sign(key, parts), b"").partition(b"sign=")[2]
    return put(incoming, name, b"sign=" + proof + f", {stamped}".encode())
