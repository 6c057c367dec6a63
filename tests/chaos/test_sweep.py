"""A slice of the sweep over command boundaries; the whole of it: `scripts/chaos sweep`."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.mutants import MUTANTS, Mutant
from tests.chaos.mutate import REPOSITORY, NotPlanted, plant
from tests.chaos.proxy import Fault, Spot
from tests.chaos.sweep.campaign import run_cases, spread
from tests.chaos.sweep.case import OURS, Case, Fate, Subject, cases_at

# Of each kind of boundary one: where an event, a claim or an end is on its way.
SLICE = (
    "gateway/accept#6/before/on",
    "gateway/accept#6/after/on",
    "gateway/accept#9/half-open/on",
    "gateway/accept#6/after/kill",
    "gateway/accept#6/delay/stop",
    "worker/claim#1/after/on",
    "worker/claim#1/after/kill",
    "worker/finish#1/before/on",
    "worker/finish#1/after/kill",
    "worker/finish#1/delay/stop",
    "worker/renew#1/half-open/on",
    "worker/BLPOP#2/after/kill",
    "stock/BLMOVE#1/after/kill",
    "stock/finish#1/after/on",
    "stock/finish#1/before/kill",
    "replay/replay#1/after/on",
    "replay/replay#2/after/kill",
    "rq-two/BLPOP#1/after/kill",
)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="who sent a command Linux alone tells")
def test_no_fault_at_a_command_loses_or_doubles_anything() -> None:
    tallies = asyncio.run(run_cases([Case.parse(name) for name in SLICE]))
    for tally in tallies:
        assert tally.struck == tally.cases, str(tally)
        if tally.subject in OURS:
            assert not tally.faults, str(tally)
    (stock,) = (tally for tally in tallies if tally.subject is Subject.RQ_TWO)
    assert stock.figures["lost, in no list"] == 1, "what RQ alone loses here; else nothing was tested"


def test_a_case_has_a_name_that_says_it() -> None:
    case = Case(Subject.WORKER, Spot("finish", 2), Fault.HALF_OPEN, Fate.KILL)
    assert Case.parse(str(case)) == case
    with pytest.raises(ValueError, match="SUBJECT/COMMAND#N/FAULT/FATE"):
        Case.parse("nonsense")


def test_every_command_is_tried_with_every_fault_and_fate() -> None:
    cases = list(cases_at(Subject.STOCK, Counter({"claim": 1, "HSET": 9}), most=2))
    assert len(cases) == len(set(cases)) == 3 * len(Fault) * len(Fate)


def test_a_sample_has_each_boundary_before_a_second_of_any() -> None:
    cases = list(cases_at(Subject.STOCK, Counter(map(str, range(30))), most=1))
    chosen = spread(cases, 40, random.Random(1))
    assert chosen == spread(cases, 40, random.Random(1))
    assert len({case.spot for case in chosen[:30]}) == 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_known_bug_can_still_be_planted(mutant: Mutant) -> None:
    text = (REPOSITORY / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file} has moved on: write {mutant.name!r} anew"


def test_a_bug_that_does_not_apply_is_said_so() -> None:
    with pytest.raises(NotPlanted, match="stands 0 times"):
        plant(REPOSITORY / "nowhere", MUTANTS[0])
