"""A provider's challenge is answered only where the preset says so, and only with a plain token."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.catalogue import load_preset
from gateway.core.fields import Fields
from gateway.core.handshake import Answer, Condition, Handshake, Proof, answer
from gateway.core.reply import JSON, TEXT, Reply, ReplyTemplate
from gateway.core.request import InboundRequest
from gateway.core.template import NOTHING, Known, Reference, compile_template

from .examples import request, templates

SLACK = tuple(each.build() for each in load_preset("slack").handshakes)
CHALLENGE = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
ECHO = ReplyTemplate(body=compile_template("{json.challenge}"))
POSTED = Condition("POST")


def challenge(text: object = CHALLENGE, **more: object) -> InboundRequest:
    body = {"token": "x", "challenge": text, "type": "url_verification", **more}
    return request(body=json.dumps(body).encode())


def replied(
    incoming: InboundRequest, *shakes: Handshake, proof: Proof = Proof.SIGNED, known: Known = NOTHING
) -> Reply | None:
    found = answer(shakes or SLACK, Fields(incoming), (proof,), known)
    return found.reply if found else None


def test_echoes_slacks_challenge_as_plain_text() -> None:
    assert replied(challenge()) == Reply(200, CHALLENGE.encode(), "text/plain; charset=utf-8")


@pytest.mark.parametrize("proof", Proof)
@pytest.mark.parametrize("asked", Proof)
def test_a_handshake_is_answered_only_with_the_proof_that_it_needs(proof: Proof, asked: Proof) -> None:
    shakes = tuple(replace(each, proof=proof) for each in SLACK)
    found = answer(shakes, Fields(challenge()), (asked,))
    assert (found is not None) is (proof is asked)
    if found:
        assert found.proof is proof


# What is echoed

NO_TOKENS = ["<script>alert(1)</script>", "<b>", "a&b", '"quoted"', "'quoted'", "javascript:alert(1)"]
NO_TOKENS += ["line\nbreak", "\r\nSet-Cookie: a=b", "tab\t", "nul\x00", "é", "\u202e"]
NO_TOKENS += ["\ud800", "a" * 1025, ""]


@pytest.mark.parametrize("text", [*NO_TOKENS, None, ["a"], {"a": "b"}])
def test_does_not_echo_what_is_no_plain_token(text: object) -> None:
    assert replied(challenge(text)) is None


@pytest.mark.parametrize(
    "text", ["a", "a" * 1024, "aGk+/w==", "a.b-c_d~e", "0", "urn:uuid:1-2", "*.x", "plain words"]
)
def test_echoes_what_challenges_are_made_of(text: str) -> None:
    reply = replied(challenge(text))
    assert reply is not None
    assert reply.body == text.encode()


@pytest.mark.parametrize("text", NO_TOKENS)
def test_echoes_nothing_else_in_json_or_in_a_header(text: str) -> None:
    (echo,) = templates("{json.challenge}")
    in_json = ReplyTemplate(json={"responseToken": [echo]}, content_type=JSON)
    in_header = ReplyTemplate(headers=(("X-Echo", echo),))
    within = ReplyTemplate(body=compile_template("<r>{json.challenge}</r>"), content_type="text/xml")
    for reply in (in_json, in_header, within):
        assert reply.render(Fields(challenge(text))) is None


def test_a_reply_is_json_a_template_or_nothing() -> None:
    plain, digest = templates("{json.challenge}", "{json.challenge | sign | hex}")
    of, known = Fields(challenge("abc")), Known(sign=lambda value: value[::-1])
    both = ReplyTemplate(json={"plainToken": plain, "encryptedToken": digest, "n": [1, None]})
    found = both.render(of, known)
    assert found is not None
    assert found.body == b'{"plainToken":"abc","encryptedToken":"636261","n":[1,null]}'
    assert both.render(of) is None, "a digest needs a secret"
    assert ReplyTemplate(204).render(of) == Reply(204, b"", TEXT)
    xml = ReplyTemplate(200, compile_template("<r>{json.challenge}</r>"), content_type="text/xml")
    assert xml.render(of) == Reply(200, b"<r>abc</r>", "text/xml")
    headers = ReplyTemplate(headers=(("WebHook-Allowed-Origin", plain),)).render(of)
    assert headers is not None
    assert headers.headers == (("WebHook-Allowed-Origin", "abc"),)


def test_an_answer_that_says_nothing_of_the_request_is_settled_once() -> None:
    constant = ReplyTemplate(json={"ok": compile_template("yes")}, content_type=JSON)
    assert constant.settled() == Reply(200, b'{"ok":"yes"}', JSON)
    assert ReplyTemplate(body=compile_template("[accepted]")).settled() == Reply(200, b"accepted")
    for echoing in (ECHO, ReplyTemplate(json=[compile_template("{ts}")])):
        assert echoing.settled() is echoing
    in_header = ReplyTemplate(headers=(("X", compile_template("{query.a}")),))
    assert in_header.settled() is in_header


# What is a handshake at all


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
    shake = Handshake(Condition("POST", headers=(("x-kind", b"hello"),)), ReplyTemplate())
    assert replied(request((b"x-kind", b"hello")), shake) == Reply()
    for pairs in ([], [(b"x-kind", b"Hello")], [(b"x-kind", b"hello")] * 2):
        assert replied(request(*pairs), shake) is None


def test_every_named_value_and_name_must_be_there() -> None:
    when = Condition(
        "GET", query=(("hub.mode", b"subscribe"),), has=(Reference("query", "hub.challenge"),)
    )
    shake = Handshake(when, ReplyTemplate(body=compile_template("{query.hub.challenge}")))
    good = request(method="GET", query=b"hub.mode=subscribe&hub.challenge=7")
    assert replied(good, shake) == Reply(200, b"7")
    for query in (b"hub.mode=subscribe", b"hub.challenge=7", b"hub.mode=other&hub.challenge=7", b""):
        assert replied(replace(good, query=query), shake) is None


def test_a_value_that_must_match_matches_as_a_whole() -> None:
    when = Condition("POST", matches=((Reference("json", "type"), "[a-z]+[.]created"),))
    shake = Handshake(when, ReplyTemplate())
    assert replied(request(body=b'{"type": "user.created"}'), shake) == Reply()
    for text in ("user.createdX", "xuser_created", "\nuser.created", "", "é.created", "\ud800"):
        assert replied(request(body=json.dumps({"type": text}).encode()), shake) is None
    assert replied(request(body=b"{}"), shake) is None


@pytest.mark.parametrize(
    ("wanted", "said"), [(True, 1), (1, True), (1, 1.0), ("1", 1), (0, False), (None, False), (0, "")]
)
def test_a_json_value_is_the_one_that_is_wanted_and_no_other(wanted: Any, said: Any) -> None:
    shake = Handshake(Condition("POST", json=(("v", wanted),)), ReplyTemplate())
    assert replied(request(body=json.dumps({"v": wanted}).encode()), shake) == Reply()
    assert replied(request(body=json.dumps({"v": said}).encode()), shake) is None


def test_the_first_handshake_that_the_request_is_decides() -> None:
    never = Handshake(POSTED, ReplyTemplate(body=compile_template("{json.absent}")))
    always = Handshake(POSTED, ECHO)
    assert replied(challenge(), never, always) is None
    assert replied(challenge(), always, never) == Reply(200, CHALLENGE.encode())
    later = replace(always, proof=Proof.NONE)
    assert replied(challenge(), later, always) == Reply(200, CHALLENGE.encode())


# What must be equal


def required(left: str, right: str, otherwise: int | None = None) -> Handshake:
    pair = (compile_template(left), compile_template(right))
    return Handshake(POSTED, ECHO, require=(pair,), otherwise=otherwise)


def test_the_token_that_we_gave_the_provider_must_be_said() -> None:
    for allowed in ("mine", "other,mine", "other, mine"):
        assert replied(challenge(token="mine"), required("{json.token}", allowed))
    for token in ("x", "", "mine,other", "other,mine"):
        assert replied(challenge(token=token), required("{json.token}", "other,mine")) is None
    assert replied(challenge(token=""), required("{json.token}", "")) is None
    assert replied(challenge(), required("{json.absent}", "mine")) is None
    assert replied(challenge(token="mine"), required("{json.token}", "{config.token}")) is None


def test_a_wrong_token_is_told_where_the_provider_wants_to_know() -> None:
    shake = replace(required("{json.token}", "mine", 403), proof=Proof.ARMED)
    found = answer((shake,), Fields(challenge(token="no")), (Proof.ARMED,))
    # What failed proves nothing, teaches nothing, and uses nothing up.
    assert found == Answer(Reply(403), Proof.NONE)


# What a handshake teaches, and what it visits


def test_a_secret_is_learned_only_where_it_stands() -> None:
    shake = Handshake(POSTED, ReplyTemplate(), Proof.ARMED, learn=Reference("header", "x-hook-secret"))
    found = answer((shake,), Fields(request((b"x-hook-secret", b"taught"))), (Proof.ARMED,))
    assert found is not None
    assert (found.learned, found.proof) == (b"taught", Proof.ARMED)
    for pairs in ([], [(b"x-hook-secret", b"")], [(b"x-hook-secret", b"a"), (b"x-hook-secret", b"b")]):
        assert answer((shake,), Fields(request(*pairs)), (Proof.ARMED,)) is None


def test_a_url_to_visit_goes_with_the_hosts_that_it_may_be_on() -> None:
    shake = Handshake(POSTED, ReplyTemplate(), visit=compile_template("{json.url}"), visit_hosts=("a",))
    found = answer((shake,), Fields(request(body=b'{"url": "https://a/b"}')), (Proof.SIGNED,))
    assert found is not None
    assert (found.visit, found.visit_hosts) == ("https://a/b", ("a",))
    nothing = answer((shake,), Fields(request(body=b"{}")), (Proof.SIGNED,))
    assert nothing is not None
    assert nothing.visit is None
