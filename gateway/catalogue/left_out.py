"""Providers that are known by name and have no preset, and why: `left-out.toml`, beside this file."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from gateway.catalogue.strict import Strict, Text


class LeftOut(Strict):
    """Providers that stayed out for one reason, by the id that their preset would have."""

    why: Text
    instead: Text
    """What somebody can do who has such a provider."""
    providers: Annotated[dict[str, Text], Field(min_length=1)]


class _File(Strict):
    group: tuple[LeftOut, ...]


@cache
def left_out() -> tuple[LeftOut, ...]:
    text = files("gateway.catalogue").joinpath("left-out.toml").read_text(encoding="utf-8")
    return _File.model_validate(tomllib.loads(text)).group


def why_left_out(name: str) -> str:
    """Why there is no such preset, and what to do; empty for a name that is not known either."""
    for each in left_out():
        if name in each.providers:
            return f"{each.providers[name]} has no preset. {each.why} {each.instead}"
    return ""
