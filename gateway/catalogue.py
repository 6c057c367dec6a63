"""The catalogue of presets: provider facts as data, in `presets/*.toml`.

A preset says how a provider proves origin, where the event's id and type are, and how it behaves
as a sender. Adding a provider touches no Python.
"""

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.core.handshake import Handshake, Reply
from gateway.core.identity import IdentityRules
from gateway.core.schemes.basic_auth import BasicAuthScheme
from gateway.core.schemes.signature import SignatureScheme, Timestamp
from gateway.core.schemes.token import TokenScheme
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.template import Reference, compile_template
from gateway.core.verification import Scheme
from gateway.units import Duration, Size, TemplateText


class Strict(BaseModel):
    """Unknown keys are refused: a mistyped key must never be a silently missing protection."""

    # No input in errors: what stands in the wrong place may be a secret.
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )


# What RFC 9110 calls a token: any other name would never match, and so never be found.
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Text = Annotated[str, Field(min_length=1)]


class SignedTime(Strict):
    """Where the signed time stands (`header`; absent: beside the signature) and how old it may be."""

    header: HeaderName | None = None
    unit: Literal["s", "ms"] = "s"
    tolerance: Duration = 300.0


class SignatureVerify(Strict):
    """HMAC of a template over the raw body."""

    scheme: Literal["signature"]
    header: HeaderName
    message: TemplateText = "{body}"
    digest: Literal["md5", "sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    form: Literal["single", "list", "pairs"] = "single"
    prefix: str = ""
    separator: Text = ","
    signature_key: Text = "v1"
    timestamp_key: Text = "t"
    key_encoding: Literal["utf8", "hex", "base64"] = "utf8"
    key_prefix: str = ""
    timestamp: SignedTime | None = None

    @model_validator(mode="after")
    def _time_is_found_and_signed(self) -> Self:
        """Refuses what would never let a request in, and a time that anybody could renew."""
        signed, time = set(compile_template(self.message).references()), self.timestamp
        if time is None and Reference("ts") in signed:
            raise ValueError('{ts} stands for nothing → add timestamp = { tolerance = "5m" }')
        if time and not time.header and self.form != "pairs":
            raise ValueError('timestamp stands nowhere → add its header, or form = "pairs"')
        if time and signed.isdisjoint(_names_of(time)):
            raise ValueError("the time is not signed → add {ts} to message, or remove timestamp")
        return self

    def build(self) -> Scheme:
        return SignatureScheme(
            header=self.header.lower().encode(),
            message=compile_template(self.message),
            digest=self.digest,
            encoding=self.encoding,
            form=self.form,
            prefix=self.prefix.encode(),
            separator=self.separator.encode(),
            signature_key=self.signature_key.encode(),
            timestamp_key=self.timestamp_key.encode(),
            key_encoding=self.key_encoding,
            key_prefix=self.key_prefix.encode(),
            timestamp=_timestamp(self.timestamp) if self.timestamp else None,
        )


def _names_of(time: SignedTime) -> set[Reference]:
    """The names by which a message can contain the signed time."""
    return {Reference("ts"), Reference("header", (time.header or "").lower())}


def _timestamp(time: SignedTime) -> Timestamp:
    header = time.header.lower().encode() if time.header else None
    return Timestamp(header, time.unit == "ms", time.tolerance)


class TokenVerify(Strict):
    """A shared token in a header or a query value. The body is not covered by it."""

    scheme: Literal["token"]
    header: HeaderName | None = None
    query: Text | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.header and self.query:
            raise ValueError("has header and query → keep the one where the token stands")
        return self

    def build(self) -> Scheme:
        place = Reference("query", self.query) if self.query else None
        header = (self.header or "authorization").lower()
        return TokenScheme(place or Reference("header", header), self.prefix.encode())


class BasicAuthVerify(Strict):
    """HTTP basic authentication; the secret is user:password."""

    scheme: Literal["basic-auth"]

    def build(self) -> Scheme:
        return BasicAuthScheme()


class UnverifiedVerify(Strict):
    """No proof of origin: anybody who knows the URL is believed."""

    scheme: Literal["unverified"]

    def build(self) -> Scheme:
        return UnverifiedScheme()


Verify = Annotated[
    SignatureVerify | TokenVerify | BasicAuthVerify | UnverifiedVerify, Field(discriminator="scheme")
]


class Identity(Strict):
    """Where the event's id and type are: the first template that resolves. None: the body's hash."""

    event_id: tuple[TemplateText, ...] = ()
    event_id_signed: bool = True
    id_prefix: str = ""
    """What the provider's ids begin with: for the ids of samples that we send."""
    event_type: tuple[TemplateText, ...] = ()

    def build(self) -> IdentityRules:
        return IdentityRules(
            tuple(compile_template(text) for text in self.event_id),
            tuple(compile_template(text) for text in self.event_type),
        )


class HandshakeFile(Strict):
    """A challenge that the provider sends to see that we own the URL."""

    method: Literal["GET", "POST"] = "POST"
    headers: dict[str, str] = {}
    when_json: dict[str, str] = {}
    signed: bool = True
    echo: TemplateText

    def build(self) -> Handshake:
        return Handshake(
            method=self.method,
            echo=compile_template(self.echo),
            headers=tuple(
                (name.lower().encode(), value.encode()) for name, value in self.headers.items()
            ),
            json=tuple(self.when_json.items()),
            signed=self.signed,
        )


class Acknowledge(Strict):
    """The answer to an accepted webhook."""

    status: Annotated[int, Field(ge=200, le=299)] = 200
    body: str = ""
    content_type: Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,200}$")] = "text/plain; charset=utf-8"

    def build(self) -> Reply:
        return Reply(self.status, self.body.encode(), self.content_type)


class Sender(Strict):
    """How the provider behaves: what our answer may cost."""

    deadline: Duration | None = None
    retries: Literal["none", "short", "long", "unknown"] = "unknown"
    retry_schedule: str = ""
    disables_on: str = ""


class SourceDefaults(Strict):
    """What a source of this preset gets unless its own file says otherwise."""

    max_body: Size | None = None
    dedup_window: Duration | None = None
    revive_dead: bool | None = None


class Preset(Strict):
    name: str
    links: tuple[str, ...]
    checked: date
    trust: Literal["vendor-code", "vendor-docs", "third-party"]
    notes: str = ""
    verify: Verify
    identity: Identity = Identity()
    handshakes: tuple[HandshakeFile, ...] = ()
    acknowledge: Acknowledge = Acknowledge()
    sender: Sender = Sender()
    source: SourceDefaults = SourceDefaults()


@cache
def preset_names() -> tuple[str, ...]:
    names = (entry.name for entry in files("gateway.presets").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def load_preset(name: str) -> Preset:
    """A preset by name. Raises KeyError for an unknown one; ours are checked by the tests."""
    if name not in preset_names():
        raise KeyError(name)
    text = files("gateway.presets").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    return Preset.model_validate(data)
