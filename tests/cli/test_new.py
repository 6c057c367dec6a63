"""`hookline new`: what it makes works at once, keeps our rules, and holds nothing that was sent."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from redis import Redis

from gateway import samples
from gateway.adapters.ledger import calls as ledger
from gateway.catalogue import preset_names
from gateway.cli import main
from gateway.cli.shared.layout import imports
from gateway.cli.shared.model_text import made_up, source_of
from gateway.cli.shared.payload_models import models_of
from gateway.cli.shared.shapes import is_name, shape_of
from gateway.configuration import read_file
from gateway.core.event import Event, event_id
from gateway.sources import SourceFile
from tests.adapters.ledger_rig import Rig, a_source

ROOT: Final = Path(__file__).parents[2]
CANARY: Final = "canary-7f3a91"
AWAY: Final = "unix:///nowhere/redis.sock"
FOLDER: Final = "made_processors"  # not the name of the repository's own package
JSON_SAMPLES: Final = [
    (preset, each) for preset in samples.presets() for each in samples.types(preset) if each[0] != "/"
]


@dataclass(frozen=True)
class Project:
    """A directory with a configuration, and the command line in it."""

    root: Path
    environ: dict[str, str | None]

    def __call__(self, *words: str, status: int = 0, **env: str) -> Result:
        result = CliRunner().invoke(main, ["new", *words], env=self.environ | env)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def files(self) -> dict[str, str]:
        """Everything that was made, by its path."""
        paths = [path for path in self.root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        return {str(path.relative_to(self.root)): path.read_text() for path in paths}

    def passes(self, *words: str, status: int = 0, path: str = str(ROOT)) -> str:
        """What another program says of what was made, and that it ends with `status`."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "config" / "sources").mkdir(parents=True)
    for name, preset in {"github": "github", "shop": "stripe"}.items():
        text = f'preset = "{preset}"\nsecrets = ["env:SECRET_THAT_IS_NOT_SET"]\n'
        (tmp_path / "config" / "sources" / f"{name}.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in [each for each in sys.modules if each.partition(".")[0] == FOLDER]:
        monkeypatch.delitem(sys.modules, name)
    places = {"HOOKLINE_CONFIG": "config", "HOOKLINE_PROCESSORS": FOLDER}
    return Project(tmp_path, {**places, "REDIS_URL": None})


def accept(redis: "Redis", source: str, kind: str, *payloads: Any) -> list[str]:
    """Recorded events, the newest last; their ids."""
    ids = []
    for number, payload in enumerate(payloads):
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        own = event_id(source, "id", f"{kind}-{number}".encode())
        event = Event(own, source, kind, f"{number}", ((b"X-Note", CANARY.encode()),), body, 0.0)
        Rig(redis).run(ledger.accept([(event, a_source(source), ("archive",))]))
        ids.append(own)
    return ids


# A processor


def test_whatever_is_made_keeps_our_rules_and_its_tests_pass(project: Project) -> None:
    for preset in samples.presets():
        (project.root / "config" / "sources" / f"{preset}.toml").write_text(f'preset = "{preset}"\n')
    for number, (preset, kind) in enumerate(JSON_SAMPLES):
        more = ("--async",) if number % 2 else ()
        project("processor", preset, kind, *more)
        project("processor", preset, kind, "--name", f"typed_{number}", "--typed", *more)
    project("processor", "slack", "/deploy")
    project("processor", "shop", "charge.dispute.created", "--typed")
    project("processor", "shop", "*", "--name", "whatever_comes", "--typed")
    project("processor", "github", "nothing.known")
    project("processor", "github", "a" * 60, "--name", "b" * 40)
    ours = ("--config", str(ROOT / "pyproject.toml"), "--no-cache")
    project.passes("ruff", "format", "--check", *ours, ".")
    project.passes("ruff", "check", *ours, ".")
    assert f"{2 * len(JSON_SAMPLES) + 5} passed" in project.passes("pytest", "-q", "-W", "error")
    mypy = ("mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"))
    project.passes(*mypy, "--cache-dir", "mypy", FOLDER, "tests")


def test_in_hooklines_own_checkout_gateway_is_sorted_as_ours() -> None:
    lines = ["from gateway.plugins import Event", "from pydantic import BaseModel"]
    assert imports(lines, inside=True) == [f"{lines[1]}\n", f"{lines[0]}\n"]
    assert imports(lines, inside=False) == [f"{lines[0]}\n{lines[1]}\n"]


def test_the_test_that_is_made_fails_when_the_processor_is_broken(project: Project) -> None:
    project("processor", "github", "push")
    file = project.root / FOLDER / "github_push.py"
    file.write_text(file.read_text().replace("    print(", "    str("))
    assert "1 failed" in project.passes("pytest", "-q", status=1)


def test_it_is_made_after_recorded_events_and_holds_no_value_of_them(
    project: Project, redis: "Redis", redis_url: str
) -> None:
    first = {"id": CANARY, "firstName": CANARY, "note": None, "by": {f"{CANARY}@example.com": 1}}
    second = {"id": CANARY, "note": CANARY, "class": 1, "by": {}, "lines": [{"price": 1}]}
    accept(redis, "shop", "order.created", first, second)
    accept(redis, "shop", "order.shipped", {"other": CANARY})
    result = project("processor", "shop", "order.created", "--typed", REDIS_URL=redis_url)
    text = project.text(f"{FOLDER}/shop_order_created.py")
    for line in (
        "    id: str\n",
        "    note: str | None = None\n",
        '    first_name: str | None = Field(default=None, alias="firstName")\n',
        '    class_: int | None = Field(default=None, alias="class")\n',
        "    by: dict[str, Any]\n",
        "    lines: list[Line] | None = None\n",
    ):
        assert line in text
    assert "other" not in text
    assert CANARY not in "".join(project.files().values()) + result.output
    project.passes("pytest", "-q", "-W", "error")
    assert "--data tests/test_shop_order_created.json" in result.stderr


def test_one_recorded_event_can_be_named(project: Project, redis: "Redis", redis_url: str) -> None:
    old, _ = accept(redis, "github", "push", {"old": CANARY}, {"new": CANARY})
    project("processor", "github", "pu*", "--typed", "--from", old, REDIS_URL=redis_url)
    text = project.text(f"{FOLDER}/github_pu.py")
    assert ("old: str" in text, "new: str" in text) == (True, False)


def test_a_recorded_type_cannot_write_into_the_test(
    project: Project, redis: "Redis", redis_url: str
) -> None:
    accept(redis, "shop", f'x"); raise SystemExit("{CANARY}")', {"id": "1"})
    result = project("processor", "shop", "x*", REDIS_URL=redis_url)
    assert CANARY not in "".join(project.files().values()) + result.output
    assert "1 passed" in project.passes("pytest", "-q", "-W", "error")


@pytest.mark.parametrize("body", [f"text={CANARY}&user_id=1".encode(), b"<note>canary-7f3a91</note>"])
def test_a_body_that_is_no_json_is_recorded_too(
    project: Project, redis: "Redis", redis_url: str, body: bytes
) -> None:
    accept(redis, "github", "push", body)
    project("processor", "github", "push", REDIS_URL=redis_url)
    assert CANARY not in "".join(project.files().values())
    project.passes("pytest", "-q", "-W", "error")
    result = project(
        "processor", "github", "push", "--typed", "--name", "b", status=1, REDIS_URL=redis_url
    )
    assert "--typed needs a JSON payload" in result.stderr


def test_a_recorded_event_that_does_not_fit_is_refused_with_the_reason(
    project: Project, redis: "Redis", redis_url: str
) -> None:
    (own,) = accept(redis, "shop", "order.created", {"a": 1})
    for words, status, why in (
        (("github", "push", "--from", own), 1, "'order.created' of shop"),
        (("shop", "order.created", "--from", "evt_nothing"), 3, "is no id of an event"),
    ):
        result = project("processor", *words, status=status, REDIS_URL=redis_url)
        assert why in result.stderr
    redis.delete(Rig(redis).keys.body(own))
    result = project("processor", "shop", "order.created", "--from", own, status=3, REDIS_URL=redis_url)
    assert "its body is gone" in result.stderr
    assert not (project.root / FOLDER).exists()


def test_a_ledger_that_does_not_answer_is_told_of_and_done_without(project: Project) -> None:
    result = project("processor", "github", "push", REDIS_URL=AWAY)
    assert f"{AWAY} does not answer" in result.stderr
    assert "after the sample" in result.stdout
    result = project("processor", "github", "star", "--from", "evt_1", status=69, REDIS_URL=AWAY)
    assert "cannot be reached" in result.stderr


def test_nothing_is_written_over_unless_asked(project: Project) -> None:
    project("processor", "github", "push")
    file = project.root / FOLDER / "github_push.py"
    file.write_text("# mine\n")
    result = project("processor", "github", "push", "--async", status=1)
    assert f"{FOLDER}/github_push.py, tests/test_github_push.py: there already" in result.stderr
    assert file.read_text() == "# mine\n"
    project("processor", "github", "push", "--async", "--force")
    assert "async def github_push" in file.read_text()


def test_a_test_alone_that_is_there_keeps_everything_from_being_written(project: Project) -> None:
    (project.root / "tests").mkdir()
    (project.root / "tests" / "test_github_push.py").touch()
    project("processor", "github", "push", status=1)
    assert not (project.root / FOLDER).exists()


def test_a_name_that_is_taken_is_refused_with_both_places(project: Project) -> None:
    project("processor", "github", "push", "--name", "one")
    file = project.root / FOLDER / "one.py"
    file.write_text(file.read_text().replace("events=[", 'name="two", events=['))
    for name in [each for each in sys.modules if each.partition(".")[0] == FOLDER]:
        del sys.modules[name]  # as in a process of its own
    result = project("processor", "github", "star", "--name", "two", status=1)
    assert f"taken by {FOLDER}/one.py:8; {FOLDER}/two.py would be the second" in result.stderr


@pytest.mark.parametrize(
    "name", ["Push", "sort-issues", "1st", "class", "print", "event", "a" * 41, ""]
)
def test_a_name_that_python_has_no_use_for_is_wrong_usage(project: Project, name: str) -> None:
    assert "--name" in project("processor", "github", "push", "--name", name, status=2).stderr
    assert not (project.root / FOLDER).exists()


@pytest.mark.parametrize("events", ['push"', "pu\\sh", "pu\nsh", "püsh", "a" * 61, ""])
def test_a_type_that_a_text_could_not_hold_is_wrong_usage(project: Project, events: str) -> None:
    assert "EVENT" in project("processor", "github", events, "--name", "x", status=2).stderr


def test_an_unknown_source_is_told_with_those_that_there_are(project: Project) -> None:
    text = project("processor", "gihub", "push", status=3).stderr
    assert all(each in text for each in ("did you mean 'github'?", "github, shop", "new source PRESET"))
    assert "`hookline new source slack`" in project("processor", "slack", "x", status=3).stderr
    for path in (project.root / "config" / "sources").iterdir():
        path.unlink()
    assert "none is configured" in project("processor", "github", "push", status=3).stderr


def test_an_event_of_which_nothing_is_known_is_said_to_be_one(project: Project) -> None:
    result = project("processor", "github", "pusch")
    assert "neither a recorded event nor a sample" in result.stderr
    assert "Samples there are of: check_run," in result.stderr


def test_what_processors_emit_has_a_source_without_a_file(project: Project) -> None:
    result = project("processor", "internal", "order.packed")
    assert 'event.emit("order.packed", {...})' in result.stderr
    assert "1 passed" in project.passes("pytest", "-q", "-W", "error")
    result = project("source", "github", "--name", "internal", status=2)
    assert "what processors emit" in result.stderr


def test_tests_go_where_this_project_keeps_those_of_processors(project: Project) -> None:
    (project.root / "tests" / "processors").mkdir(parents=True)
    (project.root / "pyproject.toml").touch()
    made = json.loads(project("processor", "github", "push", "--json").stdout)
    assert made["files"] == [
        f"{FOLDER}/github_push.py",
        "tests/processors/test_github_push.py",
        f"{FOLDER}/__init__.py",
    ]
    assert made["made_after"] == "sample"
    assert made["next"] == [
        "python -m pytest tests/processors/test_github_push.py",
        "hookline dev",
        "hookline send github push",
    ]


def test_the_next_steps_are_three_lines(project: Project) -> None:
    for words in (("processor", "github", "push"), ("source", "slack"), ("package", "acme")):
        _, _, steps = project(*words).stderr.partition("Next:\n")
        assert len(steps.splitlines()) == 3


# Models of payloads

ODD_KEYS: Final = (
    "id ids type class from json copy model_dump schema str list dict Any Event firstName first-name"
    " $ref @id _links 2fa object objects data field Field BaseModel none None __x__ é print"
)
KEYS: Final = st.sampled_from(ODD_KEYS.split())
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | KEYS, inner, max_size=5)
    ),
    max_leaves=20,
)
PAYLOADS: Final = st.lists(st.dictionaries(KEYS, VALUES, max_size=8), min_size=1, max_size=3)


def model_made(payloads: list[Any]) -> tuple[str, type[BaseModel], Any]:
    """The text of the models, the outermost of them, and a made-up payload."""
    models = models_of(shape_of(payloads), "Payload")
    text = "from typing import Any\n\nfrom pydantic import BaseModel, Field\n\n\n"
    text += source_of(models, "What we use.") + "\n"
    names: dict[str, Any] = {}
    exec(text, names)
    return text, names["Payload"], made_up(models)


@given(payloads=PAYLOADS)
@settings(max_examples=150, deadline=None)
def test_a_model_fits_every_payload_that_it_was_made_after(payloads: list[Any]) -> None:
    _, model, example = model_made(payloads)
    for each in [*payloads, example]:
        model.model_validate_json(json.dumps(each))


def test_a_field_takes_no_name_that_pydantic_or_python_has() -> None:
    keys = ["list", "copy", "class", "model_dump", "_2fa", "fullName", "full_name", "@id"]
    (model,) = models_of(shape_of([dict.fromkeys(keys, 1)]), "Payload")
    assert [each.attribute for each in model.fields] == [
        *("list_", "copy_", "class_", "field_model_dump", "field_2fa", "full_name", "full_name_", "id")
    ]


@given(payloads=PAYLOADS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_model_is_formatted_and_keeps_our_rules(payloads: list[Any]) -> None:
    text, _, _ = model_made(payloads)
    ruff = [sys.executable, "-m", "ruff"]
    name = ("--stdin-filename", str(ROOT / "processors" / "made.py"))
    for words in (["format", "--diff"], ["check", "--ignore", "F401"]):
        done = subprocess.run(
            [*ruff, *words, "--no-cache", *name, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stdout + done.stderr + text


def test_a_model_is_small_and_has_what_is_used() -> None:
    payload = json.loads(samples.load("stripe", "invoice.paid").body)
    models = models_of(shape_of([payload]), "InvoicePaid")
    invoice = next(each for each in models if each.name == "Object")
    names = [each.key for each in invoice.fields]
    assert {"id", "amount_paid", "currency", "customer", "lines"} <= set(names)
    assert (len(models) <= 8, len(names) <= 14) == (True, True)


@pytest.mark.parametrize(
    "key",
    [
        "ann@example.com",
        "4915112345678",
        "AbC123dEf456Gh",
        "cus_Nffrb2pK9sT1xY",
        "a b\n",
        "é",
        "x" * 70,
    ],
)
def test_a_key_that_looks_like_data_is_none_of_a_field(key: str) -> None:
    assert not is_name(key)
    assert key not in repr(shape_of([{key: 1}]))
    assert key not in repr(shape_of([dict.fromkeys(["a", "b", "c", "d", "e", "f", key])]))


@pytest.mark.parametrize(
    "key", ["id", "firstName", "first-name", "$ref", "@type", "line_1", "x.y", "sha256"]
)
def test_a_key_that_a_programmer_gave_is_a_field(key: str) -> None:
    assert is_name(key)


# A source


@pytest.mark.parametrize("preset", preset_names())
def test_a_source_of_every_preset_is_a_file_without_faults(project: Project, preset: str) -> None:
    made = json.loads(project("source", preset, "--name", "door", "--json").stdout)
    faults: list[Any] = []
    file = read_file(project.root / "config" / "sources" / "door.toml", SourceFile, faults)
    assert (faults, file and file.preset) == ([], preset)
    assert made["url"] == "https://YOUR-HOST/hooks/door"
    assert all(name.startswith("DOOR_") for name in made["set"])


@pytest.mark.parametrize("preset", ["stripe", "slack", "twilio", "gitlab", "shopify", "asana"])
def test_check_passes_once_the_secret_of_a_new_source_is_set(project: Project, preset: str) -> None:
    for path in (project.root / "config" / "sources").iterdir():
        path.unlink()
    (project.root / FOLDER).mkdir()
    made = json.loads(project("source", preset, "--json").stdout)
    check = ["check", "--offline"]
    secrets = dict.fromkeys(made["set"], "It's a secret to everybody")
    result = CliRunner().invoke(main, check, env=project.environ | secrets)
    assert (result.exit_code, result.output) == (0, "No faults.\n")
    if secrets:
        assert CliRunner().invoke(main, check, env=project.environ).exit_code == 78


def test_a_source_says_what_is_left_to_a_person(project: Project) -> None:
    (project.root / "config" / "gateway.toml").write_text(
        '[server]\npublic_url = "https://in.example.org"\n'
    )
    text = project("source", "stripe", "--name", "till").stderr
    for each in (
        "Tell Stripe this URL: https://in.example.org/hooks/till",
        "https://docs.stripe.com/webhooks",
        "export TILL_WEBHOOK_SECRET=...",
        "hookline check",
        "hookline new processor till EVENT",
    ):
        assert each in text
    assert "hookline handshake arm asana" in project("source", "asana").stderr


def test_a_placeholder_is_named_until_the_settings_know_better(project: Project) -> None:
    assert "Fill in public_url" in project("source", "twilio").stderr
    (project.root / "config" / "gateway.toml").write_text(
        '[server]\npublic_url = "https://in.example.org"\n'
    )
    assert "Fill in" not in project("source", "twilio", "--force").stderr
    assert '"https://in.example.org/hooks/twilio"' in project.text("config/sources/twilio.toml")


def test_a_source_that_is_there_or_cannot_be_is_refused(project: Project) -> None:
    assert "there already" in project("source", "github", status=1).stderr
    assert "did you mean 'github'?" in project("source", "githbu", status=3).stderr
    assert "no source name" in project("source", "github", "--name", "../up", status=2).stderr


# A package


def test_a_package_is_found_by_its_entry_point_and_its_test_passes(project: Project) -> None:
    project("package", "acme-webhooks")
    ours = ("--config", str(ROOT / "pyproject.toml"), "--no-cache", "acme-webhooks")
    project.passes("ruff", "format", "--check", *ours)
    assert "1 passed" in project.passes("pytest", "-q", "-W", "error", "acme-webhooks")
    installed(project.root / "acme-webhooks")
    (project.root / FOLDER).mkdir()
    path = os.pathsep.join([str(ROOT), str(project.root / "acme-webhooks" / "src")])
    listed = project.passes("gateway", "plugins", "--processors", FOLDER, path=path)
    assert "acme-webhooks (acme_webhooks:registry)" in listed


def installed(directory: Path) -> None:
    """What an installer makes of the project file, where Python looks for it."""
    import tomllib

    project = tomllib.loads((directory / "pyproject.toml").read_text())["project"]
    facts = directory / "src" / f"acme_webhooks-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"{name} = {value}" for name, value in project["entry-points"]["gateway.processors"].items()
    ]
    (facts / "entry_points.txt").write_text("\n".join(["[gateway.processors]", *lines, ""]))


def test_a_package_is_made_for_the_source_that_is_named(project: Project) -> None:
    project("package", "till", "--source", "shop")
    assert 'source="shop"' in project.text("till/src/till/__init__.py")
    assert "No source is named" in project("package", "b", "--source", "nobody", status=3).stderr
    assert "there already" in project("package", "till", status=1).stderr
