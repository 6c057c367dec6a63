"""Measures what one verification costs, a line for each kind of proof.

    python -m benchmarks.verify --seconds 0.5 --body 2048

Each line is a preset's own scheme, and a request that it signed and accepts: the time is that of a
genuine request, from its bytes to the verdict. A forged one costs as much, or less.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks import report
from gateway.core.request import InboundRequest
from gateway.core.verification import Scheme, VerifiedRequest, verify
from tests.core.examples import NOW
from tests.core.providers import Provider, provider, unsigned

# One preset for each way of proving origin that costs something else.
PRESETS = {
    "github": "HMAC-SHA256 of the body",
    "stripe": "HMAC-SHA256 of time and body",
    "standard-webhooks": "HMAC-SHA256, list of signatures",
    "patreon": "HMAC-MD5 of the body",
    "paystack": "HMAC-SHA512 of the body",
    "square": "HMAC-SHA256 of URL and body",
    "twilio": "HMAC-SHA1 of URL and sorted form",
    "mailgun": "HMAC-SHA256 of JSON fields",
    "adyen": "HMAC-SHA256 of every item",
    "inngest": "HMAC-SHA256 of canonical JSON",
    "cloudinary": "plain hash with the secret",
    "discord-interactions": "Ed25519",
    "sendgrid": "ECDSA P-256",
    "postal": "RSA-2048, SHA-1",
    "paypal": "RSA-2048, SHA-256, body's CRC-32",
    "netlify": "JWT, HS256, hash of the body",
    "plaid": "JWT, ES256, hash of the body",
    "gong": "JWT, RS256",
    "mailchannels": "HTTP message signature, Ed25519",
    "gitlab": "token in a header",
    "postmark": "basic authentication",
}
REPEATS = 5


def genuine(of: Provider, size: int) -> InboundRequest:
    """A request with a body of about `size` bytes that the provider signed."""
    empty = unsigned(of)
    filler = "x" * max(0, size - len(empty.body) - 20)
    if empty.body.startswith(b"{"):
        data = json.loads(empty.body) | {"filler": filler}
        body = json.dumps(data, indent=2, ensure_ascii=False).encode()
    elif empty.body.startswith(b"["):
        body = json.dumps([*json.loads(empty.body), {"filler": filler}], indent=2).encode()
    elif empty.body == b"null":
        body = json.dumps({"filler": filler}, indent=2).encode()
    else:
        body = empty.body + b"&" * bool(empty.body) + b"filler=" + filler.encode()
    return of.signed(replace(empty, body=body))


def cost(of: Provider, request: InboundRequest, seconds: float) -> float:
    """Microseconds for one verification: the median of several runs."""
    keys, scheme = of.keys(1), of.scheme
    count = 1
    while (taken := _run(request, scheme, keys, count)) < seconds / REPEATS:
        count = max(count + 1, int(count * min(10, 1.2 * seconds / REPEATS / max(taken, 1e-6))))
    return median(_run(request, scheme, keys, count) for _ in range(REPEATS)) / count * 1e6


def _run(request: InboundRequest, scheme: Scheme, keys: list[Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        verify(request, scheme, keys, NOW)
    return time.perf_counter() - start


def measured(size: int, seconds: float) -> list[tuple[str, str, float]]:
    """Preset, what proves origin, and microseconds; raises when a genuine request is refused."""
    rows = []
    for name, what in PRESETS.items():
        of = provider(name)
        request = genuine(of, size)
        verdict = verify(request, of.scheme, of.keys(1), NOW)
        if not isinstance(verdict, VerifiedRequest):
            raise SystemExit(f"{name}: a genuine request is refused: {verdict}")
        rows.append((name, what, cost(of, request, seconds)))
    return rows


def table(rows: list[tuple[str, str, float]]) -> str:
    lines = [f"{'preset':<24}{'proof':<38}{'µs':>8}{'1/s on a core':>16}"]
    lines += [f"{name:<24}{what:<38}{each:>8.1f}{1e6 / each:>16,.0f}" for name, what, each in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what one verification costs.")
    parser.add_argument("--seconds", type=float, default=0.5, help="timed, a line")
    parser.add_argument("--body", type=int, default=2048, help="bytes of the body")
    options = parser.parse_args()
    print(*(f"{name}: {fact}" for name, fact in report.machine_facts().items()), sep="\n", end="\n\n")
    print(table(measured(options.body, options.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
