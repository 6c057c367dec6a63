"""Which values of a captured webhook must not be shown, and what stands in their place.

By default everything is replaced. What stays is known to be harmless: the structure, true, false and
null, small numbers, words that every program uses (`paid`, `open`), words that our own samples, models
and conditions have, codes of currencies and countries, and what an operator asks to keep.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.core.fields import MISSING, parse_json
from gateway.core.harmless import ANY, KIND, Harmless, Path, name_of, texts_in
from gateway.core.pseudonyms import Pseudonyms, is_name

SMALL_DIGITS: Final = 2  # numbers as short as this are counts, positions, flags
EPOCH: Final = (1e9, 2.2e9)  # Unix seconds that are times of our days: 2001 to 2039
MILLIS: Final = 1e11
LONG_NUMBER: Final = 8  # digits
TIME_NAME: Final = re.compile(
    r"(?:^|_|-)(?:at|on|ts|time|timestamp|date|created|updated|modified|started|start|ended|end|expires"
    r"|expiry|until|since|due|issued|iat|exp|nbf|from|to)$|[a-z](?:At|On|Ts|Time|Timestamp|Date)$",
)
KIND_NAME: Final = re.compile(
    r"type|kind|status|state|action|event|mode|method|reason|category|visibility|role|level|severity"
    r"|priority|object$|brand|network|provider|version$|topic|result|outcome|conclusion|environment",
    re.IGNORECASE,
)


class Replaced(NamedTuple):
    """A value that was taken out, and where it stood."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces values one after the other, and remembers which. Raises RecursionError for JSON nested
    some hundred deep."""

    pseudonyms: Pseudonyms
    harmless: Harmless = Harmless()
    replaced: list[Replaced] = field(default_factory=list, repr=False)
    kept: set[str] = field(default_factory=set, repr=False)

    def value(self, value: Any, path: Path = ()) -> Any:
        """JSON of the same structure and types."""
        if self.harmless.keeps(path):
            self.kept.update(texts_in(value))
            return value
        if isinstance(value, dict):
            return {self.name(key, path): self.value(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, (*path, ANY)) for each in value]
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, bool) or value is None:
            return value
        return self._number(value, path)

    def name(self, key: str, path: Path = ()) -> str:
        """Objects have names for fields, and now and then somebody's address for one."""
        if key in self.harmless.names or is_name(key) or self.harmless.keeps((*path, key)):
            self.kept.add(key)
            return key
        self.replaced.append(Replaced((*path, key), key))
        return self.pseudonyms.text(key)

    def text(self, text: str, path: Path = ()) -> str:
        if not text or self.harmless.keeps(path) or self.harmless.word(path, text):
            self.kept.add(text)
            return text
        inner = parse_json(text.encode("utf-8", "surrogatepass"))
        if inner is not MISSING:
            return json.dumps(self.value(inner, path), separators=(",", ":"), ensure_ascii=False)
        if (moved := self._moved_text(text, path)) is not None:
            return moved
        made = self.pseudonyms.text(text)
        if made != text:
            self.replaced.append(Replaced(path, text))
        return made

    def _moved_text(self, text: str, path: Path) -> str | None:
        """Unix seconds in a text, such as Slack's `1795095687.384719`."""
        found = re.fullmatch(r"(\d{10}|\d{13})(?:\.(\d{1,9}))?", text)
        if not found or not self._is_time(float(found[1]), path):
            return None
        moved = self._moved(int(found[1]))
        return f"{moved}.{self.pseudonyms.word(found[2])}" if found[2] else f"{moved}"

    def _number(self, number: float, path: Path) -> float:
        if isinstance(number, float) and not math.isfinite(number):
            return number
        text = repr(number)
        if len(re.sub(r"\D", "", text)) <= SMALL_DIGITS:
            return number
        if self._is_time(abs(number), path):
            return self._moved(number)
        self.replaced.append(Replaced(path, text.lstrip("-")))
        whole, e, exponent = text.partition("e")
        made = re.sub(r"\d+", lambda run: self.pseudonyms.word(run[0]), whole)
        return type(number)(made + e + exponent)

    def _is_time(self, number: float, path: Path) -> bool:
        seconds = number / 1000 if number > MILLIS else number
        return EPOCH[0] <= seconds <= EPOCH[1] and TIME_NAME.search(name_of(path)) is not None

    def _moved(self, number: float) -> float:
        unit = 1000 if abs(number) > MILLIS else 1
        return number - self.pseudonyms.shift * unit


def likely_kinds(replaced: Iterable[Replaced]) -> list[str]:
    """Where something was replaced that may be one of a closed list: ask whether to keep it."""
    found = (
        each.path
        for each in replaced
        if KIND_NAME.search(name_of(each.path)) and KIND.fullmatch(each.text)
    )
    return list(dict.fromkeys(map(dotted, found)))


def dotted(path: Path) -> str:
    return ".".join(step.replace(".", "\\.") for step in path)


def survivors(redactor: Redactor, text: str, harmless: Iterable[str]) -> list[Path]:
    """Where a value stood of which a word is still in `text` that was not kept elsewhere.

    `harmless` are texts whose words may be there beside those. Short numbers meet by chance.
    """
    allowed = set().union(*map(_runs, (*redactor.kept, *harmless)))
    present = _runs(text) - allowed
    return [each.path for each in redactor.replaced if _runs(each.text) & present]


def _runs(text: str) -> set[str]:
    found = re.findall(r"[^\W_]{5,}", text.casefold())
    return {run for run in found if not run.isdecimal() or len(run) > LONG_NUMBER}
