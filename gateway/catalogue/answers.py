"""The `[acknowledge]` and `[[handshakes]]` tables: what a provider is answered."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.strict import NO_OPTIONS, HeaderName, Options, Place, Strict, template
from gateway.core.handshake import Condition, Handshake, Proof
from gateway.core.reply import JSON, TEXT, ReplyTemplate
from gateway.core.template import reference_of
from gateway.units import TemplateText

NAMED: Final = re.compile(r"\{(header|query|form|json|config)\.[^{}]+\}")  # and no JSON
ContentType = Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,200}$")]


class Acknowledge(Strict):
    """The answer to an accepted webhook: a `body` as it is, an `echo`, which is a template, or a `json`
    value, whose texts are templates. Headers are templates too."""

    status: Annotated[int, Field(ge=200, le=299)] = 200
    body: str = ""
    echo: TemplateText = ""
    json_: Annotated[Any, Field(alias="json")] = None
    content_type: ContentType | None = None
    headers: dict[HeaderName, TemplateText] = {}

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if sum((bool(self.body), bool(self.echo), self.json_ is not None)) > 1:
            raise ValueError("has more than one of body, echo and json → keep one")
        if NAMED.search(self.body):
            raise ValueError("names something of the request in body → write it as echo")
        return self

    def build(self, options: Options = NO_OPTIONS) -> ReplyTemplate:
        return ReplyTemplate(
            status=self.status,
            body=template(self.echo, options) if self.echo else self.body.encode(),
            json=_templates(self.json_, options),
            content_type=self.content_type or (TEXT if self.json_ is None else JSON),
            headers=tuple((name, template(text, options)) for name, text in self.headers.items()),
        )


def _templates(value: Any, options: Options) -> Any:
    """A JSON value with its texts compiled."""
    if isinstance(value, str):
        return template(value, options)
    if isinstance(value, dict):
        return {key: _templates(each, options) for key, each in value.items()}
    return [_templates(each, options) for each in value] if isinstance(value, list) else value


class HandshakeFile(Strict):
    """A challenge that the provider sends to see that we own the URL."""

    method: Literal["GET", "POST", "HEAD", "OPTIONS"] = "POST"
    headers: dict[HeaderName, str] = {}
    query: dict[str, str] = {}
    when_json: dict[str, Any] = {}
    has: tuple[Place, ...] = ()
    """Names that must be there, such as `query.hub.challenge`."""
    matches: dict[Place, str] = {}
    """Names whose values must match a regular expression in full."""
    proof: Proof = Proof.SIGNED
    """signed: only when the signature holds; armed: only after `hookline handshake arm SOURCE`."""
    require: dict[TemplateText, TemplateText] = {}
    """What must be equal, such as the token that we gave the provider."""
    otherwise: Annotated[int, Field(ge=400, le=499)] | None = None
    learn: Place | None = None
    """Where the secret stands that this handshake teaches us."""
    visit: TemplateText | None = None
    """The URL that we must call to confirm, if its host matches one of the `visit_hosts`."""
    visit_hosts: tuple[str, ...] = ()
    reply: Acknowledge = Acknowledge()

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.learn and self.proof is not Proof.ARMED:
            raise ValueError('teaches a secret to anybody → add proof = "armed"')
        if self.visit and (self.proof is not Proof.SIGNED or not self.visit_hosts):
            raise ValueError('visits what anybody names → add proof = "signed" and visit_hosts')
        return self

    def build(self, options: Options = NO_OPTIONS) -> Handshake:
        return Handshake(
            when=Condition(
                method=self.method,
                headers=tuple((name.lower(), value.encode()) for name, value in self.headers.items()),
                query=tuple((name, value.encode()) for name, value in self.query.items()),
                json=tuple(self.when_json.items()),
                has=tuple(reference_of(each) for each in self.has),
                matches=tuple((reference_of(name), each) for name, each in self.matches.items()),
            ),
            reply=self.reply.build(options),
            proof=self.proof,
            require=tuple(
                (template(left, options), template(right, options))
                for left, right in self.require.items()
            ),
            otherwise=self.otherwise,
            learn=reference_of(self.learn) if self.learn else None,
            visit=template(self.visit, options) if self.visit else None,
            visit_hosts=self.visit_hosts,
        )
