"""What may be seen: samples that we show to anybody, and words that processors compare with."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from gateway import samples
from gateway.core.fields import MISSING, parse_json
from gateway.core.harmless import PERSONAL_NAME, names_in, words_of
from gateway.plugins import Processor

URLS: Final = re.compile(rb"https?://[^\s\"'<>\\]+")


@dataclass(frozen=True, slots=True)
class Known:
    """What the samples of a preset show to anybody who asks for them."""

    seen: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    url_words: frozenset[str] = frozenset()


@cache
def known_of(preset: str | None) -> Known:
    if preset is None or preset not in samples.presets():
        return Known()
    bodies = [samples.load(preset, each).body for each in samples.types(preset)]
    values = [value for body in bodies if (value := parse_json(body)) is not MISSING]
    urls = {url.decode("latin-1") for body in bodies for url in URLS.findall(body)}
    hosts = {(urlsplit(url).hostname or "").lower() for url in urls}
    return Known(
        frozenset(pair for value in values for pair in words_of(value)),
        frozenset(name for value in values for name in names_in(value)),
        frozenset(host for host in hosts if host and not host.endswith("example.com")),
        frozenset(_url_words(urls) - set().union(*map(_personal, values))),
    )


def _url_words(urls: Iterable[str]) -> set[str]:
    """Steps of paths that are words."""
    steps = (step for url in urls for step in re.split(r"[/{}+?]", urlsplit(url).path))
    return {step for step in steps if re.fullmatch(r"[a-z_-]+", step)}


def _personal(value: Any, name: str = "") -> set[str]:
    """What stands under a name that sounds of somebody."""
    if isinstance(value, dict):
        return set().union(*(_personal(each, key) for key, each in value.items()))
    if isinstance(value, list):
        return set().union(*(_personal(each, name) for each in value))
    return (
        {value, *re.split(r"[/\s]", value)}
        if isinstance(value, str) and PERSONAL_NAME.search(name)
        else set()
    )


def constants_of(processors: Iterable[Processor]) -> Iterator[str]:
    """Texts that processors compare with: of their models' closed lists, and of their conditions."""
    for each in processors:
        yield from _texts(getattr(each, "when", None))
        if each.model is not None:
            yield from _closed_lists(_schema(each.model))


def _schema(model: Any) -> Any:
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(model).json_schema()
    except Exception:  # a model may hold what has no schema: then nothing is learnt from it
        return {}


def _closed_lists(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        closed = [schema.get("const"), *(schema.get("enum") or ())]
        yield from (each for each in closed if isinstance(each, str))
        for each in schema.values():
            yield from _closed_lists(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _closed_lists(each)


def _texts(value: Any) -> Iterator[str]:
    """Every text within frozen values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list | frozenset):
        for each in value:
            yield from _texts(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))
