"""`[[processors]]` of a source's file: what it may say, and each fault with file, key and mend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.schema import schema_of
from gateway.core.builtin import Append, Exec, Forward, Log, UrlError, parse_target
from gateway.discovery import discover
from gateway.faults import ConfigError
from gateway.plugins import Event, Processor, Registry
from gateway.wiring import Place, load_application
from tests.builtin_rig import CANARY, ENVIRON, config_of, faults_of, processors_of, works_of

FORWARD = '[[processors]]\nrun = "forward"\nurl = "https://app.example.com/in"\n'
LOG = '[[processors]]\nrun = "log"\n'
EXEC = '[[processors]]\nrun = "exec"\ncommand = ["cat"]\n'
SET = ENVIRON | {"EMPTY": " ", "ODD": "whsec_***not-base64***", "URL": f"https://a.example/{CANARY}"}
SET |= {"LINES": f"{CANARY}\r\nx", "PLAIN": f"http://a.example/{CANARY}"}


# What it may say


def test_every_kind_becomes_a_processor_with_a_name_of_its_source(tmp_path: Path) -> None:
    append = f'[[processors]]\nrun = "append"\nfile = "{tmp_path}/events"\n'
    found = processors_of(FORWARD + LOG + append + EXEC, tmp_path)
    assert [each.name for each in found] == [
        f"github.{run}" for run in ("forward", "log", "append", "exec")
    ]
    assert {each.source for each in found} == {"github"}
    assert [each.is_async for each in found] == [True, False, False, False]
    assert found[1].origin == f"{tmp_path}/sources/github.toml: processors[1]"
    kinds = [type(work) for work in works_of(FORWARD + LOG + append + EXEC, tmp_path)]
    assert kinds == [Forward, Log, Append, Exec]


def test_a_second_one_of_a_kind_is_numbered_unless_it_has_a_name(tmp_path: Path) -> None:
    found = processors_of(LOG + LOG + LOG + 'name = "books"\n' + FORWARD, tmp_path)
    assert [each.name for each in found] == ["github.log", "github.log-2", "books", "github.forward"]


def test_events_timeout_and_condition_are_a_processors_like_any_others(tmp_path: Path) -> None:
    lines = (
        'events = ["push", "issue*"]\ntimeout = "5s"\nwhen = {field = "action", equals = "opened"}\n'
    )
    (found,) = processors_of(LOG + lines, tmp_path)
    assert (found.events, found.timeout) == (("push", "issue*"), 5.0)
    assert found.when is not None
    assert found.route.wants("github", "issues")


def test_a_url_may_be_a_secret_and_is_then_never_shown(tmp_path: Path) -> None:
    config = config_of('[[processors]]\nrun = "forward"\nurl = "env:URL"\n', tmp_path, SET)
    (built,) = config.builtin
    assert isinstance(built.work, Forward)
    assert built.work.target.path == f"/{CANARY}"
    assert CANARY not in repr(config)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_needs_neither_https_nor_permission(host: str, tmp_path: Path) -> None:
    table = f'[[processors]]\nrun = "forward"\nurl = "http://{host}:3000/hooks"\n'
    assert not faults_of(table, tmp_path)
    assert not config_of(table, tmp_path).warnings


def test_warns_of_what_is_sent_in_the_clear(tmp_path: Path) -> None:
    table = '[[processors]]\nrun = "forward"\nurl = "http://app.internal/"\ninsecure = true\n'
    (warning,) = config_of(table, tmp_path).warnings
    assert "github.toml: processors[0] is insecure" in warning


def test_nothing_secret_is_in_the_repr_of_a_configuration(tmp_path: Path) -> None:
    lines = 'secret = "env:FORWARD"\nadd = { Authorization = "env:KEY" }\n'
    config = config_of(FORWARD + lines + EXEC + 'env = { TOKEN = "env:KEY" }\n', tmp_path)
    assert ENVIRON["KEY"] not in repr(config)
    assert ENVIRON["FORWARD"].removeprefix("whsec_") not in repr(config)


def test_the_schema_for_editors_knows_all_four(tmp_path: Path) -> None:
    schema = schema_of("source")
    assert {"ForwardFile", "LogFile", "AppendFile", "ExecFile"} <= set(schema["$defs"])
    assert schema["properties"]["processors"]["type"] == "array"


# What it may not


@pytest.mark.parametrize(
    ("table", "key", "problem", "mend"),
    [
        ('run = "forwrd"', "", "unknown run", "did you mean 'forward'?"),
        ('url = "https://a.example"', "", "has no run", "forward, log, append, exec"),
        ('run = "forward"', ".url", "is required", "add it"),
        ('run = "log"\nfeilds = ["a"]', ".feilds", "unknown key", "did you mean 'fields'?"),
        ('run = "log"\nname = "a b"', ".name", "does not fit", ""),
        ('run = "log"\nevents = []', ".events", "does not fit", ""),
        ('run = "log"\nevents = "push"', ".events", "is not a list", 'write [ ] around it: ["..."]'),
        ('run = "log"\ntimeout = 5', ".timeout", "is not a duration", '"30s"'),
        ('run = "log"\nfields = ["ok", "a..b"]', ".fields[1]", "'a..b' has an empty step", "dot"),
        ('run = "log"\nwhen = {field = "a", eqals = 1}', ".when.eqals", "is no word", "equals"),
        ('run = "append"\nfile = "/nowhere/at/all"', ".file", "no directory /nowhere/at", "make it"),
        ('run = "append"\nfile = "/tmp"', ".file", "/tmp is a directory", "name a file in it"),
        ('run = "append"\nfile = "/dev/null"', ".file", "is no regular file", "name one"),
        ('run = "exec"\ncommand = []', ".command", "does not fit", ""),
        ('run = "exec"\ncommand = "cat x"', ".command", "is not a list", ""),
        ('run = "exec"\ncommand = ["no-such"]', ".command[0]", "no no-such is on the PATH", "install"),
        ('run = "exec"\ncommand = ["/no/such"]', ".command[0]", "there is no /no/such", "correct"),
        ('run = "exec"\ncommand = ["/etc/passwd"]', ".command[0]", "is not executable", "chmod +x"),
        ('run = "exec"\ncommand = ["/tmp"]', ".command[0]", "/tmp is a directory", ""),
        ('run = "exec"\ncommand = ["cat"]\nenv = {PATH = "/x"}', ".env.PATH", "is set by us", ""),
        ('run = "exec"\ncommand = ["cat"]\nenv = {A = "env:NO"}', ".env.A", "NO is not set", "export"),
        ('run = "exec"\ncommand = ["cat"]\ndiscard_on = [0]', ".discard_on[0]", "does not fit", ""),
    ],
)
def test_a_fault_names_file_key_and_mend(
    table: str, key: str, problem: str, mend: str, tmp_path: Path
) -> None:
    (fault,) = faults_of("[[processors]]\n" + table, tmp_path)
    assert fault.file == f"{tmp_path}/sources/github.toml"
    assert fault.key == f"processors[0]{key}"
    assert problem in fault.problem
    assert mend in fault.mend


@pytest.mark.parametrize(
    ("lines", "key", "problem"),
    [
        ('url = "ftp://a.example"', "url", "begins with https://"),
        ('url = "https:///x"', "url", "begins with https://"),
        (f'url = "https://{CANARY}:x@a.example/"', "url", "user, a password"),
        (f'url = "https://a.example/{CANARY}#x"', "url", "fragment"),
        ('url = "https://a.example:99999/"', "url", "is not a URL"),
        (f'url = "https://a.example/{CANARY} b"', "url", "blank"),
        ('url = "http://a.example/"', "url", "anybody on the way"),
        ('url = "env:PLAIN"', "url", "anybody on the way"),
        ('url = "env:UNSET"', "url", "UNSET is not set"),
        ('url = "https://10.1.2.3/"', "url", "no address of the open internet"),
        ('url = "https://169.254.169.254/"', "url", "no address of the open internet"),
        ('secret = "env:UNSET"', "secret", "UNSET is not set"),
        ('secret = ["env:FORWARD", "env:ODD"]', "secret[1]", "is no base64"),
        ('secret = "env:EMPTY"', "secret", "is empty"),
        (f'secret = "{CANARY}"', "secret", "is not a reference"),
        ('headers = ["a b"]', "headers[0]", "does not fit"),
        ('headers = ["Content-Length"]', "headers[0]", "is written by us"),
        ('add = {Webhook-Id = "1"}', "add.Webhook-Id", "is written by us"),
        (f'add = {{Authorization = "{CANARY}"}}', "add.Authorization", "looks like a secret"),
        (f'add = {{X-Api-Key = "{CANARY}"}}', "add.X-Api-Key", "looks like a secret"),
        ('add = {X-A = "env:LINES"}', "add.X-A", "a sign that no header may"),
        ('add = {X-A = "env:EMPTY"}', "add.X-A", "is empty"),
        ('private_networks = ["10.0.0.0/33"]', "private_networks[0]", "10.0.0.0/33"),
        ("discard_on = [200]", "discard_on[0]", "does not fit"),
    ],
)
def test_a_fault_of_a_forward_names_its_key_and_never_quotes_what_may_be_secret(
    lines: str, key: str, problem: str, tmp_path: Path
) -> None:
    table = FORWARD if not lines.startswith("url") else '[[processors]]\nrun = "forward"\n'
    (fault,) = faults_of(table + lines, tmp_path, SET)
    assert fault.key == f"processors[0].{key}"
    assert problem in fault.problem
    assert CANARY not in str(fault)


def test_all_faults_of_all_tables_are_told_at_once(tmp_path: Path) -> None:
    tables = (
        '[[processors]]\nrun = "exec"\ncommand = ["/no/such"]\nenv = {A = "env:NO", PATH = "x"}\n'
        '[[processors]]\nrun = "forward"\nurl = "http://a.example"\nsecret = "env:NO"\n' + LOG
    )
    assert [fault.key for fault in faults_of(tables, tmp_path)] == [
        "processors[0].command[0]",
        "processors[0].env.A",
        "processors[0].env.PATH",
        "processors[1].url",
        "processors[1].secret",
    ]


@pytest.mark.parametrize(
    "text", ["", "https:///where", "http://[::1", "https://a\x00b/", "https://ü.example/"]
)
def test_what_is_no_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UrlError) as error:
        parse_target(text)
    assert not text or text not in str(error.value)


# Beside others

Write = Callable[..., Place]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    def written(tables: str, processors: str | None = None, package: str = "made_for_this") -> Place:
        config_of(tables, tmp_path / "config")
        folder = tmp_path / f"{package}_{tmp_path.name}"
        if processors is not None:
            folder.mkdir()
            (folder / "mine.py").write_text(processors)
        return Place(tmp_path / "config", folder)

    return written


def test_they_are_processors_of_the_application_like_any_others(place: Write) -> None:
    mine = (
        "from gateway.plugins import Event, Registry\nregistry = Registry()\n"
        '@registry.processor(source="github")\ndef mine(event: Event) -> None: ...\n'
    )
    app = load_application(place(LOG + FORWARD, mine), ENVIRON)
    assert list(app.processors) == ["mine", "github.log", "github.forward"]


def test_a_name_that_an_author_has_taken_is_refused_with_both_places(place: Write) -> None:
    mine = (
        "from gateway.plugins import Event, Registry\nregistry = Registry()\n"
        '@registry.processor(source="github", name="books")\ndef mine(event: Event) -> None: ...\n'
    )
    with pytest.raises(ConfigError) as error:
        load_application(place(LOG + 'name = "books"\n', mine), ENVIRON)
    (fault,) = error.value.faults
    assert fault.file.endswith("github.toml: processors[0]")
    assert "'books' is taken by" in fault.problem
    assert "mine.py:3" in fault.problem


def test_a_name_that_two_tables_have_is_refused(place: Write) -> None:
    with pytest.raises(ConfigError) as error:
        load_application(place(LOG + 'name = "a"\n' + FORWARD + 'name = "a"\n', ""), ENVIRON)
    (fault,) = error.value.faults
    assert fault.file.endswith("processors[1]")
    assert "processors[0]" in fault.problem


def test_who_has_one_needs_no_folder_of_processors_unless_one_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built_in = Registry()
    built_in.processor(source="github")(nothing)
    given: list[Processor] = built_in.processors
    assert not discover(Path("processors"), given)[1]
    assert discover(Path("processors"))[1]
    assert discover(Path("elsewhere"), given)[1]


def nothing(event: Event) -> None: ...


def test_a_fault_in_the_form_of_one_hides_none_of_another_and_keeps_its_number(tmp_path: Path) -> None:
    broken = '[[processors]]\nrun = "lgo"\n[[processors]]\nrun = "exec"\ncommand = ["/no/such"]\n'
    faults = faults_of("spol = true\n" + broken + FORWARD + 'secret = "env:NO"\n', tmp_path)
    assert sorted(each.key for each in faults) == [
        "processors[0]",
        "processors[1].command[0]",
        "processors[2].secret",
        "spol",
    ]
