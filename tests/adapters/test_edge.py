"""The edge: what it looks at before what, what it says then, and what it tells the log."""

import asyncio
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest

from gateway.adapters.http.edge import Limits
from gateway.core.addresses import AllowedAddresses, parse_network
from gateway.core.handshake import Condition, Handshake, Proof
from gateway.core.reply import Reply, ReplyTemplate
from gateway.core.template import compile_template
from gateway.deadlines import TICK_SECONDS
from gateway.ports import Unavailable
from tests.adapters.edge_rig import END, GONE, NOW, RIGHT, SHOP, WRONG, Header, Rig, Sent

FORBIDDEN = replace(SHOP, allowed=AllowedAddresses((parse_network("203.0.113.0/24"),)))
LIMITED = replace(SHOP, rate_limit="1/hour")
ACCEPTED = Sent(200, ((b"content-length", b"0"),))
REFUSED = Sent(
    401,
    (
        (b"content-type", b"application/json"),
        (b"content-length", b"29"),
        (b"connection", b"close"),
    ),
    b'{"error":"not authenticated"}',
)


def forwarded(text: str) -> Header:
    return (b"x-forwarded-for", text.encode())


def test_a_verified_request_passes_flood_guard_body_quota_and_ledger_in_this_order() -> None:
    rig = Rig([LIMITED])
    assert rig.call(RIGHT, body=(b"\x00raw\xff", END)) == ACCEPTED
    assert rig.asked == ["flood 192.0.2.9", "body", "body", "quota", "ledger"]
    (event,) = rig.events
    assert (event.body, event.headers, event.received_at) == (b"\x00raw\xff", (RIGHT,), NOW)


def test_a_request_that_is_whole_at_once_is_stored_byte_for_byte_too() -> None:
    rig = Rig([LIMITED])
    assert rig.call(RIGHT, body=b"\x00raw\xff") == ACCEPTED
    assert rig.asked == ["flood 192.0.2.9", "quota", "ledger"]
    assert rig.events[0].body == b"\x00raw\xff"


def test_a_wrong_method_is_told_before_anything_else() -> None:
    rig = Rig([FORBIDDEN], Limits(max_headers=0))
    answer = rig.call(WRONG, method="PUT")
    assert (answer.status, answer.header(b"allow")) == (405, b"POST")
    assert rig.asked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", ""])
def test_an_unknown_path_answers_other_methods_as_a_known_one_does(method: str) -> None:
    rig = Rig()
    assert rig.call(method=method, path="/nowhere") == rig.call(method=method)


def test_too_many_headers_are_told_before_the_address_is_looked_at() -> None:
    rig = Rig([FORBIDDEN], Limits(max_headers=2))
    assert rig.call(*[(b"a", b"b")] * 3).status == 431
    assert rig.call(*[(b"a", b"b")] * 2).status == 401


@pytest.mark.parametrize(("size", "status"), [(50, 401), (51, 431)])
def test_url_and_headers_may_be_so_large_together(size: int, status: int) -> None:
    rig = Rig(limits=Limits(max_header_bytes=50))
    assert rig.call((b"a" * 10, b"b" * 10), path="/" * 10, query=b"q" * (size - 30)).status == status


def test_a_forbidden_address_is_refused_before_flood_guard_and_body() -> None:
    rig = Rig([FORBIDDEN])
    assert rig.call(RIGHT) == REFUSED
    assert rig.asked == []


def test_a_flood_is_stopped_before_the_body_is_read() -> None:
    rig = Rig(flood="2/minute")
    assert [rig.call(RIGHT).status for _ in range(3)] == [200, 200, 429]
    assert rig.asked[-1] == "flood 192.0.2.9"
    assert rig.call(RIGHT, peer="192.0.2.10").status == 200


def test_the_answer_to_a_flood_says_when_to_come_again_and_hangs_up() -> None:
    rig = Rig(flood="1/minute")
    rig.call(RIGHT)
    answer = rig.call(RIGHT)
    assert 1 <= int(answer.header(b"retry-after") or 0) <= 60
    assert answer.header(b"connection") == b"close"


def test_a_forged_request_is_never_charged() -> None:
    rig = Rig([LIMITED])
    assert rig.call(WRONG) == REFUSED
    assert rig.asked == ["flood 192.0.2.9"]


def test_beyond_the_quota_the_answer_says_when_to_come_again() -> None:
    rig = Rig([LIMITED], wait=12.3)
    answer = rig.call(RIGHT)
    assert (answer.status, answer.header(b"retry-after")) == (429, b"13")
    assert "ledger" not in rig.asked


REFUSALS: dict[str, tuple[Rig, dict[str, Any], tuple[Header, ...], str]] = {
    "unknown_source": (Rig(), {"path": "/hooks/nobody"}, (RIGHT,), ""),
    "signature_mismatch": (Rig(), {}, (WRONG,), "shop"),
    "missing_signature": (Rig(), {}, (), "shop"),
    "duplicated_signature": (Rig(), {}, (RIGHT, RIGHT), "shop"),
    "address_forbidden": (Rig([FORBIDDEN]), {}, (RIGHT,), "shop"),
    "address_unknown": (Rig([FORBIDDEN]), {"peer": None}, (RIGHT,), "shop"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_all_refusals_are_one_answer_and_the_log_and_the_count_know_better(reason: str) -> None:
    rig, request, headers, source = REFUSALS[reason]
    assert rig.call(*headers, **request) == REFUSED
    (line,) = rig.lines
    assert (line["event"], line["reason"], line["source"]) == (
        "request.refused",
        reason,
        source or None,
    )
    assert rig.counted() == {f"{source or 'unknown'}|refused|{reason}": 1}


@pytest.mark.parametrize("path", ["", "/", "/hooks", "/hooks/shop/", "/HOOKS/shop", "//hooks/shop"])
def test_only_the_exact_path_is_a_source(path: str) -> None:
    assert Rig().call(RIGHT, path=path) == REFUSED


def test_a_declared_size_beyond_the_limit_is_told_before_the_body_is_read() -> None:
    rig = Rig()
    answer = rig.call(RIGHT, (b"content-length", b"1001"), body=[b"x"])
    assert (answer.status, answer.header(b"connection")) == (413, b"close")
    assert "body" not in rig.asked


@pytest.mark.parametrize("length", [b"9" * 400, b"99999999999999999999999"])
def test_absurd_declared_sizes_are_no_trouble(length: bytes) -> None:
    assert Rig().call(RIGHT, (b"content-length", length), body=[]).status == 413


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_the_limit_counts_the_bytes_that_come_whatever_was_declared(size: int, status: int) -> None:
    halves: list[bytes | str] = [b"x" * 500, b"x" * (size - 500), END]
    rig = Rig()
    assert rig.call(RIGHT, (b"content-length", b"1"), body=halves).status == status
    assert [event.body for event in rig.events] == [b"x" * size] * (status == 200)


def test_an_endless_body_is_cut_off_at_the_limit() -> None:
    rig = Rig()
    assert rig.call(RIGHT, body=repeat(b"x" * 100)).status == 413
    assert rig.asked.count("body") == 11


def test_a_body_in_pieces_is_put_together_byte_for_byte() -> None:
    rig = Rig()
    assert rig.call(RIGHT, body=[b"a", b"\r\n", b"\x00", b"z", END]) == ACCEPTED
    assert rig.events[0].body == b"a\r\n\x00z"


@pytest.mark.parametrize("messages", [[GONE], [b"half", GONE]])
def test_who_goes_away_before_the_end_has_nothing_stored_and_gets_no_answer(messages: Any) -> None:
    rig = Rig()
    assert rig.call(RIGHT, body=messages) == Sent()
    assert rig.events == []
    assert rig.counted() == {"shop|disconnected|": 1}


def test_a_slow_body_is_given_up_after_the_deadline() -> None:
    rig = Rig(limits=Limits(body_deadline=0.05))
    answer = rig.call(RIGHT, body=[b"half"])
    assert (answer.status, answer.header(b"connection")) == (408, b"close")
    assert 0.05 <= rig.seconds <= 0.05 + 2 * TICK_SECONDS
    assert rig.events == []


@pytest.mark.parametrize("trouble", [{"error": Unavailable()}, {"hang": True}])
def test_an_outage_is_a_503_with_a_time_to_come_again(trouble: dict[str, Any]) -> None:
    rig = Rig(**trouble)
    answer = rig.call(RIGHT)
    assert answer.status == 503
    assert 5 <= int(answer.header(b"retry-after") or 0) <= 10
    assert answer.header(b"connection") is None  # the whole body was read
    assert rig.lines[0]["log_level"] == "error"


def test_a_bug_of_ours_is_a_plain_500_and_the_log_says_where_but_not_what() -> None:
    rig = Rig(error=KeyError("canary"))
    answer = rig.call(RIGHT)
    assert (answer.status, answer.body) == (500, b'{"error":"internal error"}')
    failed, ended = rig.lines
    assert (failed["event"], failed["error"]) == ("request.failed", "KeyError")
    assert "edge_rig.py:" in failed["where"]
    assert ended["event"] == "request.internal_error"
    assert "canary" not in str(rig.lines)


@pytest.mark.parametrize("by_task", [True, False])
def test_a_request_that_outlives_the_grace_is_told_to_come_again(by_task: bool) -> None:
    """The server breaks off what waits for the ledger when it must end, and cancels its tasks."""
    if by_task:
        rig = Rig([replace(SHOP, rate_limit="5/minute")])
        rig.error = asyncio.CancelledError()  # type: ignore[assignment]
    else:
        rig = Rig(hang=True, breaks_off=True)
    answer = rig.call(RIGHT)
    assert answer.status == 503
    assert 5 <= int(answer.header(b"retry-after") or 0) <= 10


class Broken(ReplyTemplate):
    """A bug of ours."""

    def render(self, *_: Any) -> Reply:
        raise RuntimeError("not for the caller")


def test_a_bug_behind_the_ledger_is_a_500_and_tells_nothing() -> None:
    answer = Rig([replace(SHOP, acknowledgement=Broken())]).call(RIGHT)
    assert (answer.status, answer.body) == (500, b'{"error":"internal error"}')


def test_a_bug_in_the_answer_itself_ends_the_connection_and_reaches_nobody_else() -> None:
    odd: Any = ((b"no", "text"),)
    rig = Rig([replace(SHOP, acknowledgement=Reply(200, headers=odd))])
    assert rig.call(RIGHT) == Sent()
    assert [line["event"] for line in rig.lines] == ["request.failed"]


def test_answers_with_what_the_source_wants() -> None:
    reply = Reply(202, b"[accepted]", "text/x-odd")
    answer = Rig([replace(SHOP, acknowledgement=reply)]).call(RIGHT)
    assert answer == Sent(
        202,
        (
            (b"content-length", b"10"),
            (b"content-type", b"text/x-odd"),
            (b"x-content-type-options", b"nosniff"),
        ),
        b"[accepted]",
    )


def test_no_content_has_no_body_whatever_the_source_wants() -> None:
    answer = Rig([replace(SHOP, acknowledgement=Reply(204, b"no"))]).call(RIGHT)
    assert answer == Sent(204)


def test_a_handshake_is_answered_with_a_plain_echo() -> None:
    reply = ReplyTemplate(body=compile_template("{query.challenge}"))
    echo = Handshake(Condition("GET"), reply, Proof.NONE)
    rig = Rig([replace(SHOP, handshakes=(echo,))])
    answer = rig.call(method="GET", query=b"challenge=abc")
    assert (answer.status, answer.body) == (200, b"abc")
    assert (b"content-type", b"text/plain; charset=utf-8") in answer.headers
    assert rig.call(method="GET", query=b"challenge=%3Cb%3E") == REFUSED


CHAIN = "203.0.113.7, 198.51.100.1, 10.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "chain", "peer", "key"),
    [
        (0, CHAIN, "192.0.2.9", "192.0.2.9"),
        (1, CHAIN, "192.0.2.9", "10.0.0.1"),
        (2, CHAIN, "192.0.2.9", "198.51.100.1"),
        (3, CHAIN, "192.0.2.9", "203.0.113.7"),
        (4, CHAIN, "192.0.2.9", "None"),
        (1, "", "192.0.2.9", "None"),
        (1, "203.0.113.7, <script>", "192.0.2.9", "None"),
        (1, "::ffff:203.0.113.7", "192.0.2.9", "203.0.113.7"),
        (1, "2001:db8:1:2:3:4:5:6", "192.0.2.9", "2001:db8:1:2::"),
        (1, "fe80::1%eth0", "192.0.2.9", "None"),
        (0, CHAIN, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (0, CHAIN, "::ffff:192.0.2.9", "192.0.2.9"),
        (0, CHAIN, None, "None"),
    ],
)
def test_counts_and_allows_by_the_address_that_our_own_proxies_saw(
    proxies: int, chain: str, peer: str | None, key: str
) -> None:
    rig = Rig([replace(SHOP, trusted_proxies=proxies)])
    assert rig.call(RIGHT, forwarded(chain), peer=peer) == ACCEPTED
    assert rig.asked[0] == f"flood {key}"


def test_forwarded_headers_are_read_as_one_list_from_the_right() -> None:
    allowed = replace(FORBIDDEN, trusted_proxies=2)
    rig = Rig([allowed])
    assert rig.call(RIGHT, forwarded("203.0.113.7"), forwarded("10.0.0.1")) == ACCEPTED
    assert rig.call(RIGHT, forwarded("203.0.113.7, 192.0.2.1"), forwarded("10.0.0.1")) == REFUSED


def test_the_line_of_an_event_names_it_and_shows_nothing_of_what_was_sent() -> None:
    rig = Rig()
    rig.call(RIGHT, (b"x-other", b"canary"), body=b"canary", query=b"token=canary")
    (line,) = rig.lines
    event = rig.events[0]
    assert (line["event"], line["reason"], line["status"]) == ("request.accepted", "accepted", 200)
    assert (line["event_id"], line["bytes"], line["source"]) == (event.id, 6, "shop")
    assert "canary" not in str(rig.lines)


CHEAP: dict[str, dict[str, Any]] = {
    "refused": {},
    "method_not_allowed": {"method": "PUT"},
    "body_too_large": {"body": b"x" * 2000},
    "disconnected": {"body": [GONE]},
}


@pytest.mark.parametrize("outcome", CHEAP)
def test_what_anybody_can_cause_is_always_counted_but_logged_a_few_times_a_second(
    outcome: str,
) -> None:
    rig = Rig()
    for _ in range(100):
        rig.call(**CHEAP[outcome])
    assert sum(rig.counted().values()) == 100
    assert 20 <= len(rig.lines) <= 60  # a second may end meanwhile


def test_what_was_left_out_of_the_log_is_said_in_the_next_line() -> None:
    rig = Rig()
    now = [100.0]
    rig.edge._notes._refused_lines._clock = lambda: now[0]
    for _ in range(50):
        rig.call()
    now[0] += 1
    rig.call()
    assert [line["left_out"] for line in rig.lines] == [None] * 20 + [30]


def test_every_verified_event_has_its_line() -> None:
    rig = Rig()
    for number in range(60):
        rig.call(RIGHT, body=b"%d" % number)
    assert len(rig.lines) == 60
