"""Who would get the events of a request, and which condition keeps them from whom.

It looks at the request as it is: whether it verifies is another question.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.event import Event
from gateway.core.fields import MISSING, Fields
from gateway.core.identity import readable
from gateway.core.json_path import Subject
from gateway.core.json_slices import slices
from gateway.core.judging import Condition, Finding, keeps_out
from gateway.core.masking import SECRET_NAME, body_is_proof, masked_headers, proof_places
from gateway.core.request import InboundRequest
from gateway.core.routing import route, sift
from gateway.core.source import Source
from gateway.core.template import first
from gateway.plugins import Processor

SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Tried:
    """One condition, tried on one event. `of` is `source`, or its processor's name.

    `holds` is None where it cannot tell: the event is let through.
    """

    of: str
    condition: str
    holds: bool | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Sifted:
    """One event: `takers` want its type, `processors` are those of them that would get it.

    `reasons` are the conditions that kept it from others, as in the log: without any value.
    """

    type: str
    takers: tuple[str, ...]
    processors: tuple[str, ...]
    reasons: tuple[str, ...]
    tried: tuple[Tried, ...]

    @property
    def is_filtered(self) -> bool:
        return bool(self.takers) and not self.processors


def filters(
    request: InboundRequest, source: Source, processors: Mapping[str, Processor]
) -> tuple[Sifted, ...]:
    """For each event of the request. Total: any bytes in."""
    return tuple(_sifted(event, source, processors) for event in _events(request, source))


def _sifted(event: Event, source: Source, processors: Mapping[str, Processor]) -> Sifted:
    takers = route((each.route for each in processors.values()), source.name, event.type).processors
    conditions = {name: when for name in takers if (when := processors[name].when)}
    subject = Subject(event)
    sifted = sift(takers, source.when, conditions, subject)
    asked: list[tuple[str, Condition]] = [(SOURCE, source.when)] if source.when else []
    asked += conditions.items()
    tried = tuple(_tried(asked, subject))
    return Sifted(event.type, takers, sifted.processors, sifted.filtered, tried)


def _tried(asked: Iterable[tuple[str, Condition]], subject: Subject) -> Iterator[Tried]:
    for of, condition in asked:
        reason = condition.judge(subject)
        holds = None if reason and not keeps_out(reason) else not reason
        yield Tried(of, str(condition), holds, tuple(condition.findings(subject)))


def _events(request: InboundRequest, source: Source) -> Iterator[Event]:
    rules, fields = source.identity, Fields(request)
    whole = fields.form().get(rules.batch_field, b"") if rules.batch_field else request.body
    items = slices(whole, rules.batch) if rules.batch else None
    if items is None and rules.batch:  # what is stored of a batch is one item of it
        items = [(fields.json(), request.body)] if fields.json() is not MISSING else None
    for item, body in items or [(MISSING, request.body)]:
        type_ = first(rules.event_type, fields.of_item(item)) or b""
        headers = request.headers.raw
        yield Event("", source.name, readable(type_), "", headers, body, request.received_at)


def masked(finding: Finding, source: Source) -> tuple[Any, ...]:
    """The values that an operator may read, by the rules for requests: of the others, how long."""
    kind, _, name = finding.place.partition(".")
    proof = proof_places(source.scheme)
    if kind == "header":
        pairs = tuple((name.encode(), str(each).encode("utf-8", "replace")) for each in finding.found)
        return tuple(value.decode("utf-8", "replace") for _, value in masked_headers(pairs, proof))
    if kind == "json" and (body_is_proof(proof) or SECRET_NAME.search(name)):
        return tuple(f"*** ({len(str(each))} characters)" for each in finding.found)
    return finding.found
