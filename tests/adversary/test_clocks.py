"""What no clock may tell. The figures: `scripts/chaos timing`; that nothing secret is compared with
`==`: `tests/test_architecture.py`.
"""

import os
from dataclasses import replace

import pytest

from gateway.core import verification
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.schemes import basic_auth, token
from gateway.core.template import Reference
from gateway.core.verification import verify
from gateway.wiring import decoy
from tests.adversary.clocks import SURE, compared

BARE = InboundRequest("POST", "/", b"", Headers(()), b"a body", None, 0.0, "")
DOOR = token.TokenScheme((Reference("header", "x-door"),))
FORGED = {
    "of no source": (decoy(0).scheme, b"x-other", b"0" * 64),
    "of a source, missing": (decoy(0).scheme, b"x-none", b""),
    "of a source, malformed": (decoy(0).scheme, b"x-hub-signature-256", b"sha256=no hex"),
    "a wrong token": (DOOR, b"x-door", b"wrong"),
    "a missing token": (DOOR, b"x-none", b""),
    "a wrong password": (basic_auth.BasicAuthScheme(), b"authorization", b"Basic dXNlcjpub25l"),
    "no password": (basic_auth.BasicAuthScheme(), b"authorization", b"Bearer x"),
}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    bodies: list[bytes] = []
    for module in (verification, token, basic_auth):
        monkeypatch.setattr(module, "take_as_long", bodies.append)
    return bodies


@pytest.mark.skipif(
    "HOOKLINE_COMPILED" in os.environ, reason="compiled code calls its own, whatever is in its place"
)
@pytest.mark.parametrize("kind", FORGED)
def test_a_proof_that_is_not_looked_at_takes_as_long_as_a_wrong_signature(
    taken: list[bytes], kind: str
) -> None:
    scheme, name, value = FORGED[kind]
    key = scheme.load_key(b"user:a secret that nobody has")
    request = replace(BARE, headers=Headers(((name, value),)))
    assert isinstance(verify(request, scheme, (key,), 0.0), Refusal)
    assert taken == [b"a body"]


def test_a_wrong_signature_is_not_made_to_take_twice_as_long(taken: list[bytes]) -> None:
    source = decoy(0)
    headers = Headers(((b"x-hub-signature-256", b"sha256=" + b"0" * 64),))
    verdict = verify(replace(BARE, headers=headers), source.scheme, source.keys, 0.0)
    assert (verdict, taken) == (Refusal.SIGNATURE_MISMATCH, [])


def test_a_difference_is_told_from_noise() -> None:
    noise = [1.0 + (number * 7919 % 101) / 1000 for number in range(1000)]
    assert not compared(noise, noise[500:] + noise[:500]).tells
    later = compared(noise, [each + 0.02 for each in noise])
    assert later.tells
    assert later.t > SURE
    assert later.difference == pytest.approx(20_000)
