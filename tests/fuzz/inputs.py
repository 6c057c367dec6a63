"""What inputs are made of, and what is asked of one: an attempt at a target."""

from dataclasses import replace
from random import Random
from typing import Final, NamedTuple

from gateway.core.placing import put
from gateway.core.request import InboundRequest
from tests.core.examples import NOW
from tests.fuzz.targets import Target

LETTERS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# Pieces of well-formed values, and of what breaks parsers.
PIECES: Final = (
    *(b"t=", b"v1=", b"v1,", b"sha256=", b",", b" ", b"=", b".", b";", b"|", b"&", b"1700000000"),
    *(b"a" * 64, b"A" * 43 + b"=", b"Basic ", b"Bearer ", b"dXNlcjpwYXNz", b"9" * 400, b"-1", b"1e999"),
    *(
        b"\xff",
        b"\x00",
        b"\r\n",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\xe2\x80\xae",
        b"\xef\xbb\xbf",
        b"%ff",
    ),
    *(
        b'{"alg":"none"}',
        b"eyJhbGciOiJub25lIn0",
        b"sig1=:",
        b'("@method" "x")',
        b"\xd9\xa1",
        b'\\ud800"',
    ),
    *(b"{", b"}", b"[", b"]", b'"', b"null", b'{"id":', b"[{}]", b"\\u0000", b"--x\r\n", b'"id":1'),
)
NASTY: Final = (
    *(b"[" * 100_000, b'{"a":' * 50_000, b'{"id": ' + b"9" * 5000 + b"}", b"a=1&" * 2000, b"\\" * 9999),
    *(
        b'{"id": NaN}',
        b'{"id": 1e999}',
        b'{"a": "\\ud800"}',
        '{"id": 1}'.encode("utf-16"),
        b"A" * 200_000,
    ),
    *(
        b'{"id": "\xed\xa0\x80"}',
        b"payload=" + b"[" * 50_000,
        b"",
        b"\x00",
        b"null",
        b"[]",
        b'[{"a":[]}]',
    ),
)


class Attempt(NamedTuple):
    request: InboundRequest
    must_refuse: bool
    now: float = NOW
    stranger: bool = False
    """Whether it is judged with other secrets than it was signed with."""


def pieces(chance: Random, most: int = 8) -> bytes:
    chosen = [chance.choice(PIECES) for _ in range(chance.randrange(most))]
    if chance.random() < 0.5:
        chosen.insert(chance.randrange(len(chosen) + 1), chance.randbytes(chance.randrange(40)))
    return b"".join(chosen)


def edited(chance: Random, value: bytes) -> bytes:
    """With one letter or digit another one, not merely of another case; or with one more."""
    places = [index for index, sign in enumerate(value) if sign in LETTERS]
    if not places:
        return value + b"x"
    at = chance.choice(places)
    old = value[at : at + 1]
    new = chance.choice(
        [each for each in (b"a", b"7", b"Q", b"0", b"z") if each.lower() != old.lower()]
    )
    return value[:at] + new + value[at + 1 :]


def with_body(of: Target, body: bytes) -> Attempt:
    return Attempt(replace(of.good, body=body), of.sealed.body and body != of.good.body)


def with_proof(of: Target, proof: bytes, request: InboundRequest | None = None) -> Attempt:
    request = request or of.good
    if of.place is None:
        return Attempt(request, False)
    if of.place.kind not in ("header", "query"):  # a value of the body is text
        proof = proof.decode("utf-8", "replace").encode()
    changed = put(request, of.place, proof)
    return Attempt(changed, proof != of.proof and changed != request)
