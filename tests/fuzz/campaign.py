"""Many inputs, spread over every target, and what came of them."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gateway.core.fields import Fields
from gateway.core.handshake import Proof, answer
from gateway.core.identity import identify
from gateway.core.verification import Match, VerifiedRequest
from tests.fuzz.inputs import Attempt
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.targets import Target, targets

CHUNK: Final = 5000  # inputs; each chunk has chances of its own, whichever process does it
SHOWN: Final = 5  # faults a chunk; the first ones say enough


@dataclass(slots=True)
class Counts:
    """Of one family. `forged` inputs had to be refused; `accepted` counts those that were not."""

    presets: set[str] = field(default_factory=set)
    inputs: int = 0
    forged: int = 0
    raised: int = 0
    accepted: int = 0

    def add(self, other: "Counts") -> None:
        self.presets |= other.presets
        self.inputs += other.inputs
        self.forged += other.forged
        self.raised += other.raised
        self.accepted += other.accepted


@dataclass(slots=True)
class Result:
    families: dict[str, Counts] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        for name, counts in other.families.items():
            self.families.setdefault(name, Counts()).add(counts)
        self.faults += other.faults

    @property
    def total(self) -> Counts:
        total = Counts()
        for counts in self.families.values():
            total.add(counts)
        return total

    def __str__(self) -> str:
        head = f"{'scheme':<32}{'presets':>8}{'inputs':>12}{'forged':>12}{'raised':>8}{'accepted':>10}"
        rows = [*sorted(self.families.items()), ("all", self.total)]
        lines = [
            f"{name:<32}{len(of.presets):>8}{of.inputs:>12,}{of.forged:>12,}{of.raised:>8}{of.accepted:>10}"
            for name, of in rows
        ]
        return "\n".join([head, *lines, *(f"FAULT: {fault}" for fault in self.faults)])


def run(inputs: int, seed: int, processes: int) -> Iterator[Result]:
    """The result of every chunk, as it comes."""
    sizes = [CHUNK] * (inputs // CHUNK) + [inputs % CHUNK] * bool(inputs % CHUNK)
    chunks = [(f"{seed}:{number}", size) for number, size in enumerate(sizes)]
    targets()  # made once, before the processes part
    if processes == 1:
        yield from map(chunk, chunks)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap_unordered(chunk, chunks)


def chunk(given: tuple[str, int]) -> Result:
    """The targets in turn, a mutation by chance for each."""
    seed, size = given
    chance, every, result = Random(seed), targets(), Result()
    mutations, weights = zip(*MUTATIONS, strict=True)
    first = chance.randrange(len(every))
    for number, mutate in enumerate(chance.choices(mutations, weights, k=size)):
        target = every[(first + number) % len(every)]
        counts = result.families.setdefault(target.family, Counts())
        attempt = mutate(chance, target)
        fault = tried(target, attempt, counts)
        if fault and len(result.faults) < SHOWN:
            shown = repr(attempt.request)[:600]
            result.faults.append(f"{target.name}: {mutate.__name__} {fault}: {shown}")
    return result


def tried(target: Target, attempt: Attempt, counts: Counts) -> str | None:
    """What was wrong with how the input was judged; None when nothing was."""
    counts.presets.add(target.name)
    counts.inputs += 1
    counts.forged += attempt.must_refuse
    try:
        fields = Fields(attempt.request)
        keys = target.other_keys if attempt.stranger else target.keys
        verdict = target.scheme.verify(fields, keys, attempt.now)
        # What follows reads the same bytes, and is asked of inputs that no gate would let through.
        answer(target.handshakes, fields, tuple(Proof))
        identify(VerifiedRequest(attempt.request, fields, 0), target.name, target.rules)
    except Exception as error:  # any: that is what is asked
        counts.raised += 1
        return f"raised {error!r}"
    if attempt.must_refuse and isinstance(verdict, Match):
        counts.accepted += 1
        return "was accepted"
    return None
