"""`hookline send`: where to, what is changed, and what is told of the answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main


class Provider:
    """Notes what is sent, and answers as told; after that nobody is there."""

    def __init__(self, answers: Sequence[tuple[int, str]]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, Any]] = []

    def post(self, url: str, content: bytes, **_: Any) -> httpx2.Response:
        if not self.answers:
            raise httpx2.ConnectError("refused")
        self.sent.append((url, json.loads(content)))
        status, text = self.answers.pop(0)
        return httpx2.Response(status, text=text)


@pytest.fixture
def send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    sources, processors = tmp_path / "config" / "sources", tmp_path / "no_processors_to_send_to"
    sources.mkdir(parents=True)
    processors.mkdir()
    (sources / "github.toml").write_text('preset = "github"\nsecrets = ["env:SECRET"]\n')
    environ = {
        "HOOKLINE_CONFIG": str(tmp_path / "config"),
        "HOOKLINE_PROCESSORS": str(processors),
        "SECRET": "It's a secret to everybody",
    }

    def run(*words: str, answers: Sequence[tuple[int, str]] = ((200, ""),)) -> tuple[Result, Provider]:
        provider = Provider(answers)
        monkeypatch.setattr(httpx2, "post", provider.post)
        return CliRunner().invoke(main, ["send", *words], env=environ), provider

    return run


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ((), "http://127.0.0.1:8080/hooks/github"),
        (("--to", "https://hooks.example.com"), "https://hooks.example.com/hooks/github"),
        (("--to", "http://127.0.0.1:1/"), "http://127.0.0.1:1/hooks/github"),
        (("--to", "http://127.0.0.1:1/elsewhere"), "http://127.0.0.1:1/elsewhere"),
    ],
)
def test_the_sources_path_is_meant_where_none_is_said(send: Any, options: list[str], url: str) -> None:
    result, provider = send("github", "push", *options)
    assert (result.exit_code, [sent for sent, _ in provider.sent]) == (0, [url])


def test_values_of_the_body_are_changed_as_json_or_text(send: Any) -> None:
    _, provider = send("github", "push", "--set", "ref=refs/heads/a=b", "--set", "repository.id=7")
    ((_, body),) = provider.sent
    assert (body["ref"], body["repository"]["id"]) == ("refs/heads/a=b", 7)


@pytest.mark.parametrize(
    "options", [("--to", "nonsense"), ("--to", "ftp://host/"), ("--set", "ref"), ("--set", "=1")]
)
def test_what_is_no_url_or_no_change_is_wrong_usage(send: Any, options: tuple[str, str]) -> None:
    result, provider = send("github", *options)
    assert (result.exit_code, provider.sent) == (2, [])
    assert repr(options[1]) in result.stderr


def test_an_answer_does_not_command_the_terminal(send: Any) -> None:
    result, _ = send("github", "push", answers=[(401, "\x1b[2J\nno")])
    (line,) = result.stdout.splitlines()
    assert line.endswith("\\x1b[2J\\nno")
    assert result.exit_code == 1


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_was_sent_before_the_gateway_went_away_is_told(send: Any, more: tuple[str, ...]) -> None:
    result, _ = send("github", "push", "--count", "3", *more, answers=[(200, ""), (200, "")])
    assert (result.exit_code, "Is the gateway running there?" in result.stderr) == (69, True)
    rows = json.loads(result.stdout) if more else result.stdout.splitlines()
    assert len(rows) == 2


def test_a_mistyped_source_or_type_is_not_found(send: Any) -> None:
    result, _ = send("gihub")
    assert (result.exit_code, "did you mean 'github'?" in result.stderr) == (3, True)
    result, _ = send("github", "pusch")
    assert (result.exit_code, "there are: " in result.stderr) == (3, True)
