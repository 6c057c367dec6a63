"""What a source's file adds up to with its preset and the defaults.

Precedence of a value: the source's file, then its preset, then `[defaults]` of gateway.toml.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gateway.addresses import networks_of
from gateway.catalogue import Acknowledge, Identity, Preset, Strict, preset_names
from gateway.conditions import parse_condition
from gateway.core.addresses import AllowedAddresses, Network, parse_network
from gateway.core.condition import Condition, ConditionError
from gateway.core.published import AddressesError
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.faults import Fault
from gateway.settings import RetrySettings, Settings
from gateway.sources.file import SourceFile
from gateway.sources.proof import Proved, proof_of
from gateway.units import PRESET

M = TypeVar("M", bound=Strict)


def build_source(
    name: str, file: SourceFile, settings: Settings, environ: Mapping[str, str], where: str
) -> tuple[Source | None, list[Fault]]:
    """The checked source, or every fault that keeps it from being one."""
    preset, proof, faults = proof_of(name, file, settings, environ, where)
    networks, network_faults = _networks(file, where)
    when, when_faults = _when(file, where)
    faults += network_faults + when_faults
    if proof is None or faults:
        return None, faults
    return _assemble(name, file, preset, settings, proof, AllowedAddresses(networks), when), []


def _networks(file: SourceFile, where: str) -> tuple[tuple[Network, ...] | None, list[Fault]]:
    """What `allow_ips` adds up to: None for every address. `where` is in the sources' directory."""
    if file.allow_ips is None or file.preset not in (None, *preset_names()):
        return None, []
    networks: list[Network] = []
    faults: list[Fault] = []
    for index, text in enumerate(file.allow_ips):
        try:
            if text == PRESET:
                networks += networks_of(file.preset, Path(where).parents[1])
            else:
                networks.append(parse_network(text))
        except AddressesError as error:
            faults.append(Fault(where, f"allow_ips[{index}]", error.problem, error.mend))
    return tuple(networks), faults


def _when(file: SourceFile, where: str) -> tuple[Condition | None, list[Fault]]:
    if file.when is None:
        return None, []
    try:
        return parse_condition(file.when), []
    except ConditionError as error:
        return None, [Fault(where, *each) for each in error.problems]


def _assemble(
    name: str,
    file: SourceFile,
    preset: Preset | None,
    settings: Settings,
    proof: Proved,
    allowed: AllowedAddresses,
    when: Condition | None,
) -> Source:
    defaults, options = settings.defaults, proof.options
    ours = preset.source if preset else None
    identity = _over(preset.identity if preset else Identity(), file.identity)
    acknowledge = _over(preset.acknowledge if preset else Acknowledge(), file.acknowledge)
    return Source(
        name=name,
        path=file.path or f"/hooks/{name}",
        queue=file.queue or name,
        scheme=proof.scheme,
        keys=proof.keys,
        secrets=file.secrets if proof.keys else (),
        preset=file.preset,
        url=proof.url,
        key_source=proof.key_source.build().bind(options, name) if proof.key_source else None,
        identity=identity.build(options),
        handshakes=tuple(each.build(options) for each in preset.handshakes) if preset else (),
        acknowledgement=acknowledge.build(options).settled(),
        quarantine=file.on_bad_signature == "quarantine",
        spool=_spools(file, preset),
        allowed=allowed,
        trusted_proxies=_first(file.trusted_proxies, settings.server.trusted_proxies),
        rate_limit=file.rate_limit,
        max_body=int(_first(file.max_body, ours and ours.max_body, defaults.max_body)),
        dedup_window=_first(file.dedup_window, ours and ours.dedup_window, defaults.dedup_window),
        retention=_first(file.retention, defaults.retention),
        revive_dead=_first(file.revive_dead, ours and ours.revive_dead, False),
        retry=retry_policy(_over(defaults.retry, file.retry)),
        attempt_timeout=_first(file.attempt_timeout, defaults.attempt_timeout),
        concurrency=file.concurrency,
        max_pending=file.max_pending if file.max_pending is not None else defaults.max_pending,
        when=when,
    )


def _spools(file: SourceFile, preset: Preset | None) -> bool:
    if file.spool == "auto":
        return preset is not None and preset.sender.retries in ("none", "short")
    return file.spool


def _first(*values: Any) -> Any:
    """The first value that is set (False and 0 are)."""
    return next(value for value in values if value is not None)


def _over(table: M, own: M | None) -> M:
    """`table` with the keys that the source's own table sets: the others must not fall back further."""
    keys = own.model_fields_set if own else ()
    return table.model_copy(update={key: getattr(own, key) for key in keys})


def retry_policy(settings: RetrySettings) -> RetryPolicy:
    return RetryPolicy(settings.attempts, settings.first_delay, settings.factor, settings.longest_delay)
