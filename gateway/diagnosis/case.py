"""A request to explain, and what is tried with it. A try counts when the real scheme accepts it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from gateway.core.outcomes import Refusal
from gateway.core.request import InboundRequest
from gateway.core.verification import Scheme, SecretError, VerifiedRequest, verify
from gateway.diagnosis.codes import Code
from gateway.secret_refs import SecretValue

# The proof holds; only the clock says no.
LATE_OR_EARLY: Final = (
    Refusal.STALE_TIMESTAMP,
    Refusal.FUTURE_TIMESTAMP,
    Refusal.MALFORMED_TIMESTAMP,
)

Verdict = VerifiedRequest | Refusal


@dataclass(frozen=True, slots=True)
class Other:
    """Another configured source. Its secrets may have been given to the wrong one."""

    name: str
    scheme: Scheme
    secrets: tuple[SecretValue, ...]
    url: str = ""


Presets = Callable[[], Iterable[tuple[str, Scheme]]]


def no_presets() -> Iterable[tuple[str, Scheme]]:
    return ()


@dataclass(frozen=True, slots=True)
class Case:
    """`now` in Unix seconds. `size` of the body as it arrived: more than it has when it was cut.
    `hidden`: bytes beside the secrets that nobody may read. `presets`: what else to try, when asked."""

    request: InboundRequest
    scheme: Scheme
    secrets: tuple[SecretValue, ...]
    now: float
    preset: str | None = None
    source: str | None = None
    size: int | None = None
    others: tuple[Other, ...] = field(default=(), repr=False)
    presets: Presets = field(default=no_presets, repr=False)
    hidden: tuple[bytes, ...] = field(default=(), repr=False)

    def with_request(self, **changes: Any) -> "Case":
        return replace(self, request=replace(self.request, **changes))

    def with_header(self, name: str, value: bytes) -> "Case":
        """`name` in lower case."""
        return self.with_request(headers=self.request.headers.with_(name.encode("latin-1"), value))

    def with_secret(self, reference: str, value: bytes) -> "Case":
        return replace(self, secrets=(SecretValue(reference, value),))


class Suspicion(NamedTuple):
    """If `case` holds, then `message` is what is wrong."""

    code: Code
    case: Case
    message: str
    mend: str


class Finding(NamedTuple):
    """`certain`: recomputed, or seen in the request; else it is the likeliest cause."""

    code: Code
    message: str
    mend: str
    certain: bool = True


Family = Callable[[Case], Iterator[Suspicion]]


@dataclass(slots=True)
class Court:
    """Judges cases by their real scheme, and stops when the work allowed is done."""

    tries: int = 2000
    volume: int = 192 * 1024 * 1024
    _keys: dict[tuple[int, bytes], Any] = field(default_factory=dict, repr=False)
    _schemes: list[Scheme] = field(default_factory=list, repr=False)  # kept, so that no id is reused

    @property
    def tired(self) -> bool:
        return self.tries <= 0 or self.volume <= 0

    def judge(self, case: Case) -> Verdict:
        self.tries -= 1
        self.volume -= (len(case.request.body) + 256) * max(1, len(case.secrets))
        keys = [key for _, key in self.keys(case)]
        return verify(case.request, case.scheme, keys, case.now)

    def holds(self, case: Case) -> bool:
        """Whether the proof is right; the clock is another matter."""
        verdict = self.judge(case)
        return isinstance(verdict, VerifiedRequest) or verdict in LATE_OR_EARLY

    def keys(self, case: Case) -> list[tuple[int, Any]]:
        """The secrets that this scheme can use, by position."""
        loaded = [(at, self._load(case.scheme, each.value)) for at, each in enumerate(case.secrets)]
        return [(at, key) for at, key in loaded if not isinstance(key, SecretError)]

    def faults(self, case: Case) -> list[tuple[SecretValue, str]]:
        """The secrets that it cannot, and why."""
        loaded = [(each, self._load(case.scheme, each.value)) for each in case.secrets]
        return [(each, str(key)) for each, key in loaded if isinstance(key, SecretError)]

    def _load(self, scheme: Scheme, secret: bytes) -> Any:
        where = (id(scheme), secret)
        if where not in self._keys:
            self._schemes.append(scheme)
            try:
                self._keys[where] = scheme.load_key(secret)
            except SecretError as error:
                self._keys[where] = error
        return self._keys[where]
