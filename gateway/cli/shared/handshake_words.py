"""A preset's handshakes and its acknowledgement, in sentences for a person."""

import json
from collections.abc import Iterator

from gateway.catalogue import Acknowledge, HandshakeFile
from gateway.cli.shared.proof_words import place_words
from gateway.core.handshake import Proof

OK = 200
PROOFS = {
    Proof.NONE: "from anybody",
    Proof.SIGNED: "if its signature holds",
    Proof.ARMED: "only after `hookline handshake arm SOURCE`",
}


def handshake_sentence(handshake: HandshakeFile) -> str:
    """When it is one, what it needs, and what it is answered."""
    conditions = list(_conditions(handshake))
    asked = f" with {' and '.join(conditions)}" if conditions else ""
    answer = answer_words(handshake.reply)
    text = f"A {handshake.method} request{asked}, {PROOFS[handshake.proof]}: answered {answer}."
    return " ".join([text, *_more(handshake)])


def _conditions(handshake: HandshakeFile) -> Iterator[str]:
    for name, value in handshake.headers.items():
        yield f"the header {name} = {value}"
    for name, value in handshake.query.items():
        yield f"the query parameter {name} = {value}"
    for path, wanted in handshake.when_json.items():
        yield f"{path} = {json.dumps(wanted)} in its JSON"
    for place in handshake.has:
        yield place_words(place)
    for place, pattern in handshake.matches.items():
        yield f"{place_words(place)} like {pattern}"


def _more(handshake: HandshakeFile) -> Iterator[str]:
    for left, right in handshake.require.items():
        otherwise = f", else {handshake.otherwise}" if handshake.otherwise else ""
        yield f"{left} must be {right}{otherwise}."
    if handshake.learn:
        yield f"The secret is learnt: {place_words(handshake.learn)}."
    if handshake.visit:
        yield f"We then call {handshake.visit}, on hosts {' or '.join(handshake.visit_hosts)} only."


def answer_words(answer: Acknowledge) -> str:
    """`200 with {query.challenge} as text/plain`."""
    body = json.dumps(answer.json_) if answer.json_ is not None else answer.body or answer.echo
    kind = f" as {answer.content_type}" if body and answer.content_type else ""
    said = f" with {body}{kind}" if body else " with an empty body" if answer.status == OK else ""
    headers = "".join(f", {name}: {value}" for name, value in answer.headers.items())
    return f"{answer.status}{said}{headers}"
