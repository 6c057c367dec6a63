"""Secrets by reference: `env:NAME` or `file:/path`. A secret itself never stands in a file of ours."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIN_BYTES: Final = 16
PLACEHOLDERS: Final = (
    "changeme",
    "secret",
    "password",
    "example",
    "placeholder",
    "your",
    "xxxx",
    "todo",
)


class SecretRefError(ValueError):
    """A reference cannot be used. `problem` and `mend` never hold the secret."""

    def __init__(self, problem: str, mend: str) -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(f"{problem} → {mend}")


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A resolved secret: hidden from repr, logs and tracebacks."""

    reference: str
    value: bytes

    def __repr__(self) -> str:
        return f"SecretValue({self.reference!r})"


def resolve(reference: str, environ: Mapping[str, str], *, refuse_weak: bool = True) -> SecretValue:
    """The secret behind a reference. Raises SecretRefError when it is unset, empty or weak.

    `refuse_weak` False: for explaining, where the secret of a test or of a sample is welcome.
    """
    kind, colon, name = reference.partition(":")
    if not colon or kind not in ("env", "file") or not name:
        raise SecretRefError(
            "is not a reference to a secret",
            'write "env:NAME" or "file:/path"; never the secret itself',
        )
    value = _from_env(name, environ) if kind == "env" else _from_file(Path(name))
    if refuse_weak:
        _refuse_weak(reference, value)
    return SecretValue(reference, value)


def _from_env(name: str, environ: Mapping[str, str]) -> bytes:
    if name not in environ:
        raise SecretRefError(f"environment variable {name} is not set", f"export {name}=...")
    return os.fsencode(environ[name])


def _from_file(path: Path) -> bytes:
    try:
        text = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "no such path can be"
        raise SecretRefError(
            f"cannot read {path}: {reason}", "mount the secret, or correct the path"
        ) from None
    # Editors and `echo` add one newline; a secret that ends in more keeps them.
    return text.removesuffix(b"\r\n" if text.endswith(b"\r\n") else b"\n")


def _refuse_weak(reference: str, value: bytes) -> None:
    if not value.strip():
        raise SecretRefError(f"{reference} is empty", "an empty key would let anybody sign")
    text = value.decode("latin-1").lower().removeprefix("whsec_")
    if len(value) < MIN_BYTES:
        raise SecretRefError(
            f"{reference} is weak: {len(value)} bytes", f"use at least {MIN_BYTES} random bytes"
        )
    if len(set(value)) < 5 or text.startswith(PLACEHOLDERS):
        raise SecretRefError(
            f"{reference} looks like a placeholder", "use the secret that the provider shows"
        )


def readable_by_others(path: Path) -> bool:
    """True when a secret's file may be read by every user of the machine."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False
