"""A bare Starlette route: reads the body, checks GitHub's signature, answers 200, stores nothing.

The ceiling of the framework, not a gateway: what it has answered is gone.
"""

import hmac
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ["BENCH_SECRET"].encode()


async def receive(request: Request) -> Response:
    body = await request.body()
    expected = "sha256=" + hmac.digest(SECRET, body, "sha256").hex()
    given = request.headers.get("x-hub-signature-256", "")
    if not hmac.compare_digest(expected.encode(), given.encode()):
        return Response(status_code=401)
    return Response()


app = Starlette(routes=[Route("/github", receive, methods=["POST"])])
