"""The model of one `config/sources/NAME.toml`, and what it adds up to with its preset.

Precedence of a value: the source's file, then its preset, then `[defaults]` of gateway.toml.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field

from gateway.catalogue import (
    Acknowledge,
    Identity,
    Preset,
    Strict,
    UnverifiedVerify,
    Verify,
    load_preset,
    preset_names,
)
from gateway.core.addresses import AllowedAddresses, parse_network
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.core.verification import Scheme, SecretError
from gateway.faults import Fault, suggest
from gateway.secret_refs import SecretRefError, SecretValue, resolve
from gateway.settings import RetrySettings, Settings
from gateway.units import Duration, NetworkText, Rate, Size

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
M = TypeVar("M", bound=Strict)


class SourceFile(Strict):
    """One configured sender. Give `preset`, or describe the proof of origin in `[verify]`."""

    preset: str | None = None
    verify: Verify | None = None
    secrets: tuple[str, ...] = ()
    """References, all active at once: add the new one, let the provider change, remove the old."""
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]{1,200}$")] | None = None
    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    allow_ips: tuple[NetworkText, ...] | None = None
    """Absent: every address. An empty list: none."""
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
    identity: Identity | None = None
    acknowledge: Acknowledge | None = None
    retry: RetrySettings | None = None


def build_source(
    name: str, file: SourceFile, settings: Settings, environ: Mapping[str, str], where: str
) -> tuple[Source | None, list[Fault]]:
    """The checked source, or every fault that keeps it from being one."""
    preset, verify, faults = _proof_of_origin(file, where)
    scheme = verify.build() if verify else None
    keys, secret_faults = _load_keys(file, scheme, environ, where)
    faults += secret_faults
    if scheme is None or faults:
        return None, faults
    return _assemble(name, file, preset, settings, scheme, keys), []


def _proof_of_origin(file: SourceFile, where: str) -> tuple[Preset | None, Verify | None, list[Fault]]:
    if file.preset is not None and file.preset not in preset_names():
        hint = suggest(file.preset, list(preset_names()))
        return None, None, [Fault(where, "preset", f"unknown preset {file.preset!r}", hint)]
    preset = load_preset(file.preset) if file.preset is not None else None
    if preset is not None and file.verify is not None:
        return None, None, [Fault(where, "verify", "stands beside preset", "keep one of the two")]
    verify = preset.verify if preset else file.verify
    if verify is None:
        mend = 'add preset = "..." (see `hookline presets`), or a [verify] table with a scheme'
        return None, None, [Fault(where, "preset", "neither preset nor [verify]", mend)]
    return preset, verify, []


def _load_keys(
    file: SourceFile, scheme: Scheme | None, environ: Mapping[str, str], where: str
) -> tuple[tuple[Any, ...], list[Fault]]:
    """The keys for `scheme`; when that is not known, only what is wrong with the references."""
    if scheme is not None and not scheme.needs_secret:
        return (), []
    if not file.secrets:
        return (), [Fault(where, "secrets", "is empty", 'add secrets = ["env:NAME"]')]
    keys: list[Any] = []
    faults: list[Fault] = []
    for index, reference in enumerate(file.secrets):
        key = f"secrets[{index}]"
        try:
            secret = resolve(reference, environ).value
            keys.append(scheme.load_key(secret) if scheme else None)
        except SecretRefError as error:
            faults.append(Fault(where, key, error.problem, error.mend))
        except SecretError as error:
            faults.append(Fault(where, key, str(error), "copy it from the provider again"))
    return tuple(keys), faults


def _assemble(
    name: str,
    file: SourceFile,
    preset: Preset | None,
    settings: Settings,
    scheme: Scheme,
    keys: tuple[Any, ...],
) -> Source:
    defaults = settings.defaults
    ours = preset.source if preset else None
    identity = _over(preset.identity if preset else Identity(), file.identity)
    acknowledge = _over(preset.acknowledge if preset else Acknowledge(), file.acknowledge)
    networks = None if file.allow_ips is None else tuple(parse_network(text) for text in file.allow_ips)
    return Source(
        name=name,
        path=file.path or f"/hooks/{name}",
        queue=file.queue or name,
        scheme=scheme,
        keys=keys,
        preset=file.preset,
        identity=identity.build(),
        handshakes=tuple(each.build() for each in preset.handshakes) if preset else (),
        acknowledgement=acknowledge.build(),
        allowed=AllowedAddresses(networks),
        trusted_proxies=_first(file.trusted_proxies, settings.server.trusted_proxies),
        rate_limit=file.rate_limit,
        max_body=int(_first(file.max_body, ours and ours.max_body, defaults.max_body)),
        dedup_window=_first(file.dedup_window, ours and ours.dedup_window, defaults.dedup_window),
        retention=_first(file.retention, defaults.retention),
        revive_dead=_first(file.revive_dead, ours and ours.revive_dead, False),
        retry=retry_policy(_over(defaults.retry, file.retry)),
        attempt_timeout=_first(file.attempt_timeout, defaults.attempt_timeout),
        concurrency=file.concurrency,
    )


def _first(*values: Any) -> Any:
    """The first value that is set (False and 0 are)."""
    return next(value for value in values if value is not None)


def _over(table: M, own: M | None) -> M:
    """`table` with the keys that the source's own table sets: the others must not fall back further."""
    keys = own.model_fields_set if own else ()
    return table.model_copy(update={key: getattr(own, key) for key in keys})


def retry_policy(settings: RetrySettings) -> RetryPolicy:
    return RetryPolicy(settings.attempts, settings.first_delay, settings.factor, settings.longest_delay)


def is_unverified(file: SourceFile) -> bool:
    return isinstance(file.verify, UnverifiedVerify)


def secret_values(file: SourceFile, environ: Mapping[str, str]) -> list[SecretValue]:
    """The secrets of a file that resolve, for cross-checks between sources."""
    values = []
    for reference in file.secrets:
        try:
            values.append(resolve(reference, environ))
        except SecretRefError:
            continue
    return values
