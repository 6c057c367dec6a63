"""Reading config/: every fault at once, with file, key and mend, and never a secret in any text."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.catalogue import load_preset
from gateway.configuration import Config, load_config
from gateway.core.addresses import parse_network
from gateway.core.fields import Fields
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.faults import ConfigError, Fault
from gateway.secret_refs import SecretRefError, SecretValue, resolve
from gateway.sources import SourceFile

CANARY = "Zc4nary-in-a-c0al-mine-7"
ENVIRON = {"KEY": CANARY, "OTHER": "another-s3cret-of-length", "WEAK": "short", "EMPTY": ""}
ENVIRON |= {
    "BLANKS": " " * 20,
    "DEFAULT": "changeme-changeme-changeme",
    "EX": "whsec_xxxxxxxxxxxxxxxxxxxx",
}
ENVIRON |= {"SAME": "a" * 40, "BASE64": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
GITHUB = 'preset = "github"\nsecrets = ["env:KEY"]\n'

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes sources by name (and gateway.toml as `gateway`), answers the directory."""

    def written(gateway: str = "", **sources: str) -> Path:
        (tmp_path / "sources").mkdir(exist_ok=True)
        if gateway:
            (tmp_path / "gateway.toml").write_text(gateway, encoding="utf-8")
        for name, text in sources.items():
            path = tmp_path / "sources" / f"{name.replace('_', '-')}.toml"
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return written


def faults(directory: Path) -> list[Fault]:
    with pytest.raises(ConfigError) as error:
        load_config(directory, ENVIRON)
    assert CANARY not in str(error.value)
    return error.value.faults


def source(directory: Path, name: str = "a") -> Source:
    found = load_config(directory, ENVIRON).source(name)
    assert found is not None
    return found


# Faults

# (what is wrong, the source's file, key, words of the problem, words of the mend)
WRONG: list[tuple[str, str, str, str, str]] = [
    ("mistyped key", GITHUB + 'allow_ip = ["10.0.0.0/8"]', "allow_ip", "unknown key", "'allow_ips'"),
    ("strange key", GITHUB + "colour = 1", "colour", "unknown key", "known: acknowledge, "),
    ("unset", 'preset = "github"\nsecrets = ["env:NO"]', "secrets[0]", "NO is not set", "export NO="),
    ("empty", 'preset = "github"\nsecrets = ["env:EMPTY"]', "secrets[0]", "empty", "anybody sign"),
    ("blanks", 'preset = "github"\nsecrets = ["env:BLANKS"]', "secrets[0]", "empty", "anybody sign"),
    ("weak", 'preset = "github"\nsecrets = ["env:WEAK"]', "secrets[0]", "weak: 5 bytes", "16 random"),
    (
        "default",
        'preset = "github"\nsecrets = ["env:DEFAULT"]',
        "secrets[0]",
        "placeholder",
        "provider",
    ),
    ("example", 'preset = "github"\nsecrets = ["env:EX"]', "secrets[0]", "placeholder", "provider"),
    (
        "one letter",
        'preset = "github"\nsecrets = ["env:SAME"]',
        "secrets[0]",
        "placeholder",
        "provider",
    ),
    ("second of two", GITHUB.replace("]", ', "env:NO"]'), "secrets[1]", "NO is not set", "export NO="),
    ("no secrets", 'preset = "github"', "secrets", "is empty", 'add secrets = ["env:NAME"]'),
    ("no list", 'preset = "github"\nsecrets = "env:KEY"', "secrets", "is not a list", '["..."]'),
    (
        "no file",
        'preset = "github"\nsecrets = ["file:/no/such"]',
        "secrets[0]",
        "No such file",
        "mount",
    ),
    ("directory", 'preset = "github"\nsecrets = ["file:/"]', "secrets[0]", "cannot read", "mount"),
    ("NUL", 'preset = "github"\nsecrets = ["file:\\u0000"]', "secrets[0]", "cannot read", "mount"),
    (
        "secret itself",
        f'preset = "github"\nsecrets = ["{CANARY}"]',
        "secrets[0]",
        "reference",
        "env:NAME",
    ),
    ("no name", 'preset = "github"\nsecrets = ["env:"]', "secrets[0]", "reference", "env:NAME"),
    (
        "not the provider's",
        'preset = "standard-webhooks"\nsecrets = ["env:DEFAULTS"]',
        "secrets[0]",
        "DEFAULTS is not set",
        "export",
    ),
    (
        "no base64",
        'preset = "standard-webhooks"\nsecrets = ["env:KEY"]',
        "secrets[0]",
        "is not base64",
        "copy it from the provider",
    ),
    (
        "no user",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "basic-auth"',
        "secrets[0]",
        "user:password",
        "copy it",
    ),
    ("preset", 'preset = "githup"\nsecrets = ["env:KEY"]', "preset", "unknown preset", "'github'"),
    ("no preset", 'secrets = ["env:KEY"]', "preset", "neither preset nor [verify]", "hookline presets"),
    (
        "both",
        GITHUB + '[verify]\nscheme = "token"',
        "verify",
        "stands beside preset",
        "keep one",
    ),
    (
        "scheme",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "tokens"',
        "verify",
        "unknown scheme",
        "'token'",
    ),
    ("no scheme", 'secrets = ["env:KEY"]\n[verify]', "verify", "no scheme", "basic-auth"),
    (
        "key of a scheme",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "token"\nprefx = "a"',
        "verify.prefx",
        "unknown key",
        "'prefix'",
    ),
    (
        "header",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "token"\nheader = "X Token"',
        "verify.header",
        "does not fit",
        "pattern",
    ),
    (
        "two places",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "token"\nheader = "X"\nat = "query.t"',
        "verify",
        "header and at",
        "keep the one",
    ),
    (
        "template",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "signature"\nheader = "X"\nmessage = "{bodi}"',
        "verify.message[0]",
        "unknown name {bodi}",
        "known: body",
    ),
    (
        "brace",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "signature"\nheader = "X"\nmessage = "{body"',
        "verify.message[0]",
        "stray {",
        "{body}",
    ),
    (
        "no separator",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "signature"\nheader = "X"\nseparator = ""',
        "verify.separator",
        "does not fit",
        "at least 1 character",
    ),
    (
        "ts without timestamp",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "signature"\nheader = "X"\nmessage = "{ts}{body}"',
        "verify",
        "{ts} stands for nothing",
        "add timestamp",
    ),
    (
        "timestamp nowhere",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "signature"\nheader = "X"\nmessage = "{ts}{body}"\n'
        'timestamp = { tolerance = "5m" }',
        "verify",
        "timestamp stands nowhere",
        "add its header",
    ),
    (
        "unsigned timestamp",
        'secrets = ["env:KEY"]\n[verify]\nscheme = "signature"\nheader = "X"\n'
        'timestamp = { header = "X-Time" }',
        "verify",
        "the time is not signed",
        "add {ts} to message",
    ),
    ("cidr", GITHUB + 'allow_ips = ["1.2.3.4", "10.0.0.1/8"]', "allow_ips[1]", "host bits", "CIDR"),
    ("address", GITHUB + 'allow_ips = ["nowhere"]', "allow_ips[0]", "nowhere", "203.0.113.0/24"),
    ("rate", GITHUB + 'rate_limit = "fast"', "rate_limit", "is not a rate", '"100/minute"'),
    (
        "two rates",
        GITHUB + 'rate_limit = "9/second; 1/day"',
        "rate_limit",
        "is not a rate",
        "write one",
    ),
    ("zero rate", GITHUB + 'rate_limit = "0/second"', "rate_limit", "nothing through", "remove"),
    ("number", GITHUB + "retention = 30", "retention", "is not a duration", '"30s"'),
    ("unit", GITHUB + 'retention = "30 sec"', "retention", "is not a duration", '"7d"'),
    ("other digits", GITHUB + 'retention = "\\u0663s"', "retention", "is not a duration", '"7d"'),
    ("zero", GITHUB + 'retention = "0s"', "retention", "not more than zero", "leave the key out"),
    ("for ever", GITHUB + f'retention = "{"9" * 400}d"', "retention", "hundred years", "36500d"),
    ("size", GITHUB + 'max_body = "5 apples"', "max_body", "is not a size", '"25MiB"'),
    ("no size", GITHUB + 'max_body = "big"', "max_body", "is not a size", '"25MiB"'),
    ("path", GITHUB + 'path = "hooks/a"', "path", "does not fit", "match pattern"),
    ("health", GITHUB + 'path = "/readyz"', "path", "health check", "another path"),
    ("retry", GITHUB + "retry = { attempts = 0 }", "retry.attempts", "does not fit", "greater than"),
    ("identity", GITHUB + 'identity = { event_id = ["{x}"] }', "identity.event_id[0]", "{x}", "known:"),
    ("TOML", GITHUB + "path =", "", "is not TOML", "correct the syntax"),
]


@pytest.mark.parametrize(
    ("text", "key", "problem", "mend"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG]
)
def test_a_fault_names_file_key_and_mend(
    write: Write, text: str, key: str, problem: str, mend: str
) -> None:
    directory = write(a=text)
    (fault,) = faults(directory)
    assert fault.file == str(directory / "sources" / "a.toml")
    assert fault.key == key
    assert problem in fault.problem
    assert mend in fault.mend


@pytest.mark.parametrize(
    ("text", "key", "problem", "mend"),
    [
        (
            '[admin]\nhost = "0.0.0.0"',
            "admin.token",
            "is required when admin.host is 0.0.0.0",
            "127.0.0.1",
        ),
        ('[admin]\ntoken = "env:NO"', "admin.token", "NO is not set", "export NO="),
        ('[admin]\ntoken = "env:WEAK"', "admin.token", "weak", "16 random"),
        (f'[admin]\ntoken = "{CANARY}"', "admin.token", "reference", "env:NAME"),
        ("[admin]\ntoken = 7", "admin.token", "does not fit", "string"),
        ("[server]\nport = 70000", "server.port", "does not fit", "less than or equal to 65535"),
        ('[sever]\nport = "1"', "sever", "unknown key", "'server'"),
        ('[server]\nflood_limit = ""', "server.flood_limit", "is not a rate", "100/minute"),
        ('[redis]\ndurability = "some"', "redis.durability", "is none of its words", "'everysec'"),
        ("[redis", "", "is not TOML", "syntax"),
    ],
)
def test_a_fault_in_the_deployments_settings_names_them(
    write: Write, text: str, key: str, problem: str, mend: str
) -> None:
    directory = write(text, a=GITHUB)
    (fault,) = faults(directory)
    assert fault.file == str(directory / "gateway.toml")
    assert fault.key == key
    assert problem in fault.problem
    assert mend in fault.mend


def test_ten_different_faults_are_ten_lines_to_mend_at_once(write: Write, tmp_path: Path) -> None:
    directory = write(
        '[admin]\nhost = "0.0.0.0"',
        bad_cidr=GITHUB + 'allow_ips = ["300.1.1.1"]',
        clash_one=GITHUB + 'path = "/in"',
        clash_two=GITHUB + 'path = "/in"',
        duration=GITHUB + 'dedup_window = "soon"',
        mistyped=GITHUB + 'alow_ips = ["10.0.0.0/8"]',
        no_toml="preset = ",
        preset='preset = "strpe"\nsecrets = ["env:KEY"]',
        rate=GITHUB + 'rate_limit = "often"',
        secret_file=f'preset = "github"\nsecrets = ["file:{tmp_path}/none"]',
        unset='preset = "github"\nsecrets = ["env:NOT_THERE"]',
    )
    found = faults(directory)
    assert sorted((Path(fault.file).name, fault.key) for fault in found) == [
        ("bad-cidr.toml", "allow_ips[0]"),
        ("clash-two.toml", "path"),
        ("duration.toml", "dedup_window"),
        ("gateway.toml", "admin.token"),
        ("mistyped.toml", "alow_ips"),
        ("no-toml.toml", ""),
        ("preset.toml", "preset"),
        ("rate.toml", "rate_limit"),
        ("secret-file.toml", "secrets[0]"),
        ("unset.toml", "secrets[0]"),
    ]
    assert all(fault.problem and fault.mend for fault in found)


def test_several_faults_of_one_file_are_told_together(write: Write) -> None:
    text = 'preset = "githup"\nsecrets = ["env:NO", "env:WEAK"]'
    assert [fault.key for fault in faults(write(a=text))] == ["preset", "secrets[0]", "secrets[1]"]


def test_a_fault_in_gateway_toml_makes_none_in_the_sources(write: Write) -> None:
    (fault,) = faults(
        write("[server]\nworkers = 0", a=GITHUB, b='preset = "github"\nsecrets=["env:OTHER"]')
    )
    assert fault.key == "server.workers"


def test_two_sources_cannot_share_a_path_and_both_are_named(write: Write) -> None:
    directory = write(a=GITHUB + 'path = "/hooks/b"', b=GITHUB)
    (fault,) = faults(directory)
    assert fault.file.endswith("b.toml")
    assert str(directory / "sources" / "a.toml") in fault.problem


@pytest.mark.parametrize("name", ["Upper", "under_score", "a.b", "-a", "a" * 64, "é", "a b"])
def test_refuses_a_name_that_could_not_stand_in_a_url_or_a_key(write: Write, name: str) -> None:
    directory = write()
    (directory / "sources" / f"{name}.toml").write_text(GITHUB + 'path = "/in"', encoding="utf-8")
    (fault,) = faults(directory)
    assert "is no source name" in fault.problem
    assert "lower-case letters" in fault.mend


def test_a_directory_without_sources_is_a_fault(write: Write, tmp_path: Path) -> None:
    assert "holds no source" in faults(write())[0].problem
    assert "is no directory" in faults(tmp_path / "none")[0].problem


def test_a_file_that_is_no_text_is_a_fault(write: Write) -> None:
    directory = write(a=GITHUB)
    (directory / "sources" / "b.toml").write_bytes(b"\xff\xfe")
    (directory / "sources" / "c.toml").mkdir()
    assert [Path(fault.file).name for fault in faults(directory)] == ["b.toml", "c.toml"]


def test_a_fault_reads_as_place_problem_and_mend() -> None:
    assert (
        str(Fault("a.toml", "path", "is wrong", "mend it")) == "a.toml: path: is wrong\n    → mend it"
    )
    assert str(Fault("a.toml", "", "is wrong")) == "a.toml: is wrong"
    error = ConfigError([Fault("a", "", "x"), Fault("b", "", "y")])
    assert str(error) == "a: x\nb: y"


# Secrets stay secret


def test_no_text_about_a_configuration_holds_a_secret(write: Write) -> None:
    gateway = f'[redis]\nurl = "redis://:{CANARY}@localhost/0"\n[admin]\ntoken = "env:KEY"'
    described = 'secrets = ["env:KEY"]\n[verify]\nscheme = "token"\nheader = "X-Token"'
    config = load_config(write(gateway, a=GITHUB, b=described), ENVIRON)
    texts = [repr(config), str(config), *map(repr, config.sources), *config.warnings]
    texts += [repr(key) for each in config.sources for key in each.keys]
    texts.append(repr(resolve("env:KEY", ENVIRON)))
    assert not [text for text in texts if CANARY in text]
    assert config.sources[0].keys, "or the canary proves nothing"


@pytest.mark.parametrize(
    "text",
    [
        f'preset = "github"\nsecrets = "{CANARY}"',
        f'preset = "github"\nsecrets = ["{CANARY}"]',
        f'preset = "github"\nsecrets = ["plain:{CANARY}"]',
        f'preset = "github"\nsecrets = {{ key = "{CANARY}" }}',
        f'preset = "github"\nsecret = "{CANARY}"',
        f'preset = "github"\nmax_body = "1 {CANARY}"',
        f'preset = "github"\nretention = "{CANARY}"',
        f'preset = "github"\nrate_limit = "{CANARY}"',
        f'[verify]\nscheme = "{CANARY}"',
        f'[verify]\nscheme = "token"\nsecret = "{CANARY}"',
        f'[verify]\nscheme = "token"\nheader = "X {CANARY}"',
        f'preset = "github"\nsecrets = ["env:KEY"]\ntypo = 1\npath = "{CANARY}"',
        f'preset = "github"\nsecrets = ["{CANARY}',
    ],
)
def test_no_fault_repeats_a_secret_that_stands_in_the_wrong_place(write: Write, text: str) -> None:
    assert faults(write(a=text))


def test_pydantic_itself_is_told_not_to_show_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as error:
        SourceFile.model_validate({"secrets": CANARY, "nonsense": CANARY})
    assert CANARY not in str(error.value)
    assert CANARY not in repr(error.value)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"a-s3cret-that-is-long", b"a-s3cret-that-is-long"),
        (b"a-s3cret-that-is-long\n", b"a-s3cret-that-is-long"),
        (b"a-s3cret-that-is-long\r\n", b"a-s3cret-that-is-long"),
        (b"a-s3cret-that-is-long\n\n", b"a-s3cret-that-is-long\n"),
        (b"a-s3cret-that-is-long\r", b"a-s3cret-that-is-long\r"),
        (b" a-s3cret-that-is-long ", b" a-s3cret-that-is-long "),
        (bytes(range(32)), bytes(range(32))),
    ],
)
def test_a_secret_in_a_file_loses_one_newline_and_nothing_else(
    tmp_path: Path, content: bytes, value: bytes
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert resolve(f"file:{path}", {}) == SecretValue(f"file:{path}", value)


def test_a_secret_in_the_environment_is_taken_byte_for_byte() -> None:
    value = os.fsdecode(b"\xff\xfe binary secret \x80")
    assert resolve("env:A", {"A": value}).value == b"\xff\xfe binary secret \x80"


@pytest.mark.parametrize(
    "reference", ["", "env", "env:", "file:", "KEY", "vault:x", ":x", "ENV:KEY", CANARY]
)
def test_what_is_no_reference_is_refused_and_not_repeated(reference: str) -> None:
    with pytest.raises(SecretRefError) as error:
        resolve(reference, ENVIRON)
    assert "never the secret itself" in str(error.value)
    assert CANARY not in str(error.value)


# What a source adds up to


def test_the_example_deployment_loads() -> None:
    directory = Path(__file__).parent.parent / "config"
    wanted = set(
        re.findall(r"env:(\w+)", "".join(path.read_text() for path in directory.rglob("*.toml")))
    )
    environ = {name: f"{CANARY}-{name}" for name in wanted}
    config = load_config(directory, environ)
    assert {each.name for each in config.sources} == {"github", "slack", "stripe"}
    assert config.warnings == ()


def test_gateway_toml_is_optional(write: Write) -> None:
    config = load_config(write(a=GITHUB), ENVIRON)
    assert config.settings.server.port == 8080
    assert config.queues == ("a",)
    assert config.source("b") is None


def test_a_source_is_named_by_its_file_and_has_its_own_path_and_queue(write: Write) -> None:
    found = source(write(a=GITHUB))
    assert (found.name, found.path, found.queue, found.preset) == ("a", "/hooks/a", "a", "github")
    own = source(write(a=GITHUB + 'path = "/in"\nqueue = "slow"'))
    assert (own.path, own.queue) == ("/in", "slow")


def test_the_file_goes_before_the_preset_and_the_preset_before_the_defaults(write: Write) -> None:
    gateway = (
        '[defaults]\nmax_body = "2KiB"\ndedup_window = "1h"\nretention = "2h"\nattempt_timeout = "3s"'
    )
    directory = write(
        gateway,
        a='preset = "stripe"\nsecrets = ["env:KEY"]',
        b='preset = "github"\nsecrets = ["env:KEY"]',
        c=GITHUB + 'max_body = 99\ndedup_window = "9h"\nretention = "9d"\nrevive_dead = false',
    )
    stripe, github, own = (source(directory, name) for name in "abc")
    assert (stripe.max_body, stripe.dedup_window, stripe.retention) == (2048, 15 * 86400.0, 7200.0)
    assert (github.max_body, github.dedup_window) == (25 * 1024 * 1024, 3600.0)
    assert (own.max_body, own.dedup_window, own.retention) == (99, 9 * 3600.0, 9 * 86400.0)
    assert (stripe.revive_dead, github.revive_dead, own.revive_dead) == (False, True, False)
    assert {each.attempt_timeout for each in (stripe, github, own)} == {3.0}


def test_a_retry_table_changes_only_the_keys_that_it_sets(write: Write) -> None:
    gateway = '[defaults.retry]\nattempts = 4\nfirst_delay = "1s"\nfactor = 2.0\nlongest_delay = "1m"'
    directory = write(gateway, a=GITHUB, b=GITHUB + "retry = { attempts = 9 }")
    assert source(directory, "a").retry == RetryPolicy(4, 1.0, 2.0, 60.0)
    assert source(directory, "b").retry == RetryPolicy(9, 1.0, 2.0, 60.0)


def test_an_identity_table_keeps_what_the_preset_says_of_the_rest(write: Write) -> None:
    found = source(write(a=GITHUB + 'identity = { event_type = ["{json.action}"] }')).identity
    preset = load_preset("github").identity.build()
    assert found.event_id == preset.event_id
    assert [template.text for template in found.event_type] == ["{json.action}"]


def test_an_acknowledge_table_changes_only_the_keys_that_it_sets(write: Write) -> None:
    found = source(write(a=GITHUB + "acknowledge = { status = 202 }")).acknowledgement
    assert (found.status, found.body) == (202, b"")


def test_zero_and_false_are_values_too(write: Write) -> None:
    directory = write("[server]\ntrusted_proxies = 2", a=GITHUB, b=GITHUB + "trusted_proxies = 0")
    assert source(directory, "a").trusted_proxies == 2
    assert source(directory, "b").trusted_proxies == 0


def test_no_list_an_empty_list_and_a_list_of_addresses_are_three_things(write: Write) -> None:
    directory = write(
        a=GITHUB, b=GITHUB + "allow_ips = []", c=GITHUB + 'allow_ips = ["10.0.0.0/8", "::1"]'
    )
    assert source(directory, "a").allowed.networks is None
    assert source(directory, "b").allowed.networks == ()
    assert source(directory, "c").allowed.networks == (
        parse_network("10.0.0.0/8"),
        parse_network("::1"),
    )


def test_every_secret_becomes_a_key_in_its_order(write: Write) -> None:
    found = source(
        write(a='secrets = ["env:OTHER", "env:KEY"]\n[verify]\nscheme = "token"\nheader = "X"')
    )
    assert [key.token.decode() for key in found.keys] == [ENVIRON["OTHER"], CANARY]


def test_a_provider_without_preset_is_described_in_the_file(write: Write) -> None:
    text = """
        secrets = ["env:BASE64"]
        [verify]
        scheme = "signature"
        header = "svix-signature"
        form = "list"
        separator = " "
        prefix = "v1,"
        encoding = "base64"
        key_encoding = "base64"
        key_prefix = "whsec_"
        message = "{header.svix-id}.{header.svix-timestamp}.{body}"
        timestamp = { header = "svix-timestamp" }
        [identity]
        event_id = ["{header.svix-id}"]
    """
    found = source(write(a=text))
    assert (found.preset, found.handshakes, len(found.keys)) == (None, (), 1)
    assert found.identity.event_id[0].text == "{header.svix-id}"


# Warnings


def warned(config: Config) -> str:
    return "\n".join(config.warnings)


def test_warns_of_a_source_that_believes_everybody(write: Write) -> None:
    config = load_config(write(a='[verify]\nscheme = "unverified"', b=GITHUB), ENVIRON)
    assert "a.toml: scheme unverified" in warned(config)
    assert len(config.warnings) == 1
    assert config.sources[0].keys == ()


def test_warns_of_a_preset_whose_provider_proves_nothing(write: Write) -> None:
    config = load_config(write(a='preset = "dockerhub"'), ENVIRON)
    assert "a.toml: scheme unverified" in warned(config)


def test_warns_of_a_secret_that_two_sources_share(write: Write) -> None:
    environ = {**ENVIRON, "COPY": CANARY}
    copy = 'preset = "github"\nsecrets = ["env:OTHER", "env:COPY"]'
    (warning,) = load_config(write(a=GITHUB, b=copy), environ).warnings
    assert "b.toml: shares a secret with" in warning
    assert "a.toml" in warning


def test_does_not_warn_of_one_source_that_names_a_secret_twice(write: Write) -> None:
    twice = 'preset = "github"\nsecrets = ["env:KEY", "env:KEY"]'
    assert (
        load_config(write(a=twice, b='preset = "slack"\nsecrets = ["env:OTHER"]'), ENVIRON).warnings
        == ()
    )


def test_warns_of_a_secret_file_that_everybody_may_read(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(CANARY)
    directory = write(a=f'preset = "github"\nsecrets = ["file:{path}"]')
    path.chmod(0o644)
    assert f"{path} can be read by every user" in warned(load_config(directory, {}))
    path.chmod(0o600)
    assert load_config(directory, {}).warnings == ()


def test_a_loaded_key_verifies_what_the_provider_signs_with_it(write: Write) -> None:
    from gateway.core.request import Headers, InboundRequest
    from gateway.core.verification import Match

    found = source(write(a=GITHUB))
    unsigned = InboundRequest("POST", found.path, b"", Headers(), b"{}", None, 0.0)
    other = load_preset("github").verify.build()
    incoming = other.sign(unsigned, other.load_key(CANARY.encode()), 0.0)
    assert found.scheme.verify(Fields(incoming), found.keys, 0.0) == Match(0, (b"{}",))


def test_a_mistyped_key_hides_no_other_fault_of_its_file(write: Write) -> None:
    directory = write(
        a='preset = "github"\nsecrets = ["env:NO"]\ncolour = 1\nretention = "long"\npath = "/x"',
        b=GITHUB + 'path = "/x"',
    )
    found = {(Path(fault.file).name, fault.key) for fault in faults(directory)}
    assert found == {
        ("a.toml", "colour"),
        ("a.toml", "retention"),
        ("a.toml", "secrets[0]"),
        ("b.toml", "path"),
    }
