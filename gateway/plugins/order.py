"""What a processor says about order: read from the decorator, with the place in every complaint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.ordering import Order, OrderError, parse_order
from gateway.plugins.places import ProcessorError


@dataclass(frozen=True, slots=True)
class OrderWish:
    """As it stands in the decorator."""

    order_by: str | Sequence[str] | None = None
    on_dead: Literal["skip", "block"] = "skip"
    latest_only: bool = False
    version: str | None = None

    def read(self, origin: str) -> Order | None:
        """None: no order is asked for. Raises ProcessorError."""
        try:
            return parse_order(self.order_by, self.on_dead, self.latest_only, self.version)
        except OrderError as error:
            raise ProcessorError(f"{origin}: {error}") from None
