"""Requests that are sound, but belong to another secret, another source or another preset."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import proof_places

FOR_MANY: Final = ("standard-webhooks", "svix")


def other_sources(case: Case) -> Iterator[Suspicion]:
    for other in case.others:
        for secret in other.secrets:
            text = f"The proof matches the secret of source {other.name} ({secret.reference})."
            mend = f"Give this source that secret, or let the provider call the path of {other.name}."
            yield Suspicion(Code.OTHER_SECRET, replace(case, secrets=(secret,)), text, mend)
    for other in case.others:
        if not isinstance(other.scheme, UnverifiedScheme):
            changed = replace(case, scheme=other.scheme, secrets=other.secrets)
            changed = changed.with_request(url=other.url or case.request.url)
            text = f"This is a sound request for source {other.name}."
            mend = f"Let the provider call the path of {other.name}."
            yield Suspicion(Code.OTHER_SOURCE, changed, text, mend)


def _distance(preset: str, case: Case) -> tuple[bool, bool, str]:
    """Another one of the same provider is the nearest, then those that stand for many."""
    own = {(name or "").partition("-")[0] for name in (case.preset, case.source)}
    return preset.partition("-")[0] not in own, preset not in FOR_MANY, preset


def other_presets(case: Case) -> Iterator[Suspicion]:
    """By the secrets of this source."""
    came = {name.decode("latin-1") for name, _ in case.request.headers.raw}
    for name, scheme in sorted(case.presets(), key=lambda each: _distance(each[0], case)):
        places = proof_places(scheme)
        near = [each for each in places if each.kind != "header" or each.name in came]
        if name != case.preset and near and not isinstance(scheme, UnverifiedScheme):
            text = f"Preset {name} verifies it with the same secret."
            instead = f", not {case.preset}" if case.preset else ""
            mend = f'Write preset = "{name}"{instead}.'
            yield Suspicion(Code.OTHER_PRESET, replace(case, scheme=scheme), text, mend)
