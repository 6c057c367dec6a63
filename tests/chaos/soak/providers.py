"""Simulators of providers: how each signs, how long it waits for an answer, and how it repeats.

What a preset knows of its sender is taken from there; the pauses between repeats are a thousandth of
the real ones, so that days fit into an epoch.
"""

import base64
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.catalogue import load_preset

SECRET: Final = "it-is-only-a-soak-secret"
Headers = dict[str, str]
STATE: Final = hmac.new(SECRET.encode(), b"", sha256)


@dataclass(frozen=True, slots=True)
class Provider:
    """`source` is its preset's name, too. `pauses` in seconds before each repeat of what was not
    acknowledged; after the last one it gives up. `copies`: how often it sends each event at once."""

    source: str
    id_prefix: str
    pauses: tuple[float, ...]
    headers: Callable[[str, bytes], Headers]
    spool: bool = False
    copies: int = 1
    echoes: bool = False
    """Whether it sends some events again although it has had its 2xx."""

    @property
    def deadline(self) -> float:
        """Seconds until it takes an answer for lost."""
        return load_preset(self.source).sender.deadline or 10.0

    def value(self, number: int) -> str:
        """The id that it gives its event of this number, from 0."""
        return f"{self.id_prefix}soak-{number}"

    def request(self, number: int) -> bytes:
        """As it goes over the wire now."""
        value = self.value(number)
        body = b'{"id":"%b","event_id":"%b","type":"soak"}' % (value.encode(), value.encode())
        lines = "".join(f"{name}: {text}\r\n" for name, text in self.headers(value, body).items())
        head = f"POST /hooks/{self.source} HTTP/1.1\r\nHost: soak\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Content-Type: application/json\r\n{lines}\r\n".encode() + body


def _signed(message: bytes) -> "hmac.HMAC":
    state = STATE.copy()
    state.update(message)
    return state


def _github(value: str, body: bytes) -> Headers:
    signature = "sha256=" + _signed(body).hexdigest()
    return {"X-GitHub-Delivery": value, "X-GitHub-Event": "push", "X-Hub-Signature-256": signature}


def _slack(_: str, body: bytes) -> Headers:
    at = str(int(time.time()))
    signature = "v0=" + _signed(f"v0:{at}:".encode() + body).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature}


def _stripe(_: str, body: bytes) -> Headers:
    at = str(int(time.time()))
    return {"Stripe-Signature": f"t={at},v1={_signed(f'{at}.'.encode() + body).hexdigest()}"}


def _shopify(value: str, body: bytes) -> Headers:
    signature = base64.b64encode(_signed(body).digest()).decode()
    return {"X-Shopify-Event-Id": value, "X-Shopify-Topic": "a/b", "X-Shopify-Hmac-SHA256": signature}


PROVIDERS: Final = (
    # Never repeats: what is not acknowledged at once is lost to everybody.
    Provider("github", "", (), _github, spool=True),
    # At once, after a minute, after five.
    Provider("slack", "Ev", (0.0, 0.06, 0.3), _slack),
    # For three days, longer and longer.
    Provider("stripe", "evt_", tuple(min(0.02 * 2**n, 4.0) for n in range(80)), _stripe, echoes=True),
    # Eight times in four hours; its duplicates come at the same moment.
    Provider("shopify", "", tuple(0.05 * 2**n for n in range(8)), _shopify, copies=2),
)
