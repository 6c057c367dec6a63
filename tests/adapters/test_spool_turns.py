"""A spooled arrival keeps its place in line; what a release without order wrote stays readable."""

import json

from gateway.adapters.spool import records
from gateway.adapters.spool.records import Packed, pack, unpack
from gateway.core.event import Arrival, Turn
from tests.adapters.spool_rig import arrival

TURNS = (Turn(1, "a" * 26, True, "n1"), Turn(2, "b" * 26))


def read(packed: Packed) -> tuple[Arrival, ...]:
    return unpack(packed.source, packed.head, packed.bodies, packed.digest)


def test_a_spooled_arrival_keeps_its_turn_and_its_version() -> None:
    arrivals = (arrival("1"), arrival("2")._replace(turns=TURNS))
    assert read(pack(arrivals, "shop")) == arrivals


def test_what_keeps_no_order_is_written_as_the_release_before_wrote_it() -> None:
    head = json.loads(pack([arrival("1")], "shop").head)
    assert head["format"] == 1
    assert [len(row) for row in head["events"]] == [8]


def test_what_the_release_before_wrote_is_read() -> None:
    row = ["evt_" + "a" * 26, "push", "1", 1.5, "", 0, 2, ["a"]]
    head = json.dumps({"format": 1, "headers": [[["x-id", "1"]]], "events": [row]}).encode()
    packed = Packed("shop", 1.5, head, b"{}", records._digest("shop", head, b"{}"))
    (found,) = read(packed)
    assert (found.processors, found.turns, found.event.body) == (("a",), (), b"{}")


def test_what_keeps_an_order_is_refused_by_name_by_a_release_that_knows_none() -> None:
    head = json.loads(pack([arrival("1")._replace(turns=TURNS)], "shop").head)
    assert head["format"] == 2
