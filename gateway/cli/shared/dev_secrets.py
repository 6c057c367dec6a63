"""Development secrets: made up for what is not set, and kept in .hookline/dev.env."""

import base64
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.shared.deployment import DEV_DIR, DEV_ENV, read_env

if TYPE_CHECKING:
    from gateway.sources import SourceFile


def dev_secrets(config: Path) -> dict[str, str]:
    """A made-up secret for each `env:` reference that is unset; the same at every start."""
    from gateway.configuration import read_file
    from gateway.sources import SourceFile

    kept = read_env(DEV_ENV)
    files = [read_file(path, SourceFile, []) for path in sorted((config / "sources").glob("*.toml"))]
    references = [each for file in files if file for each in _references(file)]
    wanted = [each.removeprefix("env:") for each in references if each.startswith("env:")]
    missing = [name for name in wanted if name not in os.environ]
    # 24 random bytes as whsec_ text: fit for providers that use the text, and for those that decode it.
    made = {
        name: kept.get(name) or "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        for name in missing
    }
    if made.keys() - kept.keys():
        _write_env(kept | made)
    return made


def _references(file: "SourceFile") -> Iterator[str]:
    """Of what proves who sends, and of what signs what is forwarded."""
    from gateway.sources import ForwardFile

    yield from file.secrets
    for table in file.processors:
        if isinstance(table, ForwardFile) and table.secret:
            yield from (table.secret,) if isinstance(table.secret, str) else table.secret


def _write_env(values: Mapping[str, str]) -> None:
    DEV_DIR.mkdir(exist_ok=True)
    lines = ["# Development secrets, made by `hookline dev`. Never use them elsewhere."]
    lines += [f"{name}={value}" for name, value in sorted(values.items())]
    descriptor = os.open(DEV_ENV, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
