"""`run = "forward"`: sends the body on, signed by Standard Webhooks, and judges the answer.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

from gateway import __version__
from gateway.builtin.answers import Pairs, Receiver, judge
from gateway.core.builtin import Forward
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.plugins import Event
from gateway.plugins.lifespan import Lifespan

SIGNING: Final = ALGORITHMS["hmac-sha256"]
ALWAYS: Final = ("content-type", "content-encoding")  # without them the body could not be read


def forward_to(work: Forward) -> Callable[[Event, Receiver], Awaitable[None]]:
    """A processor that sends events to one receiver, which its lifespan opens."""

    async def forward(event: Event, receiver: Receiver) -> None:
        now = time.time()
        answer = await receiver.post(headers_for(work, event, now), event.body)
        judge(work, answer, now)

    return forward


def receiver_of(work: Forward, origin: str) -> Lifespan:
    """The connections to it: kept from event to event, closed at the worker's end."""

    @asynccontextmanager
    async def open_receiver() -> AsyncIterator[Receiver]:
        from gateway.builtin.post import Poster  # HTTP and TLS: for those only who forward

        poster = Poster(work.target, work.networks)
        try:
            yield poster
        finally:
            await poster.aclose()

    return Lifespan("receiver", open_receiver, Receiver, origin, is_async=True)


def headers_for(work: Forward, event: Event, now: float) -> Pairs:
    """`now` in Unix seconds is when this attempt is made; the receiver checks it."""
    passed = [(name, event.headers[name]) for name in (*ALWAYS, *work.headers) if name in event.headers]
    identity, stamp = webhook_id(event), str(int(now))
    ours = {"webhook-id": identity, "webhook-timestamp": stamp}
    if work.keys:
        ours["webhook-signature"] = signature(work, identity, stamp, event.body)
    merged = {"user-agent": f"hookline/{__version__}"} | dict(passed) | dict(work.add) | ours
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in merged.items()]


def webhook_id(event: Event) -> str:
    """The idempotency key, in ASCII and without a full stop: those part what is signed."""
    return quote(event.idempotency_key, safe=":").replace(".", "%2E")


def signature(work: Forward, identity: str, stamp: str, body: bytes) -> str:
    """One for each key: the receiver may know the old one, or the new one."""
    parts = [f"{identity}.{stamp}.".encode(), body]
    made = [base64.b64encode(SIGNING.sign(key, parts)).decode() for key in work.keys]
    return " ".join(f"v1,{each}" for each in made)
