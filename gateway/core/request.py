"""One HTTP call as it arrived: untrusted, and kept byte for byte."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in arrival order, names lower-case, repeated values kept apart."""

    raw: tuple[tuple[bytes, bytes], ...] = ()
    _sole: dict[bytes, bytes] = field(init=False, repr=False, compare=False, hash=False)
    """What came once: several names are asked for in every request."""

    def __post_init__(self) -> None:
        sole = dict(self.raw)
        if len(sole) < len(self.raw):
            names = [name for name, _ in self.raw]
            sole = {name: value for name, value in self.raw if names.count(name) == 1}
        object.__setattr__(self, "_sole", sole)

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "Headers":
        return cls(tuple((name.lower(), value) for name, value in pairs))

    def all(self, name: bytes) -> list[bytes]:
        """Every value of `name` (given in lower case), in order."""
        value = self._sole.get(name)
        if value is not None:
            return [value]
        if len(self._sole) == len(self.raw):
            return []
        return [value for key, value in self.raw if key == name]

    def one(self, name: bytes) -> bytes | None:
        """The value of `name`, or None when it is absent or repeated.

        A repeated field is ambiguous: a proxy may have read another copy than we would.
        """
        return self._sole.get(name)

    def with_(self, name: bytes, value: bytes) -> "Headers":
        """A copy in which `name` has exactly this value."""
        kept = tuple(pair for pair in self.raw if pair[0] != name.lower())
        return Headers((*kept, (name.lower(), value)))


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One HTTP call. `received_at` is in Unix seconds; `body` is exactly what was on the wire.

    `url` is the public URL that the provider was given, as configured: some sign it, and what a caller
    says in Host or X-Forwarded-* proves nothing. Empty when it is not configured.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    client: str | None
    received_at: float
    url: str = ""
