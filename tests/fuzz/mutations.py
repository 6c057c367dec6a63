"""What is tried on a target: each answers a request, and whether it must be refused.

Must be refused is only what changes sealed bytes, the proof, or the time beyond its limits. Of the rest
it is asked that nothing raises: a change to what nobody signed may well be believed.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from gateway.core.placing import is_form
from gateway.core.request import Headers
from gateway.core.template import Reference
from tests.core.examples import NOW
from tests.fuzz import signed_parts as parts
from tests.fuzz.inputs import NASTY, PIECES, Attempt, edited, pieces, with_body, with_proof
from tests.fuzz.targets import Target, targets

Mutation = Callable[[Random, Target], Attempt]


# Strangers


def random_bytes(chance: Random, of: Target) -> Attempt:
    """Random values of the headers that the preset reads, a random body and query."""
    names = [chance.choice(of.read) for _ in range(chance.randrange(6))]
    pairs = tuple((name, pieces(chance)) for name in names)
    body = chance.choice(
        (of.unsigned_body, pieces(chance, 12), chance.randbytes(chance.randrange(300)))
    )
    query = pieces(chance) if chance.random() < 0.3 else b""
    method = chance.choice(("POST", "GET", "", "PUT"))
    request = replace(of.good, headers=Headers(pairs), body=body, query=query, method=method)
    now = NOW + chance.choice((0.0, -1e9, 1e12, chance.uniform(-1e4, 1e4)))
    return Attempt(request, of.place is not None, now)


def nasty_body(chance: Random, of: Target) -> Attempt:
    """Nested, huge and malformed bodies, which few inputs may be: they take long."""
    body = chance.choice(NASTY) if chance.random() < 0.05 else pieces(chance, 20)
    return with_body(of, body)


def made_up_proof(chance: Random, of: Target) -> Attempt:
    return with_proof(of, pieces(chance))


def huge_value(chance: Random, of: Target) -> Attempt:
    """A header that is far too long: the proof's, or another one."""
    name = chance.choice(of.read)
    value = chance.choice(PIECES) * chance.choice((100, 1000, 5000))
    headers = of.good.headers.with_(name, value)
    is_proof = of.place == Reference("header", name.decode())
    return Attempt(replace(of.good, headers=headers), is_proof or name in of.sealed.headers)


# The body


def flipped_bit(chance: Random, of: Target) -> Attempt:
    if not of.good.body:
        return with_body(of, b"\x01")
    body = bytearray(of.good.body)
    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return with_body(of, bytes(body))


def cut_body(chance: Random, of: Target) -> Attempt:
    size = len(of.good.body)
    start, end = sorted((chance.randrange(size + 1), chance.randrange(size + 1)))
    return with_body(of, of.good.body[:start] if chance.random() < 0.5 else of.good.body[start:end])


def spliced_body(chance: Random, of: Target) -> Attempt:
    at = chance.randrange(len(of.good.body) + 1)
    return with_body(of, of.good.body[:at] + pieces(chance) + of.good.body[at:])


def respelled_body(chance: Random, of: Target) -> Attempt:
    if is_form(of.good):
        return with_body(of, of.good.body.replace(b"-", b"%2D"))
    data = json.loads(of.good.body)
    separators = chance.choice(((",", ":"), (", ", ": ")))
    return with_body(of, json.dumps(data, separators=separators, sort_keys=True).encode())


def added_field(chance: Random, of: Target) -> Attempt:
    body, text = of.good.body, str(chance.randrange(10**6)).encode()
    if is_form(of.good):
        body += b"&" * bool(body) + b"added%b=1" % text
    else:
        is_list, bare = body.lstrip()[:1] == b"[", body.rstrip()[:-1]
        member = b'{"added": %b}]' % text if is_list else b'"added%b": "1"}' % text
        body = bare + b", " + member if body.strip() not in (b"null", b"{}", b"[]") else b"{" + member
    return Attempt(replace(of.good, body=body), of.sealed.additions)


# The proof


def edited_proof(chance: Random, of: Target) -> Attempt:
    return with_proof(of, edited(chance, of.proof))


def cut_proof(chance: Random, of: Target) -> Attempt:
    cut = chance.randrange(1, len(of.proof) + 1) if of.proof else 0
    return with_proof(of, of.proof[:-cut] if cut else b"")


def doubled_proof(chance: Random, of: Target) -> Attempt:
    if of.place is None or of.place.kind != "header" or "*" in of.place.name:
        return Attempt(of.good, False)
    pair = (of.place.name.encode(), chance.choice((of.proof, b"", edited(chance, of.proof))))
    pairs = chance.choice(((pair, *of.good.headers.raw), (*of.good.headers.raw, pair)))
    return Attempt(replace(of.good, headers=Headers(pairs)), True)


def foreign_proof(chance: Random, of: Target) -> Attempt:
    """Another provider's proof in this one's place. RSA keys are shared, so they are left out."""
    other = chance.choice(targets())
    attempt = with_proof(of, other.proof)
    return attempt._replace(must_refuse=attempt.must_refuse and "rsa" not in of.family)


def whole_foreign_request(chance: Random, of: Target) -> Attempt:
    other = chance.choice(targets())
    same = other is of or "rsa" in of.family
    return Attempt(other.good, of.place is not None and not same)


def stranger(chance: Random, of: Target) -> Attempt:
    return Attempt(of.good, of.place is not None, stranger=True)


MUTATIONS: Final[tuple[tuple[Mutation, int], ...]] = (
    (random_bytes, 12),
    (nasty_body, 4),
    (made_up_proof, 6),
    (huge_value, 1),
    (flipped_bit, 8),
    (cut_body, 4),
    (spliced_body, 6),
    (respelled_body, 3),
    (added_field, 4),
    (edited_proof, 10),
    (cut_proof, 4),
    (doubled_proof, 4),
    (foreign_proof, 3),
    (whole_foreign_request, 2),
    (stranger, 2),
    (parts.edited_header, 6),
    (parts.spliced_header, 6),
    (parts.dropped_or_doubled_header, 4),
    (parts.swapped_headers, 3),
    (parts.swapped_parts, 3),
    (parts.moved_boundary, 3),
    (parts.changed_url, 6),
    (parts.moved_clock, 6),
)
