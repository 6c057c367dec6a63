"""The deployments that the tests run, and webhooks signed for their sources."""

import json
import time
from pathlib import Path
from typing import Final

from tests.e2e.rig import CANARY, PATIENT, SECRET, Deployment
from tests.e2e.wire import Pairs, hmac_hex

SIGNED: Final = """
secrets = ["env:SECRET"]
[verify]
scheme = "signature"
header = "X-Signature"
[identity]
event_id = ["{header.X-Event-Id}"]
event_type = ["{json.type}"]
"""
BATCHED: Final = """
secrets = ["env:SECRET"]
[verify]
scheme = "signature"
header = "X-Signature"
[identity]
batch = "events"
event_id = ["{item.id}"]
event_type = ["{item.type}"]
"""
NETWORKS: Final = 'allow_ips = ["203.0.113.0/24", "2001:db8::/32"]\n'
SOURCES: Final = {
    "plain": 'max_body = "64KiB"' + SIGNED,
    "picky": SIGNED,
    "forbidden": NETWORKS + SIGNED,
    "behind-one": NETWORKS + "trusted_proxies = 1" + SIGNED,
    "behind-two": NETWORKS + "trusted_proxies = 2" + SIGNED,
    "limited": 'rate_limit = "20/day"' + SIGNED,
    "acked": SIGNED + '[acknowledge]\nstatus = 202\nbody = "[accepted]"\n',
    "loose": SIGNED + "event_id_signed = false\n",
    "batched": BATCHED,
    "stripe": 'preset = "stripe"\nsecrets = ["env:SECRET"]\n',
    "slack": 'preset = "slack"\nsecrets = ["env:SECRET"]\n',
}
# The keeper is kept quiet, so that what a request costs Redis can be counted.
QUIET: Final = '[worker]\nlease = "30m"\nsweep_interval = "10m"\n'


def settings(server: str = "", rest: str = QUIET, redis: str = PATIENT) -> str:
    """`redis`: outages are tested with what is the default."""
    text = f'[server]\nflood_limit = "1000000/minute"\n{server}\n[log]\nformat = "json"\n{rest}'
    return f"{text}\n{redis}"


def processors(*wishes: tuple[str, str]) -> str:
    """A module with one processor for each (source, type) that does nothing."""
    lines = ["from gateway.plugins import Event, Registry", "registry = Registry()"]
    for number, (source, kind) in enumerate(wishes):
        lines += [
            f'@registry.processor(source="{source}", events=["{kind}"])',
            f"def process_{number}(event: Event) -> None: ...",
        ]
    return "\n".join(lines)


def plain(root: Path) -> Deployment:
    """Every kind of source; "picky" wants events of type push only."""
    wishes = [(name, "push" if name == "picky" else "*") for name in SOURCES]
    return Deployment(root, SOURCES, settings(), {"nothing": processors(*wishes)})


def event(kind: str = "push", **values: object) -> bytes:
    """A body that no log may show."""
    return json.dumps({"type": kind, "note": CANARY, **values}).encode()


def signed(body: bytes, event_id: str = "", *more: tuple[str, str], secret: str = SECRET) -> Pairs:
    """Headers of a webhook for a SIGNED source."""
    pairs = [("X-Signature", hmac_hex(secret, body)), ("X-Other", CANARY), *more]
    return [*pairs, ("X-Event-Id", event_id)] if event_id else pairs


def stripe(body: bytes, age: float = 0.0) -> Pairs:
    at = int(time.time() - age)
    return [("Stripe-Signature", f"t={at},v1={hmac_hex(SECRET, b'%d.' % at + body)}")]


def slack(body: bytes) -> Pairs:
    at = int(time.time())
    signature = hmac_hex(SECRET, b"v0:%d:" % at + body)
    return [("X-Slack-Request-Timestamp", str(at)), ("X-Slack-Signature", f"v0={signature}")]
