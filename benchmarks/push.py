"""Signed GitHub push requests of about 2 KB, no two alike, assembled from prepared parts.

The body's only varying part is its last field, so that a copy of one keyed HMAC state signs
each body in about 2 µs and a request is one `bytes.join`: the client shares the machine with
what it measures, and should cost little.
"""

import hmac
import itertools
import json
import secrets
from collections.abc import Iterator

SECRET = "it-is-only-a-benchmark-secret"

_MARK = "f" * 36  # where the delivery's own id goes: a UUID has 36 characters


def requests(path: str, prepared: int, secret: str = SECRET, *, last: bool = False) -> Iterator[bytes]:
    """HTTP requests without end, each with its own delivery id, body and signature.

    The first `prepared` are signed before this function returns, the others when asked for.
    `last`: each asks for the end of its connection.
    """
    body_start, body_end = _body().split(_MARK.encode())
    state = hmac.new(secret.encode(), body_start, "sha256")
    numbers = itertools.count()
    run = f"{secrets.randbits(32):08x}-0000-4000-8000-"

    def sign() -> tuple[bytes, bytes]:
        delivery = b"%s%012x" % (run.encode(), next(numbers))
        signing = state.copy()
        signing.update(delivery + body_end)
        return delivery, signing.hexdigest().encode()

    start, middle, end = _head(path, len(body_start) + len(_MARK) + len(body_end), last)
    end += body_start
    ready = [sign() for _ in range(prepared)]
    signed = itertools.chain(ready, iter(sign, None))
    return (
        b"".join((start, delivery, middle, signature, end, delivery, body_end))
        for delivery, signature in signed
    )


def delivery_of(request: bytes) -> str:
    """The delivery id that a request carries."""
    return request.partition(b"X-GitHub-Delivery: ")[2].partition(b"\r\n")[0].decode()


def body() -> bytes:
    """A body as the requests have it: 2 KB."""
    return _body()


def _head(path: str, length: int, last: bool) -> tuple[bytes, bytes, bytes]:
    """What stands before the delivery id, between it and the signature, and after that."""
    start = (
        f"POST {path} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Connection: {'close' if last else 'keep-alive'}\r\n"
        "User-Agent: GitHub-Hookshot/be9c1d2\r\n"
        "Accept: */*\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {length}\r\n"
        "X-GitHub-Event: push\r\n"
        "X-GitHub-Hook-ID: 412889041\r\n"
        "X-GitHub-Hook-Installation-Target-ID: 90417720\r\n"
        "X-GitHub-Hook-Installation-Target-Type: repository\r\n"
        "X-GitHub-Delivery: "
    )
    return start.encode(), b"\r\nX-Hub-Signature-256: sha256=", b"\r\n\r\n"


def _body() -> bytes:
    """A push of one commit, compact as GitHub sends it, with the mark in its last field."""
    web, api = "https://github.com/tidewater/ledger", "https://api.github.com"
    commit = "6b1f0c52d7a94e3fb0e1c8a2d45f9733ce60b812"
    person = {"name": "Ines Calder", "email": "ines@tidewater.example", "username": "icalder"}
    account = {
        "login": "icalder",
        "id": 5_510_873,
        "node_id": "MDQ6VXNlcjU1MTA4NzM=",
        "url": f"{api}/users/icalder",
        "html_url": "https://github.com/icalder",
        "repos_url": f"{api}/users/icalder/repos",
        "type": "User",
        "site_admin": False,
    }
    body = {
        "ref": "refs/heads/main",
        "before": "0d9f4a7720c13be58e6641fa3b92c7d5081e6af4",
        "after": commit,
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"{web}/compare/0d9f4a7720c1...6b1f0c52d7a9",
        "repository": {
            "id": 90_417_720,
            "node_id": "MDEwOlJlcG9zaXRvcnk5MDQxNzcyMA==",
            "name": "ledger",
            "full_name": "tidewater/ledger",
            "private": True,
            "owner": account,
            "html_url": web,
            "description": "Double-entry bookkeeping for small harbours",
            "fork": False,
            "hooks_url": f"{api}/repos/tidewater/ledger/hooks",
            "commits_url": f"{api}/repos/tidewater/ledger/commits{{/sha}}",
            "created_at": 1_494_089_161,
            "pushed_at": 1_760_950_123,
            "default_branch": "main",
        },
        "pusher": {"name": "icalder", "email": "ines@tidewater.example"},
        "sender": account,
        "commits": [
            {
                "id": commit,
                "tree_id": "c0a7e94d1fb25386d0e1f7c94b8a6352e91d07af",
                "distinct": True,
                "message": "Round half to even when splitting berth fees\n\nCloses #218",
                "timestamp": "2025-10-20T10:48:43+02:00",
                "url": f"{web}/commit/{commit}",
                "author": person,
                "committer": person,
                "added": ["ledger/rounding.py"],
                "removed": [],
                "modified": ["ledger/fees.py", "tests/test_fees.py"],
            }
        ],
        "head_commit": {"id": commit, "push_id": _MARK},
    }
    return json.dumps(body, separators=(",", ":")).encode()
