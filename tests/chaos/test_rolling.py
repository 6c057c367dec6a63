"""A slice of `scripts/chaos rolling`: one replacement under a little load, after one that fails."""

from pathlib import Path

import pytest

from tests.chaos.gateway_kill import IDENTITY
from tests.chaos.rig import Crew, a_deployment
from tests.chaos.rolling.campaign import PATH, PROCESSORS, count
from tests.chaos.rolling.load import OK, Load
from tests.chaos.rolling.ways import Replaced
from tests.e2e.rig import until


def test_a_gateway_is_replaced_under_load_by_one_that_serves_and_by_no_other(
    tmp_path: Path, redis_url: str
) -> None:
    deployment = a_deployment(tmp_path, PROCESSORS, ["shop"], lease="1m", more=IDENTITY)
    with Crew(deployment, redis_url) as crew:
        crew.worker()
        way = Replaced(crew, ())
        faulty = tmp_path / "config" / "sources" / "faulty.toml"
        try:
            way.start()
            load = Load(way.port, PATH, rate=40, kept=4, patience=60)
            load.start()
            faulty.write_text('preset = "no-such"\n')
            with pytest.raises(AssertionError, match=r'"status":78.*"event":"replace.failed"'):
                way.restart()
            faulty.unlink()
            way.restart()
            account = load.stop()
            way.end()
        finally:
            way.kill()
        until(lambda: not crew.rig.members("hookline:pending:shop"), what="the end of all deliveries")
        found = count("replace", 1, crew, account)
    assert found.faults() == []
    assert found.account.statuses[OK] == found.account.requests > 0
