"""What a preset asks its sources for beside secrets: `[options]`, and a signed public URL."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from gateway.catalogue import Option, Options, Verify
from gateway.core.template import Reference, TemplateError, compile_template
from gateway.faults import Fault, suggest
from gateway.secret_refs import SecretRefError, resolve

REFERENCES: Final = ("env:", "file:")
# Of `core/canonical.py`, what is made from the public URL.
NEEDS_URL: Final = frozenset(
    {"url_without_port", "url_with_port", "url_decoded", "plivo_v3", "contentful"}
)


def load_options(
    asked: Mapping[str, Option], given: Mapping[str, str], environ: Mapping[str, str], where: str
) -> tuple[Options, list[Fault]]:
    """The options' values, defaults included, or every fault in them."""
    faults = [
        Fault(where, f"options.{name}", "is no option here", suggest(name, list(asked)))
        for name in given.keys() - asked.keys()
    ]
    options: dict[str, bytes] = {}
    for name, option in asked.items():
        text = given.get(name, option.default)
        if text is None:
            mend = f'add it to [options]: {name} = "{"env:NAME" if option.secret else "..."}"'
            faults.append(Fault(where, f"options.{name}", f"is missing: {option.about}", mend))
        elif option.secret or text.startswith(REFERENCES):
            try:
                options[name] = resolve(text, environ).value
            except SecretRefError as error:
                faults.append(Fault(where, f"options.{name}", error.problem, error.mend))
        else:
            options[name] = text.encode()
    return options, faults


def signs_url(verify: Verify) -> bool:
    """Whether the proof covers the URL that the provider was given."""
    return any(each.kind.startswith("url") or each.name in NEEDS_URL for each in _names(verify))


def options_of_proof(verify: Verify) -> frozenset[str]:
    """The options that judging a request needs; the others are for fetching keys and for answers."""
    return frozenset(each.name for each in _names(verify) if each.kind == "config")


def _names(verify: Verify) -> Iterator[Reference]:
    for text in _texts(verify.model_dump(exclude={"key_source"})):
        # What is no template is a separator or a prefix.
        with suppress(TemplateError):
            yield from compile_template(text).references()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
