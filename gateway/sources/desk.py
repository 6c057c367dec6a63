"""Where a table of a source's file lies while it is read: what its references mean, and its faults."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.faults import Fault
from gateway.options import REFERENCES
from gateway.secret_refs import SecretRefError, resolve


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a table stands, and what its references are looked up in. Gathers the faults in it."""

    where: str
    key: str
    environ: Mapping[str, str]
    faults: list[Fault]

    def fault(self, key: str, problem: str, mend: str) -> None:
        self.faults.append(Fault(self.where, f"{self.key}.{key}", problem, mend))

    def secret(self, key: str, reference: str, *, refuse_weak: bool = False) -> bytes | None:
        """What a reference stands for; None with a fault."""
        try:
            value = resolve(reference, self.environ, refuse_weak=refuse_weak).value
        except SecretRefError as error:
            self.fault(key, error.problem, error.mend)
            return None
        if value.strip():
            return value
        self.fault(key, f"{reference} is empty", "set it, or leave the key out")
        return None

    def text(self, key: str, value: str) -> str | None:
        """A text of the file, or what the reference in it stands for; None with a fault."""
        if not value.startswith(REFERENCES):
            return value
        found = self.secret(key, value)
        try:
            return found.decode() if found is not None else None
        except UnicodeDecodeError:
            self.fault(key, f"{value} is not UTF-8 text", "write it anew")
            return None
