"""The admin app: metrics for who has the token, health checks for all, nothing else."""

import asyncio

import httpx2
import pytest

from gateway.adapters.http.admin import METRICS_TYPE, admin_app
from gateway.adapters.http.health import Readiness
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys

TOKEN = "gün-token-5d0c5d0c".encode()


def get(
    path: str, url: str = "redis://127.0.0.1:1/0", token: bytes | None = None, given: bytes = b""
) -> httpx2.Response:
    async def main() -> httpx2.Response:
        async with async_client(url, 20.0) as client:
            sources = [("github", "github")]
            app = admin_app(client, Keys(), lambda: sources, Readiness(client, "always"), token)
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as caller:
                headers = [(b"authorization", given)] if given else []
                return await caller.get(path, headers=headers)

    return asyncio.run(main())


def test_serves_metrics_of_the_configured_sources(redis_url: str) -> None:
    answer = get("/metrics", redis_url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, METRICS_TYPE)
    assert 'hookline_open_deliveries{source="github"} 0.0' in answer.text
    assert "hookline_redis_up 1.0" in answer.text


def test_a_scrape_without_redis_is_no_error_but_says_so() -> None:
    answer = get("/metrics")
    assert answer.status_code == 200
    assert "hookline_redis_up 0.0" in answer.text


def test_with_a_token_metrics_are_for_who_has_it(redis_url: str) -> None:
    assert get("/metrics", redis_url, TOKEN, b"Bearer " + TOKEN).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        b"",
        TOKEN,
        b"Bearer ",
        b"Bearer " + TOKEN[:-1],
        b"Bearer " + TOKEN + b"x",
        b"Basic " + TOKEN,
        b"Bearer \xff",
    ],
)
def test_without_the_token_there_are_no_metrics(redis_url: str, given: bytes) -> None:
    answer = get("/metrics", redis_url, TOKEN, given)
    assert (answer.status_code, answer.text) == (401, "a token is needed\n")


def test_health_checks_need_no_token(redis_url: str) -> None:
    assert get("/livez", redis_url, TOKEN).status_code == 200
    assert get("/readyz", redis_url, TOKEN).json() == {"ready": True, "problems": []}


@pytest.mark.parametrize("path", ["/", "/hooks/github", "/metrics/x"])
def test_serves_nothing_else(redis_url: str, path: str) -> None:
    assert get(path, redis_url).status_code == 404
