"""What a genuine sender may put into lines and metrics: a name it has chosen, short and printable."""

import json
from typing import Final

from tests.e2e.deployments import signed
from tests.e2e.rig import Gateway, until

LONGEST_LINE: Final = 1500
# Colours, a bell, text that runs backwards, line ends of other alphabets, and far too much of it.
HOSTILE: Final = "\x1b[31m\x07\u202e\u2028\x9b2J\r\nlevel=error" + "hostile" * 3000
# The same in a header, as far as HTTP lets it through.
HEADER: Final = ("\u202e\u2028\u0085" + "hostile" * 3000).encode().decode("latin-1")


def test_a_name_of_control_characters_stays_within_its_line_and_out_of_the_metrics(
    gateway: Gateway,
) -> None:
    body = json.dumps({"type": HOSTILE}).encode()
    accepted = gateway.counted(source="plain", outcome="accepted")
    assert gateway.send("/hooks/plain", body, signed(body, HEADER)).status == 200
    until(lambda: gateway.counted(source="plain", outcome="accepted") > accepted)
    lines = [line for line in gateway.text().split("\n") if "hostile" in line]
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert len(lines[0]) < LONGEST_LINE
    shown = json.loads(lines[0])
    assert shown["event_type"].isprintable()
    assert shown["provider_id"].isprintable()
    assert "hostile" not in gateway.metrics()
