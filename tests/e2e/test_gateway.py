"""The path of one webhook through a real gateway: what the caller, the ledger, the log and the metrics
see of it."""

import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.deployments import event, signed, slack, stripe
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import CANARY, SECRET, Gateway, until
from tests.e2e.wire import Answer, Pairs

LOGGED_A_SECOND = 5  # refused requests of one source
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_a_verified_event_is_stored_byte_for_byte_and_rung_once(
    gateway: Gateway, ledger: LedgerView
) -> None:
    body = event() + b"\r\n \xff\x00"
    assert gateway.send("/hooks/plain", body, signed(body, "first")).raw == OK
    assert ledger.stored("plain", "first") == body
    assert ("x-other", CANARY) in ledger.headers("plain", "first")
    assert len(ledger.bells("plain", "first")) == 1
    line = gateway.await_log("request.accepted", provider_id="first")
    assert (line["source"], line["bytes"], line["status"]) == ("plain", len(body), 200)


def test_sixty_four_callers_with_one_event_are_all_told_200_and_it_is_stored_once(
    gateway: Gateway, ledger: LedgerView
) -> None:
    before, body = ledger.events("plain"), event()
    with ThreadPoolExecutor(64) as pool:
        calls = [
            pool.submit(gateway.send, "/hooks/plain", body, signed(body, "crowd")) for _ in range(64)
        ]
        assert [call.result().raw for call in calls] == [OK] * 64
    assert ledger.events("plain") == before + 1
    assert len(ledger.bells("plain", "crowd")) == 1
    lines = until(lambda: _whole(gateway, "crowd", 64))
    assert lines == Counter({"request.accepted": 1, "request.duplicate": 63})


def _whole(gateway: Gateway, provider_id: str, many: int) -> Counter[str]:
    found = Counter(line["event"] for line in gateway.logs(provider_id=provider_id))
    return found if found.total() == many else Counter()


BODY = event()
REFUSALS: dict[str, tuple[str, Any]] = {
    "unknown_source": ("nobody", lambda: signed(BODY)),
    "signature_mismatch": ("plain", lambda: signed(BODY, secret="another secret altogether")),
    "missing_signature": ("plain", lambda: ()),
    "malformed_signature": ("plain", lambda: [("X-Signature", "ü not hex")]),
    "duplicated_signature": ("plain", lambda: [*signed(BODY), *signed(BODY)]),
    "address_forbidden": ("forbidden", lambda: signed(BODY)),
    "address_unknown": ("behind-one", lambda: signed(BODY)),
    "stale_timestamp": ("stripe", lambda: stripe(BODY, age=400)),
    "future_timestamp": ("stripe", lambda: stripe(BODY, age=-400)),
}


def test_refusals_of_every_kind_are_the_same_401_byte_for_byte(gateway: Gateway) -> None:
    answers = {
        reason: gateway.send(f"/hooks/{source}", BODY, headers()).raw
        for reason, (source, headers) in REFUSALS.items()
    }
    (answer,) = set(answers.values())
    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")


def test_log_and_metrics_know_why_each_was_refused(gateway: Gateway) -> None:
    before = {reason: _refused(gateway, reason) for reason in REFUSALS}
    for reason in REFUSALS:
        until(lambda: _sent_and_logged(gateway, reason))  # noqa: B023 - called at once
    until(lambda: all(_refused(gateway, reason) > before[reason] for reason in REFUSALS))


def _sent_and_logged(gateway: Gateway, reason: str) -> bool:
    """Again if need be: the log shows a few such lines a second."""
    source, headers = REFUSALS[reason]
    gateway.send(f"/hooks/{source}", BODY, headers())
    known = source if source != "nobody" else None
    return bool(gateway.logs("request.refused", reason=reason, source=known, status=401))


def _refused(gateway: Gateway, reason: str) -> float:
    source = REFUSALS[reason][0].replace("nobody", "unknown")
    return gateway.counted(source=source, outcome="refused", reason=reason)


def test_forged_traffic_costs_redis_a_sample_for_the_log_and_the_quota_nothing(
    gateway: Gateway, ledger: LedgerView
) -> None:
    ledger.forget_commands()
    began = time.monotonic()
    for name in ("limited", "plain", "nobody", "forbidden", "stripe", "slack"):
        for number in range(30):
            body = event(number=number)
            assert gateway.send(f"/hooks/{name}", body, signed(body, secret="x" * 40)).status == 401
    seconds = math.ceil(time.monotonic() - began) + 1
    used = ledger.commands()
    # Of four sources that exist and let this address in, so many are written down a second.
    assert used.get("evalsha", 0) + used.get("eval", 0) <= 4 * LOGGED_A_SECOND * seconds
    assert not {"incrby", "incr", "rpush", "fcall"} & set(used)


def test_exactly_the_rate_limit_of_verified_events_passes_whatever_the_gateway(
    gateway: Gateway, ledger: LedgerView
) -> None:
    with Gateway(gateway.deployment, gateway.redis_url) as second:
        answers = _crowd([gateway, second] * 30)
    assert Counter(answer.status for answer in answers) == {200: 20, 429: 40}
    assert ledger.events("limited") == 20
    waits = {int(answer.headers["retry-after"]) for answer in answers if answer.status == 429}
    assert min(waits) >= 1
    assert max(waits) <= 2 * 86400


def _crowd(gateways: list[Gateway]) -> list[Answer]:
    def send(number: int) -> Answer:
        body = event(number=number)
        return gateways[number].send("/hooks/limited", body, signed(body, f"limited-{number}"))

    with ThreadPoolExecutor(30) as pool:
        return list(pool.map(send, range(len(gateways))))


def test_an_unwanted_type_is_answered_200_counted_and_not_stored(
    gateway: Gateway, ledger: LedgerView
) -> None:
    body = event("star")
    assert gateway.send("/hooks/picky", body, signed(body, "unwanted")).raw == OK
    assert ledger.stored("picky", "unwanted") is None
    gateway.await_log("request.ignored", event_type="star")
    until(lambda: gateway.counted(source="picky", outcome="ignored") == 1)


def test_slacks_handshake_is_answered_with_its_challenge(gateway: Gateway) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWM"}'
    answer = gateway.send("/hooks/slack", body, slack(body))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.body == b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWM"
    assert gateway.send("/hooks/slack", body).status == 401


def test_the_source_may_choose_the_answer(gateway: Gateway) -> None:
    answer = gateway.send("/hooks/acked", BODY, signed(BODY))
    assert (answer.status, answer.body) == (202, b"[accepted]")


INSIDE, OUTSIDE = "203.0.113.9", "192.0.2.66"


@pytest.mark.parametrize(
    ("source", "chain", "status"),
    [
        ("forbidden", INSIDE, 401),  # no proxy of ours: whoever calls can write that
        ("behind-one", INSIDE, 200),
        ("behind-one", f"{OUTSIDE}, {INSIDE}", 200),
        ("behind-one", f"{INSIDE}, {OUTSIDE}", 401),
        ("behind-one", "2001:db8::7", 200),
        ("behind-one", "2001:db9::7", 401),
        ("behind-one", f"::ffff:{INSIDE}", 200),
        ("behind-one", f"{INSIDE}:443", 401),
        ("behind-one", "", 401),
        ("behind-two", f"{INSIDE}, 10.0.0.1", 200),
        ("behind-two", f"{INSIDE}, {OUTSIDE}, 10.0.0.1", 401),
        ("behind-two", INSIDE, 401),
    ],
)
def test_an_address_is_believed_as_far_as_our_own_proxies_go(
    gateway: Gateway, source: str, chain: str, status: int
) -> None:
    headers = signed(BODY, "", ("X-Forwarded-For", chain))
    assert gateway.send(f"/hooks/{source}", BODY, headers).status == status


def test_two_thousand_forged_requests_fill_neither_log_nor_metrics(gateway: Gateway) -> None:
    before, began = len(gateway.logs()), time.monotonic()
    sources = gateway.counted(source="unknown", reason="unknown_source")
    for number in range(2000):
        gateway.send(f"/hooks/{CANARY}-{number}", b"{}")
    until(lambda: gateway.counted(source="unknown", reason="unknown_source") == sources + 2000)
    seconds = time.monotonic() - began
    lines = gateway.logs()[before:]
    assert len(lines) <= 25 * (seconds + 1)
    assert CANARY not in gateway.metrics()
    _await_next_second(gateway, sum(line["left_out"] or 0 for line in lines))


def _await_next_second(gateway: Gateway, said: int) -> None:
    """Nothing is left out in silence: a later line says how many the last second did not show."""

    def told() -> bool:
        gateway.send("/hooks/later", b"{}")
        lines = gateway.logs("request.refused", reason="unknown_source")
        return sum(line["left_out"] or 0 for line in lines) > max(said, 1000)

    until(told)


LEAKY: dict[str, tuple[str, str, bytes, Pairs]] = {
    "accepted": ("POST", "/hooks/plain", BODY, signed(BODY)),
    "ignored": ("POST", "/hooks/picky", event("star"), signed(event("star"))),
    "refused": ("POST", "/hooks/plain", BODY, [("X-Signature", CANARY)]),
    "unknown": ("POST", f"/{CANARY}?{CANARY}={SECRET}", BODY, [("Cookie", CANARY)]),
    "method": ("PUT", "/hooks/plain", BODY, [("Authorization", f"Bearer {SECRET}")]),
    "too large": ("POST", "/hooks/plain", CANARY.encode() * 9999, ()),
    "too many headers": ("POST", "/hooks/plain", BODY, [("X-Other", CANARY)] * 200),
    "no http": ("POST", f"/{CANARY} {CANARY}", BODY, [("X Other", CANARY)]),
}


def test_neither_log_nor_metrics_hold_a_secret_a_body_a_header_or_a_query(gateway: Gateway) -> None:
    """The rig looks again, after all tests, in the log of every gateway that they ran."""
    for method, path, body, headers in LEAKY.values():
        gateway.send(path, body, headers, method)
    assert gateway.get("/metrics?" + CANARY, [("X-Other", CANARY)], admin=True).status == 200
    gateway.send("/hooks/plain", BODY, signed(BODY, "last"))
    gateway.await_log("request.accepted", provider_id="last")
    for text in (gateway.text(), gateway.metrics()):
        assert CANARY not in text
        assert SECRET not in text
