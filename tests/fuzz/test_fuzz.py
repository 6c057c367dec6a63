"""A slice of the fuzzing campaign (`scripts/fuzz`) with every test run, and that it would notice."""

import os
from random import Random

import pytest

from gateway.catalogue import preset_names
from gateway.core.fields import Fields
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers
from gateway.core.schemes import message_signature, token
from gateway.core.schemes.algorithms import Hmac
from gateway.core.schemes.jwt import JwtScheme
from gateway.core.schemes.timestamp import Timestamp
from gateway.core.schemes.unverified import UnverifiedScheme
from gateway.core.verification import Match
from gateway.crypto.public_key import PublicKeyAlgorithm
from tests.core.examples import NOW
from tests.core.providers import provider
from tests.fuzz import campaign
from tests.fuzz.campaign import Counts, Result, tried
from tests.fuzz.inputs import Attempt
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.targets import DESCRIBED, targets

INPUTS = 20_000


def test_nothing_raises_and_nothing_forged_is_accepted() -> None:
    result = Result()
    for part in campaign.run(INPUTS, seed=1, processes=1):
        result.add(part)
    total = result.total
    assert not result.faults, str(result)
    assert (total.inputs, total.raised, total.accepted) == (INPUTS, 0, 0)
    assert total.presets == {*preset_names(), *DESCRIBED}
    assert total.forged > INPUTS / 2


def test_the_same_seed_tries_the_same() -> None:
    results = [str(campaign.chunk(("7:0", 300))) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0] != str(campaign.chunk(("8:0", 300)))


@pytest.mark.parametrize("mutate", [each for each, _ in MUTATIONS], ids=lambda each: each.__name__)
def test_every_mutation_forges_something_and_claims_only_what_is_refused(mutate: object) -> None:
    assert callable(mutate)
    attempts = [(each, mutate(Random(number), each)) for number, each in enumerate(targets())]
    forged = [(each, attempt) for each, attempt in attempts if attempt.must_refuse]
    assert forged
    for each, attempt in forged:
        keys = each.other_keys if attempt.stranger else each.keys
        verdict = each.scheme.verify(Fields(attempt.request), keys, attempt.now)
        assert isinstance(verdict, Refusal), each.name


def test_counts_a_forgery_that_is_accepted_and_a_scheme_that_raises() -> None:
    target = next(each for each in targets() if each.name == "github")
    counts = Counts()
    assert tried(target, Attempt(target.good, must_refuse=True), counts) == "was accepted"
    broken = Attempt(None, must_refuse=True)  # type: ignore[arg-type]
    assert "raised" in (tried(target, broken, counts) or "")
    assert (counts.inputs, counts.raised, counts.accepted) == (2, 1, 1)


def believing(*_: object) -> bool:
    return True


def none(*_: object) -> None:
    return None


def first_value(headers: Headers, name: bytes) -> bytes | None:
    return next(iter(headers.all(name)), None)


def ignores_the_query(fields: Fields) -> bytes | None:
    return fields.request.url.encode()


SABOTAGE: list[tuple[object, str, object, str]] = [
    (Hmac, "matches", believing, "edited_proof"),
    (PublicKeyAlgorithm, "matches", believing, "flipped_bit"),
    (Timestamp, "judge", none, "moved_clock"),
    (Headers, "one", first_value, "doubled"),
    (Fields, "url", ignores_the_query, "changed_url"),
    (JwtScheme, "_judge_claims", none, "flipped_bit"),
    (JwtScheme, "_judge_time", none, "moved_clock"),
    (message_signature, "_is_digest", believing, "flipped_bit"),
    (token, "match_token", lambda *_: Match(0), "stranger"),
]


@pytest.mark.skipif(
    "HOOKLINE_COMPILED" in os.environ, reason="compiled code calls its own, whatever is in its place"
)
@pytest.mark.parametrize(("owner", "name", "other", "mutation"), SABOTAGE)
def test_notices_a_scheme_that_is_sabotaged(
    owner: object, name: str, other: object, mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets()
    monkeypatch.setattr(owner, name, other)
    monkeypatch.setattr(campaign, "SHOWN", 1000)
    faults = campaign.chunk(("3:0", 8000)).faults
    assert any(mutation in fault and "accepted" in fault for fault in faults), faults[:5]


def test_a_scheme_that_proves_nothing_has_nothing_sealed() -> None:
    found = [each for each in targets() if isinstance(each.scheme, UnverifiedScheme)]
    for target in found:
        assert target.place is None
        assert not target.sealed.additions
        assert provider(target.name).verdict(target.good, now=NOW) == 0
