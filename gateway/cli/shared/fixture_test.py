"""The test that `hookline capture` prints: it takes the fixture down the whole path."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.cli.shared.capturing import Made


def text_of_test(made: "Made", path: Path) -> str:
    """A module for the directory above the fixture's."""
    fixture = made.fixture
    what = re.sub(r"[^a-z0-9]+", "_", (fixture.type or "event").lower()).strip("_") or "event"
    steps = " / ".join(json.dumps(part) for part in (path.parent.name, path.name) if part)
    body = _whole_path(made) if made.believed else _deliveries(made)
    imported = "receive" if made.believed else "make_event, run_delivery"
    source = re.sub(r"[^a-z0-9]", "_", fixture.source)
    ending = "is_processed_once" if made.processors else "is_wanted_by_nobody"
    return "\n".join(
        [
            f'"""A captured {fixture.type or "event"} of {fixture.source}."""',
            "",
            "from pathlib import Path",
            "",
            f"from gateway.testing import {imported}",
            "",
            f"FIXTURE = Path(__file__).parent / {steps}",
            "",
            "",
            f"def test_a_captured_{what}_of_{source}_{ending}() -> None:",
            *(f"    {line}" for line in body),
        ]
    )


def _whole_path(made: "Made") -> list[str]:
    source = json.dumps(made.fixture.source)
    if not made.processors:
        return [f'assert receive({source}, FIXTURE).outcome == "ignored"']
    names = ", ".join(json.dumps(each) for each in made.processors)
    return [
        f"received = receive({source}, FIXTURE, FIXTURE)",
        'assert received.outcomes == ["accepted", "duplicate"], received',
        f"assert received.processors == [{names}]",
        "# What they reach for, a database or an API, set up here, or pass it: run(given={...}).",
        "for delivery in received.run():",
        "    delivery.assert_done()",
    ]


def _deliveries(made: "Made") -> list[str]:
    """Nobody but its provider can sign such a request: the event is taken as verified."""
    if not made.processors:
        return [f"assert make_event(FIXTURE).type == {json.dumps(made.fixture.type)}"]
    return [
        f"run_delivery({json.dumps(each)}, make_event(FIXTURE)).assert_done()"
        for each in made.processors
    ]
