"""The requests of a life: each carries a canary wherever a request can carry something."""

import base64
import json
import os
from collections.abc import Iterator

from tests.chaos.canary.planted import Canaries
from tests.e2e.wire import Pairs, hmac_hex, request


def a_body(kind: str = "plain", **notes: str) -> bytes:
    return json.dumps({"type": kind, **notes}).encode()


def refused(text: Canaries) -> Iterator[bytes]:
    """What is refused, for every reason there is; two of them with a secret that is right."""
    body = a_body(note=text["refused body"])
    odd = [("X-Note", text["refused header"]), ("Cookie", text["a cookie"])]
    yield _post(f"/hooks/signed?note={text['refused query']}", body, [*odd, ("X-Signature", "0" * 64)])
    yield _post("/hooks/door", b"{}", [("X-Door", text["wrong token"])])
    yield _post("/hooks/basic", b"{}", [("Authorization", f"Basic {text['wrong token']}")])
    yield _post(f"/hooks/query?token={text['wrong token']}", b"{}", [])
    yield _post(f"/hooks/{text['unknown path']}?q={text['unknown path']}", b"{}", odd)
    yield _post("/hooks/door-forbidden", b"{}", [("X-Door", text["token, refused for its address"])])
    signature = [("X-Signature", text["signature, refused for its address"])]
    yield _post("/hooks/forbidden", b"{}", signature)
    yield _post("/hooks/kept", a_body(note=text["quarantined body"]), [("X-Signature", "1" * 64)])
    large = a_body(note=text["oversized body"] * 100)
    yield _post("/hooks/small", large, _signed(text, large))
    yield _post("/hooks/signed", b"", [("X-Large", text["oversized header"] * 2000)])
    yield f"{text['no HTTP']} \x01\r\nX: {text['no HTTP']}\r\n\r\n".encode()


def accepted(text: Canaries) -> Iterator[bytes]:
    """By every kind of secret, and for every way in which a processor can end."""
    plain = a_body(note=text["accepted body"])
    more = [("X-Note", text["accepted header"]), ("X-Forwarded-For", text["forwarded-for"])]
    cookie = ("Cookie", text["a cookie"])
    query = f"/hooks/signed?note={text['accepted query']}"
    for secret in ("signing secret (env)", "signing secret (file)", "rotated secret"):
        yield _post(query, plain, [*_signed(text, plain, secret), *more, cookie])
    encoded = hmac_hex(text["base64 secret, decoded"], plain)
    yield _post("/hooks/encoded", plain, [("X-Signature", encoded)])
    yield by_token(text)
    yield _post(f"/hooks/query?token={text['token in a query']}", b"{}", [])
    basic = base64.b64encode(f"user:{text['password of basic-auth']}".encode()).decode()
    yield _post("/hooks/basic", b"{}", [("Authorization", f"Basic {basic}")])
    kinds = {
        "fail": {"note": text["exception's text"], "cause": text["exception's cause"]},
        "discard": {"note": text["reason of a discard"], "more": text["dead letter's body"]},
        "fit": {"number": text["a field that does not fit"]},
        "emit": {"note": text["emitted payload"], "step": text["result of a step"]},
        "kill": {"note": text["accepted body"]},
    }
    for kind, notes in kinds.items():
        body = a_body(kind, **notes)
        yield _post("/hooks/signed", body, _signed(text, body))


def while_redis_is_away(text: Canaries) -> Iterator[bytes]:
    """For a source that spools, and for one that does not."""
    body = a_body(note=text["spooled body"])
    for _ in range(3):
        yield _post("/hooks/signed", body, [*_signed(text, body), ("Cookie", text["a cookie"])])
        yield by_token(text)


def by_token(text: Canaries) -> bytes:
    return _post("/hooks/door", a_body(), [("X-Door", text["token in a header"])])


def _post(path: str, body: bytes, headers: Pairs) -> bytes:
    return request("POST", path, body, headers)


def _signed(text: Canaries, body: bytes, secret: str = "signing secret (env)") -> Pairs:
    return [("X-Signature", hmac_hex(text[secret], body)), ("X-Event-Id", os.urandom(8).hex())]
