"""Bodies that are bombs where they are read, in the worker: a dead letter at worst, never the end of a
process, and never a long wait. The gateway reads none: `tests/e2e/test_gateway_hostile.py`.
"""

import time
from typing import Any, Final

import pytest
from pydantic import BaseModel

from gateway.core.outcomes import DeadReason
from gateway.plugins import Event, Registry
from gateway.testing import make_event, run_delivery

SECONDS: Final = 1.0
BOMBS: Final = {
    "100,000 arrays in one another": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects that never end": b'{"a":' * 100_000,
    "a number of 100,000 digits": b'{"number": ' + b"9" * 100_000 + b"}",
    "no UTF-8": b'{"number": "\xff\xfe"}',
    "nothing": b"",
    "compressed": b"\x1f\x8b\x08\x00" + b"\x00" * 100,
}
ODD: Final = {
    "no number": b'{"number": NaN}',
    "beyond every number": b'{"number": 1e400}',
    "half of a pair": b'{"number": "\\ud800"}',
    "a key twice": b'{"number": 1, "number": "x"}',
    "50,000 keys": b"{" + b",".join(b'"%d":0' % each for each in range(50_000)) + b"}",
}


class Order(BaseModel):
    number: int


def ended(body: bytes, wants_model: bool) -> Any:
    registry = Registry()
    if wants_model:

        @registry.processor(source="shop", name="read")
        def by_model(event: Event, order: Order) -> None: ...
    else:

        @registry.processor(source="shop", name="read")
        def by_hand(event: Event) -> None:
            assert event.payload is not None

    return run_delivery("read", make_event("shop", body=body), registry)


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("wants_model", [True, False], ids=["by a model", "by hand"])
def test_a_bomb_is_a_dead_letter_soon(kind: str, wants_model: bool) -> None:
    began = time.process_time()
    result = ended(BOMBS[kind], wants_model)
    assert result.dead_reason in (DeadReason.PAYLOAD_MISMATCH, DeadReason.EXHAUSTED)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_value_fits_no_model(kind: str) -> None:
    assert ended(ODD[kind], True).dead_reason is DeadReason.PAYLOAD_MISMATCH
    assert ended(ODD[kind], False).dead_reason is None  # what JSON's reader takes, an author gets
