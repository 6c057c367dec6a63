"""The documentation is true: samples run, tables say what the code says, nothing is missing."""

import ast
import json
import os
import re
import shlex
import sqlite3
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, Final

import click
import pytest

from gateway.adapters.http.metrics import Snapshot, render
from gateway.adapters.spool.looking import Totals
from gateway.adapters.spool.slots import FileState, State
from gateway.catalogue import load_preset, preset_names
from gateway.catalogue.family import FAMILIES
from gateway.catalogue.keys import KeyTable
from gateway.cli import EPILOG, main
from gateway.cli.schema import TITLES, schema_of
from gateway.cli.shared.preset_lists import with_tables
from gateway.configuration import load_config
from gateway.core import outcomes
from gateway.core.canonical import CANONICAL
from gateway.core.functions import FUNCTIONS
from gateway.core.handshake import Proof
from gateway.core.template import KINDS, PLAIN_NAMES
from gateway.sources import SourceFile
from tests import reference

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCED = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)

# Where the keys of a file are documented: page, heading, kind of file, model (none: the file's own).
TABLES = (
    ("configuration", "`[server]`", "gateway", "ServerSettings"),
    ("configuration", "`[admin]`", "gateway", "AdminSettings"),
    ("configuration", "`[redis]`", "gateway", "RedisSettings"),
    ("configuration", "`[spool]`", "gateway", "SpoolSettings"),
    ("configuration", "`[worker]`", "gateway", "WorkerSettings"),
    ("configuration", "`[defaults]`", "gateway", "SourceWide"),
    ("configuration", "`[defaults.retry]`", "gateway", "RetrySettings"),
    ("configuration", "`[log]`", "gateway", "LogSettings"),
    ("configuration", "A source's own keys", "source", ""),
    ("configuration", '`[verify]` with `scheme = "signature"`', "source", "SignatureVerify"),
    ("configuration", "`[verify.timestamp]`", "source", "SignedTime"),
    ("configuration", '`[verify]` with `scheme = "token"`', "source", "TokenVerify"),
    ("configuration", '`[verify]` with `scheme = "basic-auth"`', "source", "BasicAuthVerify"),
    ("configuration", '`[verify]` with `scheme = "jwt"`', "source", "JwtVerify"),
    (
        "configuration",
        '`[verify]` with `scheme = "http-message-signature"`',
        "source",
        "MessageSignatureVerify",
    ),
    ("configuration", "`[verify.key_source]`", "source", "KeySourceFile"),
    ("configuration", '`[verify]` with `scheme = "unverified"`', "source", "UnverifiedVerify"),
    ("configuration", "`[identity]`", "source", "Identity"),
    ("configuration", "`[acknowledge]`", "source", "Acknowledge"),
    ("configuration", "`[when]`", "source", "Condition"),
    ("providers", "A preset's own keys", "preset", ""),
    ("providers", "`[[handshakes]]`", "preset", "HandshakeFile"),
    ("providers", "`[options.NAME]`", "preset", "Option"),
    ("providers", "`[sender]`", "preset", "Sender"),
    ("providers", "`[source]`", "preset", "SourceDefaults"),
    ("providers", "`[addresses]`", "preset", "PublishedAddresses"),
)
# Each of these has the keys of the table "`[[processors]]`", and those of its own.
BUILT_IN: Final = {
    "forward": "ForwardFile",
    "log": "LogFile",
    "append": "AppendFile",
    "exec": "ExecFile",
}
WORDS: Final[dict[str, type[StrEnum]]] = {
    "Requests": outcomes.Outcome,
    "Why a request is refused": outcomes.Refusal,
    "Why an event is ignored": outcomes.Ignored,
    "Why there is no room": outcomes.Overload,
    "Why Redis takes nothing": outcomes.Absence,
    "What the ledger says to an event": outcomes.Acceptance,
    "Deliveries": outcomes.DeliveryState,
    "Attempts": outcomes.AttemptOutcome,
    "Dead letters": outcomes.DeadReason,
}
# The pages whose samples are run, one after the other in one module, and how many tests are in them.
SAMPLE_TESTS: Final = {
    "processors": 4,
    "order-and-steps": 2,
    "filters": 1,
    "built-in": 0,
    "testing": 4,
    "dev-loop": 0,
}
PUBLIC_KEY: Final = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
PEM: Final = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n"
)
COUNTERS = {
    "requests|s|accepted|accepted": 1,
    "attempts|s|p|done": 1,
    "overtaken|s|p": 1,
    "emitted|s|p|accepted": 1,
    "dead|s|poison": 1,
    "replays|s": 1,
    "replayed|s": 1,
    "spool|s|kept": 1,
    "quarantine|s|kept": 1,
    "micros|s": 1,
}


def page_text(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def table(page: str, heading: str) -> dict[str, str]:
    """The first two columns of the table below a heading; its first column is `code`."""
    text = prose(ROOT / "docs" / f"{page}.md")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    assert found, f"{page}.md has no heading {heading!r}"
    return dict(re.findall(r"^\| `([^`]+)` \| (.*?) ?\|", found[1], re.M))


def blocks(page: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Fenced blocks of these languages, each with the line it begins on."""
    text = page.read_text(encoding="utf-8")
    for match in FENCED.finditer(text):
        if match["language"] in languages:
            yield text[: match.start()].count("\n") + 2, dedent(match["code"])


# Keys and providers


@pytest.mark.parametrize(("page", "heading", "which", "model"), TABLES)
def test_a_table_has_every_key_with_its_default(
    page: str, heading: str, which: str, model: str
) -> None:
    schema = schema_of(which)
    described = schema["$defs"][model] if model else schema
    wanted = {
        key: _default(field, required=key in described.get("required", ()))
        for key, field in described["properties"].items()
        if not (_is_table(field, schema) or key in KeyTable.model_fields)
    }
    assert table(page, heading) == wanted


@pytest.mark.parametrize("run", BUILT_IN)
def test_the_table_of_a_built_in_processor_has_every_key_with_its_default(run: str) -> None:
    model = schema_of("source")["$defs"][BUILT_IN[run]]
    wanted = {
        key: _default(field, required=key in model["required"])
        for key, field in model["properties"].items()
    }
    own = table("configuration", f'`[[processors]]` with `run = "{run}"`')
    assert table("configuration", "`[[processors]]`") | own == wanted


def test_the_table_of_how_a_secret_is_written_is_for_all_that_share_it() -> None:
    models = schema_of("source")["$defs"]
    for name in ("SignatureVerify", "JwtVerify", "MessageSignatureVerify"):
        fields = models[name]["properties"]
        wanted = {key: _default(fields[key], required=False) for key in KeyTable.model_fields}
        assert table("configuration", "How a secret is written") == wanted


def _is_table(field: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Which has a heading of its own; a reference may also be to a list of words."""
    found = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {"properties": ()})
    return "oneOf" in field or ("$ref" in field and "properties" in found)


def _default(field: dict[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(field['default'])}`" if "default" in field else "-"


def test_every_model_of_a_file_has_its_table() -> None:
    models = {
        name
        for which in TITLES
        for name, model in schema_of(which)["$defs"].items()
        if "properties" in model
    }
    assert models <= {model for *_, model in TABLES} | set(BUILT_IN.values())


def test_the_tables_of_providers_are_those_of_the_presets() -> None:
    text = page_text("providers")
    presets = [(name, load_preset(name)) for name in preset_names()]
    run = "run: hookline presets list --write docs/providers.md"
    assert with_tables(text, presets) == text, run
    assert set(table("providers", "Families")) == set(FAMILIES), run
    assert all(f"| `{name}` |" in text for name in preset_names()), run


# Templates and handshakes


def test_every_name_of_a_template_is_explained() -> None:
    names = {name.removesuffix(".a.b") for name in table("providers", "Names")}
    wanted = {*PLAIN_NAMES, *(f"{kind}.NAME" for kind in KINDS)} - {"json.NAME", "item.NAME"}
    assert names == wanted | {"json", "item"}


def test_every_function_and_every_canonical_rendering_is_explained() -> None:
    assert set(table("providers", "Functions")) == {*FUNCTIONS, "sign"}
    assert set(table("providers", "Canonical renderings")) == set(CANONICAL)


def test_everything_that_a_handshake_may_need_is_explained() -> None:
    assert set(table("providers", "Handshakes")) == set(Proof)


# Words


@pytest.mark.parametrize("heading", WORDS)
def test_every_word_is_explained_and_none_that_is_gone(heading: str) -> None:
    assert sorted(table("operations", heading)) == sorted(WORDS[heading])


def test_every_list_of_words_is_in_the_page() -> None:
    kinds = [each for each in vars(outcomes).values() if isinstance(each, type)]
    assert {each for each in kinds if issubclass(each, StrEnum)} == {StrEnum, *WORDS.values()}


def test_every_metric_is_explained_with_its_labels() -> None:
    one = {"x": 1}
    snapshot = Snapshot(COUNTERS, one, one, one, {"x": 1.0}, 1, suspended=False)
    spool = State((FileState(Path("0.db"), False, Totals(one, 1, 1.0, 0)),))
    text = render(snapshot, spool, ["unreachable"]).decode()
    found: dict[str, str] = {}
    for name in re.findall(r"^# TYPE (\w+) ", text, re.M):
        sample = re.search(rf"^{name}(?:_count)?(?:\{{(.*?)\}})? ", text, re.M)
        assert sample
        labels = re.findall(r"(\w+)=", sample[1] or "")
        found[name] = " ".join(sorted(labels))
    written = table("operations", "Metrics")
    assert {name: " ".join(sorted(re.findall(r"\w+", text))) for name, text in written.items()} == found


def test_every_log_line_is_explained() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "gateway").rglob("*.py")]
    calls = [node for text in sources for node in ast.walk(ast.parse(text)) if _is_log_call(node)]
    names = {name for each in calls if "." in (name := _line_name(each))}
    assert set(table("operations", "Log lines")) == names


def _is_log_call(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and node.args):
        return False
    word = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return word in ("debug", "info", "warning", "error", "level")


def _line_name(call: ast.AST) -> str:
    """`request.{ending.outcome}` as request.OUTCOME."""
    assert isinstance(call, ast.Call)
    text = ast.unparse(call.args[0])
    return re.sub(r"\{[^}]*\}", "OUTCOME", text).removeprefix("f").strip("'\"")


def test_every_exit_status_is_explained() -> None:
    assert set(table("operations", "Exit status")) == {
        word for word in EPILOG.split() if word.isdigit()
    }


def test_every_key_and_script_of_the_ledger_is_explained() -> None:
    folder = ROOT / "gateway" / "adapters" / "ledger" / "lua"
    keys = re.findall(r"^-- (PREFIX:\S+)", (folder / "_ledger.lua").read_text(encoding="utf-8"), re.M)
    assert set(table("architecture", "Keys")) == set(keys)
    scripts = {path.stem for path in folder.glob("[!_]*.lua")}
    assert set(table("architecture", "Scripts")) == scripts


def test_the_reference_is_that_of_the_code() -> None:
    assert page_text("reference") == reference.text(), "run: scripts/reference"


# Samples


@pytest.mark.parametrize(("name", "tests"), SAMPLE_TESTS.items())
def test_every_sample_of_a_processor_runs_and_its_tests_pass(
    name: str, tests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / f"{name}.md"
    module = ModuleType("documented_processors")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for line, code in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), vars(module))
    found = [each for name, each in vars(module).items() if name.startswith("test_")]
    for test in found:
        test()
    assert len(found) == tests
    if isinstance(database := vars(module).get("database"), sqlite3.Connection):
        database.close()


def test_every_page_with_samples_has_them_run() -> None:
    """The tutorial's are by tests/test_tutorial.py."""
    pages = [page.stem for page in (ROOT / "docs").glob("*.md") if list(blocks(page, "python"))]
    assert set(pages) - {"tutorial"} == set(SAMPLE_TESTS)


@every_page
def test_every_python_sample_is_python(page: Path) -> None:
    for line, code in blocks(page, "python"):
        compile("\n" * (line - 1) + code, str(page), "exec")


def samples_of_sources() -> list[Any]:
    names = ("configuration", "providers", "filters", "built-in", "tutorial")
    pages = [ROOT / "docs" / f"{name}.md" for name in names]
    pages += [ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
    found = [(page, line, text) for page in pages for line, text in blocks(page, "toml")]
    return [pytest.param(text, id=f"{page.name}:{line}") for page, line, text in found]


@pytest.mark.parametrize("sample", samples_of_sources())
def test_every_sample_of_a_source_is_one_that_could_be_used(sample: str, tmp_path: Path) -> None:
    file = SourceFile.model_validate(tomllib.loads(sample))
    references = re.findall(r'"env:(\w+)"', sample)
    environ = dict.fromkeys(references, _secret(file)) | {"PATH": os.environ["PATH"]}
    (tmp_path / "sources").mkdir()
    (tmp_path / "gateway.toml").touch()
    (tmp_path / "sources" / "shop.toml").write_text(sample, encoding="utf-8")
    load_config(tmp_path, environ)  # raises ConfigError with every fault


def _secret(file: SourceFile) -> str:
    """What such a sample could have for a secret."""
    if getattr(file.verify, "algorithm", None) == "ed25519":
        return PUBLIC_KEY.hex() if getattr(file.verify, "key_encoding", "") == "hex" else PEM
    return "user:passwd" * 2 if getattr(file.verify, "scheme", "") == "basic-auth" else PUBLIC_KEY.hex()


def test_every_scheme_has_a_sample() -> None:
    schemes = schema_of("source")["properties"]["verify"]["discriminator"]["mapping"]
    text = page_text("providers")
    assert [each for each in schemes if f'scheme = "{each}"' not in text] == []


def shown_commands() -> list[Any]:
    found = []
    for page in PAGES:
        for first, code in blocks(page, "sh", "console"):
            for number, line in enumerate(code.splitlines(), first):
                words = shlex.split(line.removeprefix("$ "), comments=True)
                words = list(takewhile(lambda word: word not in ("|", ">"), words))
                if words[:1] == ["hookline"]:
                    found.append(pytest.param(words[1:], id=f"{page.name}:{number}"))
    return found


@pytest.mark.parametrize("words", shown_commands())
def test_a_command_line_that_is_shown_would_be_understood(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOOKLINE_CONFIG", "HOOKLINE_PROCESSORS"):
        monkeypatch.setenv(name, "kept: the options write to the environment")
    monkeypatch.chdir(tmp_path)
    for name in ("push.json", "processors/stripe.py", "new/stripe.py"):  # which the lines name
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    command: click.Command | None = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(click.Context(command), name)
        assert command, f"hookline has no {name!r} there"
    assert command
    with suppress(click.exceptions.Exit):  # --help
        command.make_context("hookline", words)


# Links


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if not re.match(r"[a-z]+:", target):
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in _anchors(file), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@every_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    folders = "gateway|processors|config|tests|docs|scripts"
    names = re.findall(rf"`((?:{folders})/[\w./-]+)`", prose(page))
    assert not [name for name in names if "NAME" not in name and not (ROOT / name).exists()]
