"""A signature of a rendered template: most providers, from GitHub and Stripe to Twilio and Discord.

The algorithm comes from configuration, never from the request, so there is nothing to downgrade.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.placing import fits, put
from gateway.core.request import InboundRequest
from gateway.core.schemes.algorithms import Algorithm, HashSecret
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.schemes.signature_places import Candidates, SignaturePlaces
from gateway.core.schemes.timestamp import Timestamp
from gateway.core.template import Known, Template, resolve
from gateway.core.verification import Match


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """`messages`: what may be signed, each is tried. `require`: what must be said beside the signature,
    such as its version, and what it may say."""

    algorithm: Algorithm
    places: SignaturePlaces
    messages: tuple[Template, ...]
    key_format: KeyFormat = KeyFormat()
    timestamp: Timestamp | None = None
    require: tuple[tuple[Template, tuple[bytes, ...]], ...] = ()

    @property
    def needs_secret(self) -> bool:
        return True

    def load_key(self, secret: bytes) -> Any:
        return self.algorithm.load_key(self.key_format.decode(secret))

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:
        groups = self.places.read(fields)
        if isinstance(groups, Refusal):
            return groups
        if self.require and not all(_says(fields, *each) for each in self.require):
            return Refusal.MALFORMED_SIGNATURE
        verdict: Match | Refusal = Refusal.SIGNATURE_MISMATCH
        for group in groups:
            verdict = self._judge(fields, group, keys, now)
            if isinstance(verdict, Match):
                return verdict
        return verdict

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:
        ts = self.timestamp.write(now) if self.timestamp else b""
        if self.timestamp and self.timestamp.place:
            request = put(request, self.timestamp.place, ts)
        parts = self.messages[0].render(Fields(request), known_to(key, ts))
        if parts is None:
            raise ValueError(f"a field of {self.messages[0].text!r} is missing: nothing to sign")
        value = self.places.write(self.algorithm.sign(key, parts), ts)
        places = self.places.places
        return put(request, next((each for each in places if fits(request, each)), places[0]), value)

    def digest(self, key: Any, content: bytes) -> bytes:
        """What this scheme makes of any content: some challenges are answered with it."""
        return self.algorithm.sign(key, [content])

    def _judge(
        self, fields: Fields, group: Candidates, keys: Sequence[Any], now: float
    ) -> Match | Refusal:
        ts = self._ts(fields, group)
        if self.timestamp and not ts:
            return Refusal.MISSING_TIMESTAMP
        renderable = not keys  # then nothing is known of its parts
        matched: Match | None = None
        for index, key in enumerate(keys):  # every key is tried, always
            for parts in self._contents(fields, known_to(key, ts)):
                renderable = True
                if self.algorithm.matches(key, parts, group.signatures) and matched is None:
                    matched = Match(index, tuple(parts))
        if matched is None:
            return Refusal.SIGNATURE_MISMATCH if renderable else Refusal.MISSING_SIGNED_PART
        # Time is judged after the signature: only the genuine sender may learn about clocks.
        return (self.timestamp and ts and self.timestamp.judge(ts, now)) or matched

    def _ts(self, fields: Fields, group: Candidates) -> bytes | None:
        if self.timestamp is None:
            return None
        place = self.timestamp.place
        return resolve(place, fields) if place else group.ts

    def _contents(self, fields: Fields, known: Known) -> Iterator[list[bytes]]:
        for message in self.messages:
            if (parts := message.render(fields, known)) is not None:
                yield parts


def _says(fields: Fields, template: Template, allowed: tuple[bytes, ...]) -> bool:
    parts = template.render(fields)
    return parts is not None and b"".join(parts) in allowed


def known_to(key: Any, ts: bytes | None) -> Known:
    """What the message may name: a plain hash has its secret among the hashed parts."""
    return Known(ts, key.secret if isinstance(key, HashSecret) else None)
