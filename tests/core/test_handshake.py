"""A provider's challenge is answered only where the preset says so, and only with a plain token."""

import json
from dataclasses import replace

import pytest

from gateway.catalogue import load_preset
from gateway.core.fields import Fields
from gateway.core.handshake import Handshake, Reply, answer
from gateway.core.request import InboundRequest
from gateway.core.template import compile_template

from .examples import request

SLACK = tuple(each.build() for each in load_preset("slack").handshakes)
CHALLENGE = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"


def challenge(text: object = CHALLENGE, **more: object) -> InboundRequest:
    body = {"token": "x", "challenge": text, "type": "url_verification", **more}
    return request(body=json.dumps(body).encode())


def replied(incoming: InboundRequest, *, signed: bool = True) -> Reply | None:
    return answer(SLACK, Fields(incoming), signed=signed)


def test_echoes_slacks_challenge_as_plain_text() -> None:
    reply = replied(challenge())
    assert reply == Reply(200, CHALLENGE.encode(), "text/plain; charset=utf-8")


def test_does_not_answer_slack_before_the_signature_holds() -> None:
    assert replied(challenge(), signed=False) is None


def test_an_unsigned_handshake_is_not_answered_again_after_the_signature() -> None:
    unsigned = tuple(replace(each, signed=False) for each in SLACK)
    assert answer(unsigned, Fields(challenge()), signed=False)
    assert answer(unsigned, Fields(challenge()), signed=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<b>",
        "a&b",
        '"quoted"',
        "'quoted'",
        "javascript:alert(1)",
        "with a space",
        "line\nbreak",
        "\r\nSet-Cookie: a=b",
        "tab\t",
        "nul\x00",
        "é",
        "\u202e",
        "\ud800",
        "a" * 1025,
        "",
        None,
        ["a"],
        {"a": "b"},
    ],
)
def test_does_not_echo_what_is_no_plain_token(text: object) -> None:
    assert replied(challenge(text)) is None


@pytest.mark.parametrize("text", ["a", "a" * 1024, "aGk+/w==", "a.b-c_d~e", "0", "urn:uuid:1-2"])
def test_echoes_what_challenges_are_made_of(text: str) -> None:
    reply = replied(challenge(text))
    assert reply is not None
    assert reply.body == text.encode()


@pytest.mark.parametrize(
    "incoming",
    [
        request(body=b'{"type": "event_callback", "challenge": "abc"}'),
        request(body=b'{"type": "url_verification"}'),
        request(body=b'{"type": ["url_verification"], "challenge": "abc"}'),
        request(body=b'["url_verification"]'),
        request(body=b"type=url_verification&challenge=abc"),
        request(body=b""),
        replace(challenge(), method="GET"),
        replace(challenge(), method="post"),
    ],
)
def test_a_request_that_is_no_challenge_gets_no_reply(incoming: InboundRequest) -> None:
    assert replied(incoming) is None


def test_every_named_header_must_be_there_once_with_its_value() -> None:
    shake = Handshake("GET", compile_template("{query.challenge}"), ((b"x-kind", b"hello"),))
    good = request((b"x-kind", b"hello"), query=b"challenge=abc", method="GET")
    reply = answer((shake,), Fields(good), signed=True)
    assert reply is not None
    assert reply.body == b"abc"
    for pairs in ([], [(b"x-kind", b"Hello")], [(b"x-kind", b"hello")] * 2):
        other = request(*pairs, query=b"challenge=abc", method="GET")
        assert answer((shake,), Fields(other), signed=True) is None


def test_the_first_handshake_that_the_request_is_decides() -> None:
    never = Handshake("POST", compile_template("{json.absent}"))
    always = Handshake("POST", compile_template("{json.challenge}"))
    assert answer((never, always), Fields(challenge()), signed=True) is None
    reply = answer((always, never), Fields(challenge()), signed=True)
    assert reply is not None
