"""The image and the compose file, as far as they can be judged without a container engine."""

import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from gateway.adapters.ledger.durability import ServerFacts, judge
from gateway.cli import main
from gateway.settings import Settings
from gateway.units import parse_duration

ROOT = Path(__file__).parents[1]
OURS = ("gateway", "worker", "dashboard")
SETTINGS = Settings.model_validate(tomllib.loads((ROOT / "config" / "gateway.toml").read_text()))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of each line of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line and line[0] != "#"]


def final_stage() -> list[tuple[str, str]]:
    found = instructions()
    last = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[last:]


def value(word: str) -> str:
    """The last `word` of the final stage."""
    return [rest for each, rest in final_stage() if each == word][-1]


def parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> click.Context:
    """The context of `hookline WORDS`; fails for an unknown command or option."""
    monkeypatch.setenv("HOOKLINE_CONFIG", "config")
    monkeypatch.setenv("HOOKLINE_PROCESSORS", "processors")
    command = main.get_command(click.Context(main), words[0])
    assert command, f"hookline has no command {words[0]}"
    return command.make_context(words[0], words[1:])


# Dockerfile


def test_every_base_image_is_pinned_to_a_version_that_we_support() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert len(images) == 2, "a stage that builds, and one that runs"
    for image in images:
        name, _, tag = image.partition(":")
        assert name == "python"
        assert re.fullmatch(r"3\.1[1-9]-slim", tag)


def test_the_final_image_is_not_root_and_has_no_build_tools() -> None:
    user = value("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number, so that an orchestrator can check it"
    runs = " ".join(rest for word, rest in final_stage() if word == "RUN")
    assert not re.search(r"\b(apt|apt-get|pip|gcc|make|curl)\b", runs)
    assert f"--uid {user.partition(':')[0]} " in runs


def test_nothing_is_added_from_elsewhere_or_passed_as_a_secret() -> None:
    words = {word for word, _ in instructions()}
    assert not words & {"ADD", "ARG"}
    environment = " ".join(rest for word, rest in instructions() if word == "ENV")
    assert not re.search(r"SECRET|TOKEN|PASSWORD|REDIS_URL", environment)


def test_what_is_copied_exists_and_is_not_left_out_of_the_context() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in "#"]
    assert rules[0] == "*", "everything is left out but what is named"
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    copies = [rest.split() for word, rest in instructions() if word == "COPY"]
    copied = [name for rest in copies if not rest[0].startswith("--from") for name in rest[:-1]]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("path", ["config/prod.env", "config/.env.local", "gateway/__pycache__"])
def test_secrets_and_rubbish_stay_out_of_the_context(path: str) -> None:
    rules = [rule for rule in (ROOT / ".dockerignore").read_text().splitlines() if rule[:2] == "**"]
    assert any(fnmatch(path, rule.replace("**/", "*/")) for rule in rules)


def test_the_image_runs_the_gateway_where_it_is_asked_for_its_health(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert json.loads(value("ENTRYPOINT")) == ["hookline"]
    context = parses(json.loads(value("CMD")), monkeypatch)
    assert (context.info_name, context.params["host"]) == ("serve", "0.0.0.0")
    assert value("EXPOSE") == str(SETTINGS.server.port)
    assert value("STOPSIGNAL") == "SIGTERM"
    check = value("HEALTHCHECK")
    assert f"http://127.0.0.1:{SETTINGS.server.port}/readyz" in check
    compile(json.loads(check.partition("CMD ")[2])[2], "HEALTHCHECK", "exec")


def test_the_image_finds_configuration_and_processors_where_they_were_copied() -> None:
    environment = dict(pair.split("=", 1) for pair in shlex.split(value("ENV")))
    workdir = value("WORKDIR")
    assert environment["HOOKLINE_CONFIG"] == f"{workdir}/config"
    assert environment["HOOKLINE_PROCESSORS"] == f"{workdir}/processors"


# compose.yaml


def test_every_service_runs_a_command_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        words = SERVICES[name].get("command") or json.loads(value("CMD"))
        parses(words, monkeypatch)
    test = SERVICES["worker"]["healthcheck"]["test"]
    assert test[:2] == ["CMD", "hookline"]
    parses(test[2:], monkeypatch)


def test_every_service_comes_back_and_says_how_it_is() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or name == "gateway", f"{name}: the image's is the gateway's"


def test_nothing_but_the_gateway_is_published_beyond_loopback() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            host, _, container = str(port).rpartition(":")
            assert host == "8080" if name == "gateway" else host.startswith("127.0.0.1:")
            assert int(container) in (SETTINGS.server.port, 9181)
        assert service.get("network_mode") != "host"


def test_a_service_is_given_longer_to_stop_than_it_takes() -> None:
    graces = {"gateway": SETTINGS.server.grace, "worker": SETTINGS.worker.grace}
    for name, grace in graces.items():
        assert parse_duration(SERVICES[name]["stop_grace_period"]) >= grace + 5, name


def test_our_services_ask_the_valkey_of_this_file() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["environment"]["REDIS_URL"] == "redis://valkey:6379/0"
        assert service["depends_on"] == {"valkey": {"condition": "service_healthy"}}
        assert {"read_only": True, "cap_drop": ["ALL"], "init": True}.items() <= service.items()


def test_valkey_is_as_durable_as_hookline_checks_for() -> None:
    service = SERVICES["valkey"]
    assert re.fullmatch(r"valkey/valkey:\d+(\.\d+)*", service["image"])
    program, *words = service["command"]
    settings = {
        name.removeprefix("--"): text for name, text in zip(words[::2], words[1::2], strict=True)
    }
    assert program == "valkey-server"
    assert judge(ServerFacts("9.0", settings), "always") == []
    assert settings["maxmemory-policy"] == "noeviction"
    assert service["volumes"] == ["valkey:/data"]


def test_volumes_that_are_used_are_declared() -> None:
    used = {text.partition(":")[0] for each in SERVICES.values() for text in each.get("volumes", ())}
    assert used == set(COMPOSE["volumes"])


def test_secrets_come_from_files_that_git_and_the_image_leave_out() -> None:
    files = {file for name in OURS for file in SERVICES[name]["env_file"]}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert all(f"{Path(file).parent}/" in ignored for file in files)
    for service in SERVICES.values():
        assert set(service.get("environment", ())) <= {"REDIS_URL"}


def test_the_comment_names_every_variable_that_the_configuration_refers_to() -> None:
    texts = [path.read_text() for path in (ROOT / "config").rglob("*.toml")]
    texts.append(json.dumps(COMPOSE))
    wanted = {name for text in texts for name in re.findall(r'"env:(\w+)"', text)}
    comment = (ROOT / "compose.yaml").read_text().partition("services:")[0]
    assert set(re.findall(r"^# +(\w+)=\.\.\.", comment, re.MULTILINE)) == wanted
