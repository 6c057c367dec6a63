"""What `explain`, `send` and `sources` tell of conditions."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.core.capture import Captured
from gateway.signing import Draft, signed_request
from gateway.wiring import Place, load_application

SOURCE = """
preset = "github"
secrets = ["env:SECRET"]

[when]
any = [
  {field = "action", in = ["opened", "reopened"]},
  {not = {field = "type", equals = "issues"}},
]
"""
PROCESSORS = """
from gateway.plugins import Event, Registry

registry = Registry()


@registry.processor(source="github", events=["issues"], when={"field": "number", "greater": 100})
def triage(event: Event) -> None: ...
"""


class Console:
    def __init__(self, folder: Path) -> None:
        config, processors = (
            folder / "config" / "sources",
            folder / f"of_{folder.name}",
        )  # Python knows each once
        config.mkdir(parents=True)
        processors.mkdir()
        (config / "github.toml").write_text(SOURCE)
        (processors / "triage.py").write_text(PROCESSORS)
        self.folder = folder
        self.place = Place(config.parent, processors)
        self.environ = {
            "HOOKLINE_CONFIG": str(config.parent),
            "HOOKLINE_PROCESSORS": str(processors),
            "SECRET": "It's a secret to everybody",
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }

    def __call__(self, *words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, words, env=self.environ)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def request(self, **body: Any) -> str:
        source = load_application(self.place, self.environ).config.source("github")
        assert source
        draft = Draft(json.dumps(body).encode(), "application/json", "issues", "1")
        path = self.folder / "request.json"
        path.write_text(Captured.of(signed_request(source, draft, 0.0)).to_json())
        return str(path)


@pytest.fixture
def hookline(tmp_path: Path) -> Console:
    return Console(tmp_path)


def test_explain_shows_who_gets_a_request_and_what_each_test_found(hookline: Console) -> None:
    out = hookline("explain", hookline.request(action="closed", number="700"), "github").stdout
    lines = [line[10:] for line in out.splitlines()[out.splitlines().index("") + 1 :]]
    start = lines.index("An event of type issues: ignored (filtered)")
    assert lines[start + 1 :] == [
        '✗ source: action in ["opened", "reopened"] or not (type equals "issues")',
        '    ✗ action in ["opened", "reopened"]: found "closed"',
        '    ✗ not (type equals "issues"): found "issues"',
        "✗ triage: number greater 100",
        '    ✗ found "700"; text is never the same as a number',
    ]


def test_explain_says_who_gets_what_is_not_filtered(hookline: Console) -> None:
    out = hookline("explain", hookline.request(action="opened", number=700), "github").stdout
    assert "Filters   An event of type issues: goes to triage" in out


def test_explain_tells_programs_the_same(hookline: Console) -> None:
    path = hookline.request(action="opened", number=7)
    (event,) = json.loads(hookline("explain", path, "github", "--json").stdout)["events"]
    assert (event["filtered"], event["processors"]) == (True, [])
    assert [(each["of"], each["holds"]) for each in event["conditions"]] == [
        ("source", True),
        ("triage", False),
    ]
    assert event["conditions"][1]["tests"][0]["found"] == ["7"]


def test_explain_by_a_preset_alone_knows_of_no_conditions(hookline: Console) -> None:
    path = hookline.request(action="closed")
    words = ("explain", path, "--preset", "github", "--secret", "env:SECRET")
    assert "Filters" not in hookline(*words).stdout
    assert "events" not in json.loads(hookline(*words, "--json").stdout)


def test_send_says_that_what_it_sent_is_filtered(
    hookline: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx2, "post", lambda *_, **__: httpx2.Response(200))
    out = hookline("send", "github", "issues", "--set", "action=closed").stdout
    assert "ignored (filtered) by source: action in or not (type equals)" in out
    out = hookline("send", "github", "issues", "--set", "action=opened", "--set", "number=700").stdout
    assert "ignored" not in out
    row = json.loads(hookline("send", "github", "issues", "--set", "number=1", "--json").stdout)[0]
    assert row["filtered"] == ["triage: number greater"]


def test_send_does_not_call_filtered_what_was_refused(
    hookline: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx2, "post", lambda *_, **__: httpx2.Response(401))
    words = ("send", "github", "issues", "--set", "action=closed", "--bad-signature")
    assert "filtered" not in hookline(*words, status=1).stdout


def test_sources_show_tells_the_condition(hookline: Console) -> None:
    facts = json.loads(hookline("sources", "show", "github", "--json").stdout)
    assert facts["when"] == 'action in ["opened", "reopened"] or not (type equals "issues")'
