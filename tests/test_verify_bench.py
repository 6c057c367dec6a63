"""The benchmark of verification: every line is a preset whose genuine request is accepted."""

from benchmarks import verify
from gateway.catalogue import preset_names
from tests.core.providers import provider


def test_measures_every_kind_of_proof_on_a_request_of_the_asked_size() -> None:
    rows = verify.measured(size=2048, seconds=0.001)
    assert [name for name, _, _ in rows] == list(verify.PRESETS)
    assert set(verify.PRESETS) <= set(preset_names())
    assert all(microseconds > 0 for _, _, microseconds in rows)
    for name in verify.PRESETS:
        body = verify.genuine(provider(name), 2048).body
        assert 1900 < len(body) < 3500, name


def test_shows_a_line_a_preset() -> None:
    assert "github" in verify.table([("github", "HMAC", 10.0)])
    assert "100,000" in verify.table([("github", "HMAC", 10.0)])
