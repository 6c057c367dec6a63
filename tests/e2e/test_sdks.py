"""Requests signed by the providers' own SDKs, over HTTP: accepted; with one byte changed: 401."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import standardwebhooks
import stripe
from slack_sdk.signature import Clock, SignatureVerifier

from gateway.adapters.embedded.server import EmbeddedServer
from tests.e2e.deployments import processors, settings
from tests.e2e.rig import Deployment, Gateway
from tests.e2e.wire import Pairs

SECRET = "whsec_" + base64.b64encode(b"a key of 24 random bytes").decode()
# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
PROVIDERS = ("github", "stripe", "slack", "standard-webhooks")


@pytest.fixture(scope="module")
def gateway(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    root = tmp_path_factory.mktemp("sdks")
    (root / "github").write_text(GITHUB_SECRET)
    (root / "others").write_text(SECRET)
    for name in ("github", "others"):
        (root / name).chmod(0o600)
    files = {name: root / ("github" if name == "github" else "others") for name in PROVIDERS}
    sources = {name: f'preset = "{name}"\nsecrets = ["file:{path}"]\n' for name, path in files.items()}
    wishes = processors(*((name, "*") for name in PROVIDERS))
    with Gateway(Deployment(root, sources, settings(), {"nothing": wishes}), server.url) as running:
        yield running


def body_of(kind: str) -> bytes:
    return json.dumps(
        {"id": f"evt_{uuid.uuid4().hex}", "type": kind, "event_id": str(uuid.uuid4())}
    ).encode()


def github() -> tuple[bytes, Pairs]:
    return GITHUB_BODY, [
        ("X-Hub-Signature-256", GITHUB_SIGNATURE),
        ("X-GitHub-Event", "push"),
        ("X-GitHub-Delivery", str(uuid.uuid4())),
    ]


def by_stripe() -> tuple[bytes, Pairs]:
    body, at = body_of("invoice.paid"), int(time.time())
    signature = stripe.WebhookSignature._compute_signature(f"{at}.{body.decode()}", SECRET)
    return body, [("Stripe-Signature", f"t={at},v1={signature}")]


def by_slack() -> tuple[bytes, Pairs]:
    body, at = body_of("event_callback"), str(int(time.time()))
    signature = SignatureVerifier(SECRET, Clock()).generate_signature(timestamp=at, body=body)
    assert signature
    return body, [("X-Slack-Request-Timestamp", at), ("X-Slack-Signature", signature)]


def by_standard_webhooks() -> tuple[bytes, Pairs]:
    body, name, at = body_of("user.created"), f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign(name, at, body.decode())
    stamp = str(int(at.timestamp()))
    return body, [
        ("webhook-id", name),
        ("webhook-timestamp", stamp),
        ("webhook-signature", signature),
    ]


SENDERS = list(zip(PROVIDERS, (github, by_stripe, by_slack, by_standard_webhooks), strict=True))


@pytest.mark.parametrize(("source", "sender"), SENDERS)
def test_what_the_providers_own_sdk_signed_is_accepted_and_one_byte_changed_refused(
    gateway: Gateway, source: str, sender: Callable[[], tuple[bytes, Pairs]]
) -> None:
    body, headers = sender()
    changed = bytes([body[0] ^ 1]) + body[1:]
    assert gateway.send(f"/hooks/{source}", changed, headers).status == 401
    assert gateway.send(f"/hooks/{source}", body, headers).status == 200
    assert gateway.await_log("request.refused", source=source, reason="signature_mismatch")
    assert gateway.await_log("request.accepted", source=source)


def test_githubs_documented_digest_is_what_python_computes_too() -> None:
    digest = hmac.new(GITHUB_SECRET.encode(), GITHUB_BODY, hashlib.sha256).hexdigest()
    assert f"sha256={digest}" == GITHUB_SIGNATURE
