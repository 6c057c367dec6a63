"""A source's proof of origin: its scheme, the keys for it, and what the preset asks for beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.catalogue import (
    KeySourceFile,
    Options,
    Preset,
    UnverifiedVerify,
    Verify,
    key_source_of,
    load_preset,
    preset_names,
)
from gateway.core.verification import Scheme, SecretError
from gateway.crypto import ExtraMissing
from gateway.faults import Fault, suggest
from gateway.options import load_options, signs_url
from gateway.secret_refs import SecretRefError, SecretValue, resolve
from gateway.settings import Settings
from gateway.sources.file import SourceFile


@dataclass(frozen=True, slots=True)
class Proved:
    """What `_assemble` needs of a source's proof of origin."""

    scheme: Scheme
    keys: tuple[Any, ...]
    key_source: KeySourceFile | None
    options: Options
    url: str


def proof_of(
    name: str, file: SourceFile, settings: Settings, environ: Mapping[str, str], where: str
) -> tuple[Preset | None, Proved | None, list[Fault]]:
    """The source's preset, if it has one, and its proof; None with every fault that there is in it."""
    preset, verify, faults = _proof_of_origin(file, where)
    asked = preset.options if preset else {}
    options, option_faults = load_options(asked, file.options, environ, where)
    scheme, scheme_faults = _scheme(verify, options, where)
    keys, secret_faults = _load_keys(file, preset, verify, scheme, environ, where)
    url = _public_url(name, file, settings)
    if verify and not url and signs_url(verify):
        mend = 'set server.public_url in gateway.toml, or public_url = "https://..." here'
        faults.append(Fault(where, "public_url", "is missing: this provider signs the URL", mend))
    faults += option_faults + scheme_faults + secret_faults
    if verify is None or scheme is None or faults:
        return preset, None, faults
    return preset, Proved(scheme, keys, key_source_of(verify), options, url), []


def _scheme(verify: Verify | None, options: Options, where: str) -> tuple[Scheme | None, list[Fault]]:
    try:
        return (verify.build(options) if verify else None), []
    except ExtraMissing as missing:
        problem, _, mend = str(missing).partition(" → ")
        return None, [Fault(where, "verify.scheme", problem, mend)]


def _public_url(name: str, file: SourceFile, settings: Settings) -> str:
    base = settings.server.public_url
    return file.public_url or (base.rstrip("/") + (file.path or f"/hooks/{name}") if base else "")


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
    file: SourceFile,
    preset: Preset | None,
    verify: Verify | None,
    scheme: Scheme | None,
    environ: Mapping[str, str],
    where: str,
) -> tuple[tuple[Any, ...], list[Fault]]:
    """The keys for `scheme`; when that is not known, only what is wrong with the references."""
    if (scheme is not None and not scheme.needs_secret) or (verify and key_source_of(verify)):
        return (), []
    taught = preset is not None and any(each.learn for each in preset.handshakes)
    if not file.secrets and not taught:
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


def is_unverified(file: SourceFile) -> bool:
    """By its own table, or because its provider proves nothing."""
    preset = load_preset(file.preset) if file.preset in preset_names() else None
    return isinstance(preset.verify if preset else file.verify, UnverifiedVerify)


def secret_values(file: SourceFile, environ: Mapping[str, str]) -> list[SecretValue]:
    """The secrets of a file that resolve, for cross-checks between sources."""
    values = []
    for reference in file.secrets:
        try:
            values.append(resolve(reference, environ))
        except SecretRefError:
            continue
    return values
