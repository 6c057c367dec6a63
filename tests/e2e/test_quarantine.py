"""The wrong secret in a source's file: nothing is lost, and the mended secret lets it all in."""

import json
import re
from pathlib import Path

from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.ledger.redis_clients import blocking_client
from tests.e2e.deployments import event, processors, settings, signed
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import SECRET, Deployment, Gateway

KEPT = """
secrets = ["env:SECRET"]
on_bad_signature = "quarantine"
[verify]
scheme = "signature"
header = "X-Signature"
[identity]
event_id = ["{header.X-Event-Id}"]
"""
WRONG = "w" * 8 + "-not-the-providers-secret"
GENUINE, FORGED = 40, 5


def deployment(root: Path, secret: str) -> Deployment:
    nothing = {"nothing": processors(("kept", "*"))}
    return Deployment(root, {"kept": KEPT}, settings(), nothing, {"SECRET": secret})


def release(root: Path, secret: str, url: str) -> dict[str, int]:
    """What came in and what became of it."""
    run = deployment(root, secret).run("refused", "release", "--yes", "--json", redis_url=url)
    (facts,) = json.loads(run.stdout)
    return {name: many for name, many in facts.items() if name != "source" and many}


def test_what_a_wrong_secret_kept_out_comes_in_once_it_is_mended(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    bodies = [event(number=number) for number in range(GENUINE)]
    forged = [event(number=-number - 1) for number in range(FORGED)]
    with Gateway(deployment(tmp_path, WRONG), server.url) as gateway:
        for number, body in enumerate(bodies):
            sent = signed(body, f"kept-{number}", secret=SECRET)
            assert gateway.send("/hooks/kept", body, sent).status == 401
        for body in forged:
            assert gateway.send("/hooks/kept", body, signed(body, secret="x" * 40)).status == 401
    with blocking_client(server.url, 5.0) as client:
        ledger = LedgerView(client)
        everything = GENUINE + FORGED
        assert release(tmp_path, WRONG, server.url) == {
            "in": everything,
            "refused": everything,
            "left": everything,
        }
        assert ledger.events("kept") == 0
        assert release(tmp_path, SECRET, server.url) == {
            "in": everything,
            "accepted": GENUINE,
            "refused": FORGED,
            "left": FORGED,
        }
        assert ledger.events("kept") == GENUINE
        assert ledger.stored("kept", "kept-7") == bodies[7]
        again = release(tmp_path, SECRET, server.url)
        assert again == {"in": FORGED, "refused": FORGED, "left": FORGED}
        assert ledger.events("kept") == GENUINE


def test_a_request_that_its_provider_sent_again_is_released_as_a_duplicate(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    body = event(number=99)
    sent = [*signed(body, "again")]
    with Gateway(deployment(tmp_path, WRONG), server.url) as gateway:
        assert gateway.send("/hooks/kept", body, sent).status == 401
    with Gateway(deployment(tmp_path, SECRET), server.url) as gateway:
        assert gateway.send("/hooks/kept", body, sent).status == 200
    assert release(tmp_path, SECRET, server.url)["duplicate"] == 1


def test_a_listing_shows_neither_the_signature_nor_a_secret(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    body = event(number=100)
    sent = dict(signed(body, "listed"))
    with Gateway(deployment(tmp_path, WRONG), server.url) as gateway:
        gateway.send("/hooks/kept", body, list(sent.items()))
    made = deployment(tmp_path, WRONG)
    listed = made.run("refused", "list", "--json", redis_url=server.url).stdout
    found = re.search(r"ref_[a-z2-7]+", listed)
    assert found
    shown = made.run("refused", "show", found[0], redis_url=server.url).stdout
    assert "signature_mismatch" in shown
    for text in (str(sent["X-Signature"]), WRONG, SECRET):
        assert text not in listed + shown
