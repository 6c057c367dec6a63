"""A provider's proof that we own the URL, such as Slack's `url_verification` or Meta's `hub.challenge`.

Enabled only by a preset. Those that teach a secret hold only while an operator has armed the source.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.core.fields import Fields, dig
from gateway.core.reply import Reply, ReplyTemplate
from gateway.core.template import NOTHING, Known, Reference, Template, resolve


class Proof(StrEnum):
    """What a handshake needs before it is answered."""

    NONE = "none"
    SIGNED = "signed"
    ARMED = "armed"


@dataclass(frozen=True, slots=True)
class Condition:
    """All of it must hold: equal headers, query and JSON values, names that must be there, and names
    whose values must match an expression in full."""

    method: str
    headers: tuple[tuple[str, bytes], ...] = ()
    query: tuple[tuple[str, bytes], ...] = ()
    json: tuple[tuple[str, Any], ...] = ()
    has: tuple[Reference, ...] = ()
    matches: tuple[tuple[Reference, str], ...] = ()

    def holds(self, fields: Fields) -> bool:
        return (
            fields.request.method == self.method
            and all(fields.lookup("header", name) == value for name, value in self.headers)
            and all(fields.lookup("query", name) == value for name, value in self.query)
            and all(_same(dig(fields.json(), path), value) for path, value in self.json)
            and all(resolve(each, fields) is not None for each in self.has)
            and all(_matches(resolve(each, fields), pattern) for each, pattern in self.matches)
        )


def _matches(value: bytes | None, pattern: str) -> bool:
    return value is not None and re.fullmatch(pattern.encode(), value) is not None


def _same(found: Any, wanted: Any) -> bool:
    return type(found) is type(wanted) and bool(found == wanted)  # 1 is not true


@dataclass(frozen=True, slots=True)
class Handshake:
    """`require`: pairs that must be equal, such as the token that we gave the provider; where they are
    not, `otherwise` is the status to say so, or the request is no handshake at all.

    `learn`: where the secret stands that this handshake teaches. `visit`: a URL that confirms it.
    """

    when: Condition
    reply: ReplyTemplate
    proof: Proof = Proof.SIGNED
    require: tuple[tuple[Template, Template], ...] = ()
    otherwise: int | None = None
    learn: Reference | None = None
    visit: Template | None = None
    visit_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handshake comes to: the reply, and what must be done before and after it is given."""

    reply: Reply
    proof: Proof
    learned: bytes | None = None
    visit: str | None = None
    visit_hosts: tuple[str, ...] = ()


def answer(
    handshakes: Iterable[Handshake], fields: Fields, proofs: tuple[Proof, ...], known: Known = NOTHING
) -> Answer | None:
    """What the first handshake of these kinds that the request is comes to; None when it is none."""
    for handshake in handshakes:
        if handshake.proof in proofs and handshake.when.holds(fields):
            return _answer(handshake, fields, known)
    return None


def _answer(handshake: Handshake, fields: Fields, known: Known) -> Answer | None:
    if not all(_equal(left, right, fields) for left, right in handshake.require):
        refused = Reply(handshake.otherwise) if handshake.otherwise else None
        return Answer(refused, Proof.NONE) if refused else None
    reply = handshake.reply.render(fields, known)
    learned = resolve(handshake.learn, fields) if handshake.learn else None
    if reply is None or (handshake.learn and not learned):
        return None
    visit = b"".join(handshake.visit.render(fields) or ()) if handshake.visit else b""
    hosts = handshake.visit_hosts
    return Answer(reply, handshake.proof, learned, visit.decode("latin-1") or None, hosts)


def _equal(left: Template, right: Template, fields: Fields) -> bool:
    """The right side may name several, separated by commas: an allow-list."""
    found, wanted = left.render(fields), right.render(fields)
    if found is None or wanted is None:
        return False
    value, allowed = b"".join(found), b"".join(wanted)
    equal = [hmac.compare_digest(value, each.strip()) for each in allowed.split(b",")]
    return bool(value) and any(equal)
