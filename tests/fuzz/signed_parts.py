"""Changes to what is signed beside the body: headers, URL, time."""

from dataclasses import replace
from random import Random

from gateway.core.request import Headers
from tests.core.examples import NOW
from tests.fuzz.inputs import Attempt, edited, pieces, with_proof
from tests.fuzz.targets import Target


def edited_header(chance: Random, of: Target) -> Attempt:
    names = of.sealed.headers or of.read
    name = chance.choice(names)
    value = edited(chance, of.good.headers.one(name) or b"")
    headers = of.good.headers.with_(name, value)
    return Attempt(replace(of.good, headers=headers), name in of.sealed.headers)


def spliced_header(chance: Random, of: Target) -> Attempt:
    """Unprintable and foreign signs in any header."""
    name, more = chance.choice(of.read), pieces(chance)
    value = of.good.headers.one(name) or b""
    at = chance.randrange(len(value) + 1)
    headers = of.good.headers.with_(name, value[:at] + more + value[at:])
    return Attempt(replace(of.good, headers=headers), bool(more) and name in of.sealed.headers)


def dropped_or_doubled_header(chance: Random, of: Target) -> Attempt:
    name = chance.choice(of.sealed.headers or of.read)
    kept = tuple(pair for pair in of.good.headers.raw if pair[0] != name)
    doubled = (*of.good.headers.raw, (name, of.good.headers.one(name) or b""))
    headers = Headers(chance.choice((kept, doubled)))
    return Attempt(replace(of.good, headers=headers), name in of.sealed.headers)


def swapped_headers(chance: Random, of: Target) -> Attempt:
    names = of.sealed.headers if len(of.sealed.headers) > 1 else of.read
    if len(names) < 2:
        return Attempt(of.good, False)
    one, other = chance.sample(names, 2)
    values = {one: of.good.headers.one(other) or b"", other: of.good.headers.one(one) or b""}
    pairs = tuple((name, values.get(name, value)) for name, value in of.good.headers.raw)
    sealed = {one, other} <= set(of.sealed.headers) and values[one] != values[other]
    return Attempt(replace(of.good, headers=Headers(pairs)), sealed)


def swapped_parts(chance: Random, of: Target) -> Attempt:
    """A header's value as the body, the body as the proof, the query as the body."""
    value = of.good.headers.one(chance.choice(of.read)) or b""
    parts = [value, of.good.body, of.proof, of.good.query]
    chance.shuffle(parts)
    request = replace(of.good, body=parts[0], query=parts[1][:2000])
    attempt = with_proof(of, parts[2], request)
    return attempt._replace(must_refuse=attempt.must_refuse and parts[2] != of.proof)


def moved_boundary(chance: Random, of: Target) -> Attempt:
    """A sign moved from one signed part to the next, where nothing may stand between them."""
    if not of.sealed.headers or not of.sealed.body or not of.good.body:
        return Attempt(of.good, False)
    name, body = chance.choice(of.sealed.headers), of.good.body
    value = of.good.headers.one(name) or b""
    at = chance.randrange(1, 4)
    moved = chance.choice(
        (
            (value[:-at], value[-at:] + body),
            (value[at:], body + value[:at]),
            (value + body[:at], body[at:]),
            (body[-at:] + value, body[:-at]),
        )
    )
    headers = of.good.headers.with_(name, moved[0])
    return Attempt(replace(of.good, headers=headers, body=moved[1]), True)


def changed_url(chance: Random, of: Target) -> Attempt:
    match chance.randrange(4):
        case 0:
            return Attempt(
                replace(of.good, url=edited(chance, of.good.url.encode()).decode()), of.sealed.url
            )
        case 1:
            return Attempt(replace(of.good, url=""), of.sealed.url)
        case 2:
            query = of.good.query + b"&" * bool(of.good.query) + b"q=" + pieces(chance)
            return Attempt(replace(of.good, query=query), of.sealed.query)
    return Attempt(replace(of.good, method=chance.choice(("GET", "PUT", "post"))), of.sealed.method)


def moved_clock(chance: Random, of: Target) -> Attempt:
    early, late = of.sealed.early, of.sealed.late
    more = chance.choice((1.0, 60.0, 1e6, chance.uniform(1, 1e9)))
    if chance.random() < 0.5:
        return Attempt(of.good, late is not None, NOW + (late or 0) + more)
    return Attempt(of.good, early is not None, NOW - (early or 0) - more)
