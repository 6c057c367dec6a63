"""A slice of `scripts/chaos sick`: a real gateway and a real worker on a server that ails."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tests.chaos.sick.campaign import line, main, ward_at
from tests.chaos.sick.fault import Fault, Place, Row
from tests.chaos.sick.faults import FAULTS
from tests.chaos.sick.ward import Ward, _breaches

LASTS = 0.3  # seconds, at least
NAMED = {fault.name: fault for fault in FAULTS}
# All on a replicated one: what ails a server that stands alone ails it too.
SLICE = {
    "out of memory": {"out_of_memory", "memory_short"},
    "password changed": {"access_denied"},
    "SCRIPT FLUSH, ten a second": set(),
    "replica hung": {"too_few_replicas"},
}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with ward_at(Place.REPLICATED, tmp_path_factory.mktemp("ward")) as ready:
        yield ready


@pytest.mark.parametrize("name", SLICE)
def test_a_sick_server_loses_and_doubles_nothing_and_says_what_ails_it(ward: Ward, name: str) -> None:
    reasons = SLICE[name]

    def told_as_it_is(time: int) -> bool:
        before = len(ward.gateway.logs())

        def seen(ward: Ward) -> bool:
            lines = ward.gateway.logs()[before:]
            return not reasons or any(line.get("reason") in reasons for line in lines)

        fault = replace(NAMED[name], name=f"{name} {time}", seconds=LASTS, problem="", over=seen)
        row = ward.suffer(fault)
        assert (row.lost, row.doubled) == (0, 0), line(row)
        breaches = [each for each in row.breaches if "an answer took" not in each]
        print(line(row), breaches)
        return not breaches and bool(row.refused) is bool(reasons)

    # A machine that stands still is one fault more, of its own kind: then it is struck again.
    assert any(told_as_it_is(time) for time in range(4))


def a_row(**values: object) -> Row:
    fault = Fault("f", lambda _: lambda: None, "", reasons=frozenset({"no_answer"}))
    return Row(fault, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "statuses", "said"),
    [
        (a_row(slowest=1.0, refused={"no_answer": 3}), {200, 503}, ""),
        (a_row(slowest=1.6), {200}, "1.60 s"),
        (a_row(lost=1), {200}, "1 lost"),
        (a_row(doubled=2), {200}, "2 processed again"),
        (a_row(), {200, 500}, "[200, 500]"),
        (a_row(refused={"server_error": 1}), {503}, "server_error"),
    ],
)
def test_the_campaign_sees_what_breaks_a_rule(row: Row, statuses: set[int], said: str) -> None:
    found = _breaches(row, statuses)
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_every_fault_has_a_name_of_its_own_and_is_listed() -> None:
    assert len(NAMED) == len(FAULTS)
    shown = CliRunner().invoke(main, ["--list"]).output
    assert all(f"{fault.name} ({fault.place})" in shown for fault in FAULTS)


def test_a_fault_that_there_is_not_is_an_error() -> None:
    result = CliRunner().invoke(main, ["--only", "nonsense"])
    assert (result.exit_code, "--list names them" in result.output) == (2, True)
