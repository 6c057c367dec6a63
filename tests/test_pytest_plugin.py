"""The pytest plugin, in a project of its own: what its fixtures give, and what a failure tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gateway

ROOT = Path(gateway.__file__).parents[1]
PROCESSORS = """
from gateway.plugins import Event, Registry

registry = Registry()

@registry.processor(source="github", events=["push"])
def deploy(event: Event) -> None:
    if event.payload["ref"] != "refs/heads/main":
        raise ConnectionError("the cluster is away")
"""
PASSING = """
from datetime import timedelta

def test_events_and_requests_are_made(make_event, signed_request):
    assert make_event("github", "push").payload["ref"] == "refs/heads/main"
    assert signed_request("github", type="push").method == "POST"

def test_a_delivery_moves_the_clock(make_event, run_delivery, frozen_clock):
    event = make_event("github", "push", changes={"ref": "other"})
    before = frozen_clock.now
    run_delivery("deploy", event, clock=frozen_clock).assert_dead("exhausted")
    assert frozen_clock.now - before > timedelta(hours=1)

def test_a_push_reaches_the_processor_once(hookline_app):
    request = hookline_app.signed_request("github", "push")
    received = hookline_app.receive(request, request)
    assert received.outcomes == ["accepted", "duplicate"]
    (delivery,) = hookline_app.run()
    assert delivery.assert_done().processor == "deploy"

def test_the_next_test_begins_with_an_empty_ledger(hookline_app):
    request = hookline_app.signed_request("github", "push", provider_id="1")
    assert hookline_app.receive(request).outcome == "accepted"
    assert hookline_app.receive(request).outcome == "duplicate"

def test_so_does_this_one(hookline_app):
    request = hookline_app.signed_request("github", "push", provider_id="1")
    assert hookline_app.receive(request).outcome == "accepted"

def test_the_deployment_is_loaded_once(hookline_application, request):
    assert request.getfixturevalue("hookline_application") is hookline_application
"""
FAILING = """
def test_delivery(make_event, run_delivery):
    delivery = run_delivery("deploy", make_event("github", "push", {"ref": "other"}))
    assert delivery.outcome == "done"

def test_request(hookline_app):
    received = hookline_app.receive(hookline_app.signed_request("github", "star"))
    assert received.outcome == "accepted"

def test_app(hookline_app):
    hookline_app.receive(hookline_app.signed_request("github", "push", b'{"ref": "x"}'))
    assert not hookline_app.run()
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processors = f"processors_of_{folder.name}"
        (folder / "config" / "sources").mkdir(parents=True)
        source = 'preset = "github"\nsecrets = ["env:NOT_SET_ANYWHERE"]\n'
        (folder / "config" / "sources" / "github.toml").write_text(source)
        (folder / self.processors).mkdir()
        (folder / self.processors / "ours.py").write_text(PROCESSORS)
        (folder / "conftest.py").write_text('pytest_plugins = ["gateway.pytest_plugin"]\n')

    def pytest(
        self, text: str, *, processors: bool = True, cwd: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        (self.folder / "test_ours.py").write_text(text)
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        if processors:
            environ["HOOKLINE_PROCESSORS"] = self.processors
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir"]
        return subprocess.run(
            [*command, str(self.folder), str(self.folder)],
            env=environ,
            cwd=self.folder / cwd,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_fixtures_give_a_deployment_without_a_server_or_a_secret(project: Project) -> None:
    ended = project.pytest(PASSING)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "6 passed" in ended.stdout


def test_a_failing_test_tells_what_became_of_each_request_and_delivery(project: Project) -> None:
    ended = project.pytest(FAILING)
    assert ended.returncode == 1
    assert "3 failed" in ended.stdout
    assert ended.stdout.count("What became of it") == 3
    for words in (
        "deploy on evt_",
        "ConnectionError: the cluster is away",
        "ours.py:9",
        "dead: exhausted",
        "ignored (star of github)",
        "accepted (push of github)",
    ):
        assert words in ended.stdout


def test_where_the_deployment_is_can_be_set_for_pytest(project: Project) -> None:
    settings = f"[pytest]\nhookline_processors = {project.processors}\nhookline_config = config\n"
    (project.folder / "pytest.ini").write_text(settings)
    (project.folder / "elsewhere").mkdir()
    ended = project.pytest(PASSING, processors=False, cwd="elsewhere")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_faults_of_the_deployment_are_all_told(project: Project) -> None:
    (project.folder / "config" / "sources" / "github.toml").write_text('preset = "gihub"\n')
    (project.folder / project.processors / "ours.py").write_text("import nothing_of_that_name\n")
    ended = project.pytest("def test_app(hookline_app): ...\n")
    assert "did you mean 'github'" in ended.stdout
    assert "nothing_of_that_name" in ended.stdout


def test_the_plugin_is_not_loaded_by_itself(project: Project) -> None:
    (project.folder / "conftest.py").unlink()
    ended = project.pytest("def test_app(hookline_app): ...\n")
    assert "fixture 'hookline_app' not found" in ended.stdout
