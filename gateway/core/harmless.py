"""What in a captured webhook is known to tell nothing of anybody."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.fields import steps_of

Path = tuple[str, ...]

ANY: Final = "*"
CODE_NAME: Final = re.compile(r"currency|country|lang|locale|region", re.IGNORECASE)
CODE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
KIND: Final = re.compile(r"[A-Za-z][A-Za-z]*(?:[._ -][A-Za-z]+){0,4}")
PERSONAL_NAME: Final = re.compile(
    r"name|login|user|email|phone|address|street|city|title|message|text|body|descr|comment|note|label"
    r"|secret|token|key|slug|(^|_)(id|ref|sha|url|number)$|organization|company",
    re.IGNORECASE,
)
# What every program says. A value that is one of these tells nothing of anybody.
VOCABULARY: Final = """
    accepted action active added all always announcement any application approved archived assigned
    auto automatic automatically blocked bool bot branch business calendar cancel canceled cancelled
    card charge charge_automatically closed comment commit completed confirmed continue create
    created credit critical daily day dead debit debug declined default delete deleted delivered
    denied deployment deposit dev develop disabled dismissed dispatched down draft dropped edited
    email enabled error event event_callback exempt expired failed failure false finalized free
    fulfilled full group high hour hourly image in_progress inactive incomplete info integer
    internal invoice issue issues item json labeled language line_item link list live live_mode
    locked low main manual master medium member merged message minute month month_end monthly
    neutral never new no none normal null object off ok on open opened order organization paid
    partial partially_paid past_due paused payment payout pending plan post posted press previous
    price private processed processing prod product production public publish published pull_request
    push queued read reason refund refunded rejected released removed renamed reopened repository
    request requested required requires_action resolved retry rich_text rich_text_section sandbox
    scheduled self send sent settled shipped skipped staging standard started status string
    submitted subscription succeeded success successful summary suspended sync synchronize system
    team test test_mode text timeout transfer trial trialing true trunk type unassigned unchanged
    uncollectible unlabeled unlocked unpaid unpublished unread up update updated upgrade user void
    voided waiting warning web week weekly write year yearly yes
"""
WORDS: Final = frozenset(VOCABULARY.split())


@dataclass(frozen=True, slots=True)
class Harmless:
    """What is known to tell nothing of anybody.

    `keep`: paths that an operator asks for; one of a single step is a name wherever it stands, and what
    lies below stays too. `places`: paths of what must stay for the type to be found. `seen`: (name,
    value) in samples. `constants`: values that code compares with.
    """

    keep: frozenset[Path] = frozenset()
    places: frozenset[Path] = frozenset()
    seen: frozenset[tuple[str, str]] = frozenset()
    constants: frozenset[str] = frozenset()
    names: Collection[str] = ()

    def keeps(self, path: Path) -> bool:
        ends = range(1, len(path) + 1)
        asked = any(path[:end] in self.keep or path[end - 1 : end] in self.keep for end in ends)
        return asked or path in self.places

    def word(self, path: Path, text: str) -> bool:
        name = name_of(path)
        return (
            text in self.constants
            or (name, text) in self.seen
            or text.lower() in WORDS
            or bool(CODE_NAME.search(name) and CODE.fullmatch(text))
        )


def kept_path(text: str) -> Path:
    """`items.0.sku` as the path of every item's."""
    return tuple(ANY if step.isdecimal() else step for step in steps_of(text))


def name_of(path: Path) -> str:
    """The name under which a value stands; of a list's items, the list's."""
    return next((step for step in reversed(path) if step != ANY), "")


def words_of(sample: Any, path: Path = ()) -> Iterable[tuple[str, str]]:
    """The (name, value) pairs of a sample that look like words of a closed list."""
    if isinstance(sample, str):
        name = name_of(path)
        if KIND.fullmatch(sample) and not PERSONAL_NAME.search(name):
            yield name, sample
    for step, value in _children(sample):
        yield from words_of(value, (*path, step))


def names_in(value: Any) -> Iterable[str]:
    """Every key of every object."""
    if isinstance(value, dict):
        yield from value
    for _, below in _children(value):
        yield from names_in(below)


def texts_in(value: Any) -> Iterable[str]:
    """Every text, those of keys too, and numbers as texts."""
    if not isinstance(value, dict | list):
        yield str(value)
    for step, below in _children(value):
        yield step
        yield from texts_in(below)


def _children(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((ANY, each) for each in value)
