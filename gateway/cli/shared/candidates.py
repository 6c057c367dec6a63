"""What a replay would put back, shown and not done."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gateway.cli.shared.orders import status_of
from gateway.cli.shared.printing import counted, iso, local, note, print_json
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.replay import Candidate, Result

COLUMNS: Final = ("delivery", "received", "source", "type", "processor", "state")
STEPS: Final = (("type", 12), ("processor", 12), ("state", 0), ("source", 0), ("type", 0))


def show_candidates(
    candidates: "Sequence[Candidate]", refused: "Sequence[Result]", *, as_json: bool
) -> NoReturn:
    if as_json:
        print_json([_candidate_json(each) for each in candidates])
    else:
        _show_table(candidates)
    for each in refused:
        note(f"{each.id!r}: {each.word}")
    note(f"{counted(len(candidates), 'delivery', 'deliveries')} would be replayed; nothing was done.")
    sys.exit(status_of(["replayed"] * len(candidates) + [each.word for each in refused], "replayed"))


def _show_table(candidates: "Sequence[Candidate]") -> None:
    rows = [
        (each.delivery, local(each.received), each.source, each.type, each.processor, each.state)
        for each in candidates
    ]
    print_table(COLUMNS, rows, STEPS)


def _candidate_json(each: "Candidate") -> dict[str, Any]:
    names = ("delivery", "event", "source", "type", "processor", "state")
    return {name: getattr(each, name) for name in names} | {"received": iso(each.received)}
