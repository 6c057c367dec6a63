"""The health checks on the port that providers call: an ASGI app's answers, as those of exchanges."""

import asyncio
from typing import Any, Final

from gateway.adapters.http.exchange import Exchange
from gateway.adapters.http.responses import Response
from gateway.logs import logger, place_of

FAILED: Final = Response(
    500,
    (
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"21"),
        (b"connection", b"close"),
    ),
    b"Internal Server Error",
)


async def answer_by(app: Any, exchange: Exchange) -> None:
    """Answers with what the app sends: a head, and the whole body in one piece. It is given no body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        await app(_scope_of(exchange), receive, send)
        response = _response_of(sent)
    except (Exception, asyncio.CancelledError) as error:
        logger().error("request.failed", error=type(error).__name__, where=place_of(error))
        response = FAILED
    exchange.answer(response)


def _scope_of(exchange: Exchange) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": exchange.method,
        "path": exchange.path,
        "query_string": exchange.query,
        "root_path": "",
        "headers": list(exchange.headers.raw),
    }


def _response_of(sent: list[dict[str, Any]]) -> Response:
    """Raises an error where it is none."""
    start, body = sent
    return Response(start["status"], tuple(start["headers"]), body["body"])
