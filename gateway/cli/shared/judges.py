"""What `hookline explain` judges a request by: a preset, or a configured source."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.shared.deployment import command_environ, current_place, load_or_exit, source_or_exit
from gateway.cli.shared.exits import FAILED, fail, fail_unknown

if TYPE_CHECKING:
    from gateway.catalogue import Preset
    from gateway.core.source import Source
    from gateway.core.verification import Scheme
    from gateway.diagnosis import Other
    from gateway.faults import Fault
    from gateway.secret_refs import SecretValue


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line. `at` and `options` as they were written."""

    what: str
    source: str | None
    preset: str | None
    secrets: tuple[str, ...]
    options: tuple[str, ...]
    url: str | None
    at: str | None


@dataclass(frozen=True, slots=True)
class Judge:
    """What a request is judged by."""

    scheme: "Scheme"
    secrets: "tuple[SecretValue, ...]"
    preset: str | None = None
    source: str | None = None
    url: str = ""
    hidden: tuple[bytes, ...] = ()
    others: "tuple[Other, ...]" = ()


def by_preset(asked: Asked) -> Judge:
    from gateway.catalogue import load_preset, preset_names
    from gateway.crypto import ExtraMissing
    from gateway.options import load_options, options_of_proof

    if asked.preset not in preset_names():
        fail_unknown("preset", str(asked.preset), list(preset_names()))
    preset, environ = load_preset(asked.preset), command_environ()
    given = dict(_pair(text) for text in asked.options)
    needed = options_of_proof(preset.verify)
    asked_for = {name: each for name, each in preset.options.items() if name in needed | given.keys()}
    options, faults = load_options(asked_for, given, environ, "--option")
    if faults:
        raise click.UsageError("\n".join(f"--option {_said(fault)}" for fault in faults))
    try:
        scheme = preset.verify.build(options)
    except ExtraMissing as missing:
        fail(FAILED, str(missing))
    if scheme.needs_secret and not asked.secrets:
        raise click.UsageError("Add --secret env:NAME, or --secret file:/path for a public key.")
    secrets = _secrets(asked.secrets, environ)
    return Judge(scheme, secrets, asked.preset, hidden=_secret_options(preset, options))


def _said(fault: "Fault") -> str:
    mend = f" → {fault.mend}" if fault.problem.startswith("is no") else ""
    return f"{fault.key.removeprefix('options.')}: {fault.problem}{mend}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError("--option is written NAME=VALUE")
    return name, value


def _secrets(references: Iterable[str], environ: Mapping[str, str]) -> "tuple[SecretValue, ...]":
    """Weak ones too: a sample's secret may well be one."""
    from gateway.secret_refs import SecretRefError, resolve

    try:
        return tuple(resolve(each, environ, refuse_weak=False) for each in references)
    except SecretRefError as error:
        raise click.UsageError(f"--secret {error}") from None


def _secret_options(preset: "Preset | None", options: Mapping[str, bytes]) -> tuple[bytes, ...]:
    asked = preset.options if preset else {}
    return tuple(value for name, value in options.items() if name in asked and asked[name].secret)


def by_source(asked: Asked, kept_for: str) -> Judge:
    """`kept_for`: the source that the request itself names."""
    name = asked.source or kept_for
    if not name:
        raise click.UsageError("Name the SOURCE, or give --preset NAME --secret REF.")
    if asked.options:
        raise click.UsageError("--option is for --preset: a source has its own.")
    app, environ = load_or_exit(), command_environ()
    source = source_or_exit(app, name)
    own = _secrets(asked.secrets, environ) or _known_secrets(source.secrets, environ)
    if source.scheme.needs_secret and not own:
        raise click.UsageError(
            f"Source {name} has no secret in its file (its keys are fetched, or taught):"
            " add --secret REF with the key that was in use."
        )
    others = tuple(
        _other(each, environ) for each in app.config.sources if each.name != name and each.keys
    )
    hidden = _options_of(source, environ)
    return Judge(source.scheme, own, source.preset, name, source.url, hidden, others)


def _known_secrets(references: Iterable[str], environ: Mapping[str, str]) -> "tuple[SecretValue, ...]":
    """Those that resolve: the configuration has been checked."""
    from gateway.secret_refs import SecretRefError, resolve

    found: list[Any] = []
    for reference in references:
        try:
            found.append(resolve(reference, environ))
        except SecretRefError:
            continue
    return tuple(found)


def _other(source: "Source", environ: Mapping[str, str]) -> "Other":
    from gateway.diagnosis import Other

    secrets = _known_secrets(source.secrets, environ)
    return Other(source.name, source.scheme, secrets, source.url)


def _options_of(source: "Source", environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """The secret options of a source: a Source has them only within its templates."""
    from gateway.catalogue import load_preset
    from gateway.configuration import read_file
    from gateway.options import load_options
    from gateway.sources import SourceFile

    path = current_place().config / "sources" / f"{source.name}.toml"
    file = read_file(path, SourceFile, []) or SourceFile()
    preset = load_preset(source.preset) if source.preset else None
    options, _ = load_options(preset.options if preset else {}, file.options, environ, os.fspath(path))
    return _secret_options(preset, options)


def all_presets() -> "Iterator[tuple[str, Scheme]]":
    from gateway.catalogue import load_preset, preset_names
    from gateway.crypto import ExtraMissing

    for name in preset_names():
        try:
            yield name, load_preset(name).verify.build({})
        except (ExtraMissing, ValueError):
            continue
