"""What the search of `scripts/chaos canary` finds; the whole of it takes a minute of its own."""

import base64
import zlib
from dataclasses import replace

import pytest
from redis import Redis

from tests.chaos.canary.campaign import table
from tests.chaos.canary.planted import ALLOWED, Canaries
from tests.chaos.canary.search import contents, sightings

CANARIES = Canaries(1)
TEXT = CANARIES["refused header"].encode()
FORMS = {
    "as it is": TEXT,
    "in hexadecimal": TEXT.hex().encode(),
    "in base64": base64.b64encode(b"user:" + TEXT),
    "in base64, a byte later": base64.b64encode(b"users:" + TEXT),
    "in base64, two bytes later": base64.b64encode(b"a user:" + TEXT + b"!"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_canary_is_found_in_whatever_form(form: str) -> None:
    (found,) = sightings(CANARIES, {"log": b"before " + FORMS[form] + b" after"})
    assert (found.canary, found.place, found.allowed) == ("refused header", "log", False)


def test_what_rq_has_compressed_is_searched_too(redis: "Redis") -> None:
    redis.hset("rq:job:1", mapping={"data": zlib.compress(b"[" + TEXT + b"]")})
    (found,) = sightings(CANARIES, {"redis rq:job": contents(redis, b"rq:job:1")})
    assert not found.allowed


def test_a_body_may_be_where_bodies_are_kept_and_nowhere_else() -> None:
    body = CANARIES["accepted body"].encode()
    found = sightings(CANARIES, {"redis hookline:body": body, "redis rq:job": body})
    assert {each.place: each.allowed for each in found} == {
        "redis hookline:body": True,
        "redis rq:job": False,
    }


def test_a_leak_is_marked_in_the_table() -> None:
    found = list(sightings(CANARIES, {"log": TEXT}))
    assert "LEAK refused header" in table(found, {"log": len(TEXT)})
    assert "LEAK" not in table([replace(each, allowed=True) for each in found], {"log": len(TEXT)})


def test_secrets_of_the_configuration_are_allowed_nowhere() -> None:
    configured = ("signing secret (env)", "signing secret (file)", "password of redis", "admin token")
    assert not any(ALLOWED[name] for name in configured)
