"""The model of one `config/sources/NAME.toml`."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.catalogue import Acknowledge, Identity, Strict, Verify
from gateway.settings import RetrySettings
from gateway.sources.builtin_file import ProcessorFile
from gateway.sources.when import When
from gateway.units import AllowedText, Duration, PublicUrl, Rate, Size

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


class SourceFile(Strict):
    """One configured sender. Give `preset`, or describe the proof of origin in `[verify]`."""

    preset: str | None = None
    verify: Verify | None = None
    secrets: tuple[str, ...] = ()
    """References, all active at once: add the new one, let the provider change, remove the old."""
    options: dict[str, str] = Field(default_factory=dict)
    """What the preset asks for beside secrets; a value may be a reference, and a secret one must be."""
    on_bad_signature: Literal["refuse", "quarantine"] = "refuse"
    """quarantine: what is refused for its signature is kept whole, for `hookline refused release`."""
    spool: Literal["auto"] | bool = "auto"
    """Keep on disk what comes while Redis is away. auto: where the preset's sender soon gives up."""
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]{1,200}$")] | None = None
    public_url: PublicUrl | None = None
    """The URL as the provider has it, if it is not server.public_url and the path: some sign it."""
    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    allow_ips: tuple[AllowedText, ...] | None = None
    """Absent: every address. An empty list: none. `"preset"`: those that the provider publishes."""
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] | None = None
    rate_limit: Rate | None = None
    """Verified requests of this source, over all gateways."""
    max_body: Size | None = None
    dedup_window: Duration | None = None
    retention: Duration | None = None
    revive_dead: bool | None = None
    """Whether a duplicate of a dead event brings it back."""
    attempt_timeout: Duration | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    """The most deliveries of this source that one worker runs at once."""
    max_pending: Annotated[int, Field(ge=1)] | None = None
    """Deliveries that are neither done nor dead. Beyond it this source is told to come again later."""
    identity: Identity | None = None
    acknowledge: Acknowledge | None = None
    retry: RetrySettings | None = None
    when: When | None = None
    """What is not so is verified, answered and counted, but neither stored nor processed."""
    processors: tuple[ProcessorFile, ...] = ()
    """Processors that need no code, for the events of this source."""
