"""Reads `config/`: gateway.toml and sources/*.toml. All faults at once, or one immutable value."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from gateway.addresses import staleness
from gateway.catalogue import Strict
from gateway.core.builtin import BuiltIn
from gateway.core.event import INTERNAL
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.source import Source
from gateway.faults import ConfigError, Fault, faults_of
from gateway.secret_refs import SecretRefError, readable_by_others, resolve
from gateway.settings import Settings
from gateway.sources import (
    NAME,
    ForwardFile,
    SourceFile,
    build_builtin,
    build_source,
    is_unverified,
    retry_policy,
    secret_values,
)
from gateway.units import PRESET

M = TypeVar("M", bound=Strict)
STAND_IN: Final = {"run": "log"}


@dataclass(frozen=True, slots=True)
class Config:
    """A checked deployment. `warnings` are for people: allowed, but dangerous."""

    settings: Settings
    sources: tuple[Source, ...]
    warnings: tuple[str, ...] = ()
    builtin: tuple[BuiltIn, ...] = ()

    def source(self, name: str) -> Source | None:
        return next((source for source in self.sources if source.name == name), None)

    @property
    def internal(self) -> Source:
        """What processors emit, under the defaults."""
        defaults = self.settings.defaults
        return Source(
            name=INTERNAL,
            path="",
            queue=INTERNAL,
            scheme=UnverifiedScheme(),
            keys=(),
            dedup_window=defaults.dedup_window,
            retention=defaults.retention,
            retry=retry_policy(defaults.retry),
            attempt_timeout=defaults.attempt_timeout,
        )

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source.queue for source in self.sources))


def load_config(directory: Path, environ: Mapping[str, str]) -> Config:
    """Raises ConfigError with every fault of every file."""
    faults: list[Fault] = []
    if not directory.is_dir():
        mend = "give --config DIR or set HOOKLINE_CONFIG"
        raise ConfigError([Fault(str(directory), "", "is no directory", mend)])
    gateway_file = directory / "gateway.toml"
    settings = (
        read_file(gateway_file, Settings, faults) if gateway_file.exists() else None
    ) or Settings()
    if directory_of_spool := environ.get("HOOKLINE_SPOOL"):
        own = settings.spool.model_copy(update={"directory": directory_of_spool})
        settings = settings.model_copy(update={"spool": own})
    faults += _check_admin(settings, environ, str(gateway_file))
    files = _read_sources(directory / "sources", faults)
    sources: list[tuple[Path, Source]] = []
    builtin: list[BuiltIn] = []
    for path, file in files:
        source, source_faults = build_source(path.stem, file, settings, environ, str(path))
        built, builtin_faults = build_builtin(path.stem, file.processors, environ, str(path))
        faults += source_faults + builtin_faults
        builtin += built
        if source:
            sources.append((path, source))
    faults += _check_clashes([(path, file.path or f"/hooks/{path.stem}") for path, file in files])
    if faults:
        raise ConfigError(faults)
    warnings = tuple(_warnings(files, environ))
    return Config(settings, tuple(source for _, source in sources), warnings, tuple(builtin))


def read_file(path: Path, model: type[M], faults: list[Fault]) -> M | None:
    """The file as `model`, its faults added to `faults`; with faults, what is sound of it, or None.

    What is sound goes on to be checked: a mistyped key must not hide an unset secret beside it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(str(path), "", f"cannot be read: {error}", "make it readable UTF-8"))
        return None
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(str(path), "", f"is not TOML: {error}", "correct the syntax there"))
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults.extend(faults_of(error, str(path), model))
        return _sound_part(data, model, [detail["loc"] for detail in error.errors()])


def _sound_part(
    data: dict[str, Any], model: type[M], places: Sequence[tuple[int | str, ...]]
) -> M | None:
    """The file without its faulty keys; None where what is left would mean something else."""
    unsound = {str(place[0]) for place in places if place}
    if unsound & {"preset", "verify", "secrets"}:
        return None
    sound = {key: data[key] for key in data.keys() - unsound}
    if "processors" in unsound:
        sound["processors"] = _sound_tables(data["processors"], [place[1:2] for place in places])
    try:
        return model.model_validate(sound)
    except ValidationError:
        return None


def _sound_tables(tables: Any, unsound: Sequence[tuple[int | str, ...]]) -> list[Any]:
    """The tables, in the place of an unsound one another: those behind it keep their numbers."""
    known = tables if isinstance(tables, list) else []
    return [STAND_IN if (index,) in unsound else table for index, table in enumerate(known)]


def _read_sources(directory: Path, faults: list[Fault]) -> list[tuple[Path, SourceFile]]:
    paths = sorted(directory.glob("*.toml")) if directory.is_dir() else []
    if not paths:
        faults.append(Fault(str(directory), "", "holds no source", "add NAME.toml, one file a source"))
    read: list[tuple[Path, SourceFile]] = []
    for path in paths:
        if not re.fullmatch(NAME, path.stem):
            mend = "use lower-case letters, digits and hyphens"
            faults.append(Fault(str(path), "", f"{path.stem!r} is no source name", mend))
        if path.stem == INTERNAL:
            problem = "is the source of what processors emit: no request may come in under its name"
            faults.append(Fault(str(path), "", problem, "give the file another name"))
        file = read_file(path, SourceFile, faults)
        if file:
            read.append((path, file))
    return read


def _check_admin(settings: Settings, environ: Mapping[str, str], where: str) -> list[Fault]:
    admin = settings.admin
    if admin.token is None:
        if admin.host in ("127.0.0.1", "::1", "localhost"):
            return []
        mend = 'add token = "env:NAME", or bind to 127.0.0.1'
        return [Fault(where, "admin.token", f"is required when admin.host is {admin.host}", mend)]
    try:
        resolve(admin.token, environ)
    except SecretRefError as error:
        return [Fault(where, "admin.token", error.problem, error.mend)]
    return []


def _check_clashes(paths: Iterable[tuple[Path, str]]) -> list[Fault]:
    owners: dict[str, Path] = {}
    faults = []
    for file, path in paths:
        if path in ("/livez", "/readyz"):
            faults.append(
                Fault(str(file), "path", f"{path} is a health check's", "choose another path")
            )
        elif path in owners:
            problem = f"{path} is already the path of {owners[path]}"
            faults.append(Fault(str(file), "path", problem, "give each source its own path"))
        else:
            owners[path] = file
    return faults


def _warnings(files: list[tuple[Path, SourceFile]], environ: Mapping[str, str]) -> Iterable[str]:
    owners: dict[bytes, Path] = {}
    for path, file in files:
        if is_unverified(file):
            yield f"{path}: scheme unverified: anybody who knows the URL is believed"
        for index, each in enumerate(file.processors):
            if isinstance(each, ForwardFile) and each.insecure:
                yield f"{path}: processors[{index}] is insecure: what it sends can be read on its way"
        if file.preset and PRESET in (file.allow_ips or ()):
            stale = staleness(file.preset, path.parents[1], date.today())
            yield from [f"{path}: {stale}"] if stale else ()
        for reference in file.secrets:
            kind, _, name = reference.partition(":")
            if kind == "file" and readable_by_others(Path(name)):
                yield f"{path}: {name} can be read by every user of this machine"
        for secret in secret_values(file, environ):
            other = owners.setdefault(secret.value, path)
            if other != path:
                yield f"{path}: shares a secret with {other}: a request to one can be sent to the other"
