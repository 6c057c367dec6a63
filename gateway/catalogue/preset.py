"""A preset: one provider's facts, in `presets/NAME.toml`. Adding a provider touches no Python."""

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.catalogue.answers import Acknowledge, HandshakeFile
from gateway.catalogue.proof import Verify
from gateway.catalogue.published import PublishedAddresses
from gateway.catalogue.strict import NO_OPTIONS, Options, Strict, Text, template
from gateway.core.identity import IdentityRules
from gateway.units import Duration, Size, TemplateText


class Identity(Strict):
    """Where the event's id and type are: the first template that resolves. None: the body's hash."""

    event_id: tuple[TemplateText, ...] = ()
    event_id_signed: bool = True
    """Whether the proof covers the id. If not, the same signed bytes with another id are a repeat."""
    trust_unsigned_id: bool = False
    """Take such a repeat for another event: for senders that may mean the same twice, and no loss."""
    id_prefix: str = ""
    """What the provider's ids begin with: for the ids of samples that we send."""
    event_type: tuple[TemplateText, ...] = ()
    batch: Text | None = None
    """The path of the array whose items are events of their own, `$` for the body itself."""
    batch_field: Text | None = None
    """The form field that holds the JSON with this array; none: it is the body."""

    def build(self, options: Options = NO_OPTIONS) -> IdentityRules:
        return IdentityRules(
            tuple(template(text, options) for text in self.event_id),
            tuple(template(text, options) for text in self.event_type),
            self.event_id_signed or self.trust_unsigned_id,
            self.batch,
            self.batch_field,
        )


class Sender(Strict):
    """How the provider behaves: what our answer may cost."""

    deadline: Duration | None = None
    retries: Literal["none", "short", "long", "unknown"] = "unknown"
    retry_schedule: str = ""
    disables_on: str = ""
    facts: Literal["vendor", "third-party", "unchecked"] = "unchecked"
    """Where these facts, and those about ids and types, come from."""


class SourceDefaults(Strict):
    """What a source of this preset gets unless its own file says otherwise."""

    max_body: Size | None = None
    dedup_window: Duration | None = None
    revive_dead: bool | None = None


class Option(Strict):
    """Something that this provider's sources must say beside their secrets, in `[options]`."""

    about: Text
    secret: bool = False
    default: str | None = None
    """Absent: the option must be given."""


class Preset(Strict):
    name: str
    category: str = "Other"
    links: Annotated[tuple[str, ...], Field(min_length=1)]
    checked: date
    trust: Literal["vendor-code", "vendor-docs", "third-party"]
    body_signed: bool = True
    """Whether the proof covers the whole body; where not, whoever saw one request can write another."""
    notes: str = ""
    verify: Verify
    identity: Identity = Identity()
    handshakes: tuple[HandshakeFile, ...] = ()
    acknowledge: Acknowledge = Acknowledge()
    sender: Sender = Sender()
    source: SourceDefaults = SourceDefaults()
    options: dict[str, Option] = {}
    addresses: PublishedAddresses | None = None


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
