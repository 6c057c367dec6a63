"""Schemes made of schemes: one of several, or the same for every item of a body."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.fields import Fields, dig_all
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.verification import Match, Scheme, SecretError

# Of several refusals the one that came furthest says most.
LEAST_TELLING: Final = (Refusal.MISSING_SIGNATURE, Refusal.MALFORMED_SIGNATURE)
MAX_ITEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of `schemes` must hold: the sender chooses among those that the preset allows (WebSub)."""

    schemes: tuple[Scheme, ...]

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        """A key for each scheme. Raises SecretError when none can use the secret."""
        keys: list[Any] = []
        faults: list[SecretError] = []
        for scheme in self.schemes:
            try:
                keys.append((scheme.load_key(secret),))
            except SecretError as error:
                keys.append(())
                faults.append(error)
        if len(faults) == len(self.schemes):
            raise faults[0]
        return tuple(keys)

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:
        telling = Refusal.MISSING_SIGNATURE
        for place, scheme in enumerate(self.schemes):
            usable = [(index, key[place][0]) for index, key in enumerate(keys) if key[place]]
            verdict = scheme.verify(fields, [key for _, key in usable], now)
            if isinstance(verdict, Match):
                return Match(usable[verdict.key_index][0], verdict.signed)
            if telling in LEAST_TELLING and verdict is not Refusal.MISSING_SIGNATURE:
                telling = verdict
        return telling

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:
        place = next(index for index, each in enumerate(key) if each)
        return self.schemes[place].sign(request, key[place][0], now)


@dataclass(frozen=True, slots=True)
class EachItem:
    """`scheme` must hold for every item at `path` of the JSON body, by the same secret (Adyen)."""

    scheme: Scheme
    path: str

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        return self.scheme.load_key(secret)

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:
        items = dig_all(fields.json(), self.path)
        if not items:
            return Refusal.MISSING_SIGNATURE
        if len(items) > MAX_ITEMS:
            return Refusal.MALFORMED_SIGNATURE
        matches: list[Match] = []
        for item in items:
            verdict = self.scheme.verify(fields.of_item(item), keys, now)
            if isinstance(verdict, Refusal):
                return verdict
            matches.append(verdict)
        return Match(matches[0].key_index)

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:  # noqa: ARG002 - the scheme's interface
        """Raises ValueError: such a body is signed item by item by who makes it."""
        raise ValueError("every item of the body carries a signature of its own: cannot sign it here")
