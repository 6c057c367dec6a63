"""No proof at all: an explicit opt-out that must be spelled out, and warns at every start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.verification import Match


@dataclass(frozen=True, slots=True)
class UnverifiedScheme:
    @property
    def needs_secret(self) -> bool:
        return False

    def load_key(self, secret: bytes) -> Any:
        return secret

    def verify(self, fields: Fields, keys: Sequence[Any], now: float) -> Match | Refusal:  # noqa: ARG002 - the scheme's interface
        return Match(0)

    def sign(self, request: InboundRequest, key: Any, now: float) -> InboundRequest:  # noqa: ARG002
        return request
