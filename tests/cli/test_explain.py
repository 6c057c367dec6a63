"""`explain` as an operator meets it: without a deployment, with one, and from a real server."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from redis import Redis

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.refused import LOG, QUARANTINE, for_the_log, refuse, whole
from gateway.adapters.ledger.scripts import run
from gateway.catalogue import load_preset
from gateway.cli import main
from gateway.cli.shared.explaining import shown_bytes
from gateway.core.capture import Captured
from gateway.core.event import Event, event_id
from gateway.core.request import Headers, InboundRequest
from gateway.core.source import Source
from gateway.wiring import Place, load_application

NOW = 1_700_000_000.0
SECRET = "canary-Zx81-Spectrum-48k"
BILLING = "canary-of-another-source-0001"
BODY = b'{"id":"evt_1","type":"order.paid"}'


class Console:
    """Requests on disk, secrets in the environment, and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"SECRET": SECRET, "BILLING": BILLING, "HOOKLINE_CONFIG": str(folder / "config")}
        self.environ |= {"REDIS_URL": "redis://127.0.0.1:1/0"}  # nobody is there
        self.environ |= {"HOOKLINE_PROCESSORS": str(folder / "no_processors")}

    def __call__(self, *args: str, status: int = 0, input: bytes | None = None) -> Result:
        runner = CliRunner()
        result = runner.invoke(main, ["explain", *args], env=self.environ, input=input)
        assert result.exit_code == status, (result.output, result.exception)
        assert "canary" not in result.output
        return result

    def json(self, *args: str, status: int = 0) -> Any:
        return json.loads(self(*args, "--json", status=status).stdout)

    def file(self, captured: Captured) -> str:
        path = self.folder / "push.json"
        path.write_text(captured.to_json())
        return str(path)

    def deploy(self) -> None:
        sources = self.folder / "config" / "sources"
        sources.mkdir(parents=True)
        (self.folder / "no_processors").mkdir()
        (sources / "github.toml").write_text('preset = "github"\nsecrets = ["env:SECRET"]\n')
        (sources / "billing.toml").write_text('preset = "stripe"\nsecrets = ["env:BILLING"]\n')

    def source(self, name: str) -> Source:
        place = Place(self.folder / "config", self.folder / "no_processors")
        source = load_application(place, self.environ).config.source(name)
        assert source
        return source


@pytest.fixture
def explain(tmp_path: Path) -> Console:
    return Console(tmp_path)


def a_request(preset: str = "github", secret: str = SECRET, body: bytes = BODY) -> InboundRequest:
    scheme = load_preset(preset).verify.build({})
    headers = Headers.of([(b"content-type", b"application/json"), (b"x-github-delivery", b"d-1")])
    url = "https://hooks.example.com/hooks/x"
    blank = InboundRequest("POST", "/hooks/x", b"", headers, body, None, NOW, url)
    return scheme.sign(blank, scheme.load_key(secret.encode()), NOW)


def captured(preset: str = "github", secret: str = SECRET, body: bytes = BODY) -> Captured:
    return Captured.of(a_request(preset, secret, body))


BY_GITHUB = ("--preset", "github", "--secret", "env:SECRET")
BY_SLACK = ("--preset", "slack", "--secret", "env:SECRET")


# Without a deployment


def test_a_sound_request_verifies_with_status_0_and_needs_no_deployment(explain: Console) -> None:
    out = explain(explain.file(captured()), *BY_GITHUB).stdout
    assert out.startswith("✓ It verifies.\n")
    assert "env:SECRET matches" in out


def test_a_refused_request_is_explained_with_status_1(explain: Console) -> None:
    broken = replace(captured(), body=BODY + b"\n", body_size=len(BODY) + 1)
    out = explain(explain.file(broken), *BY_GITHUB, status=1).stdout
    assert out.startswith("✗ Refused: signature_mismatch\n\n1. body_newline  proven\n")
    assert "env:SECRET fits, once that is mended" in out
    assert 'order.paid"}⏎\n' in out  # the byte that is too many can be seen


def test_json_has_the_verdict_and_every_finding(explain: Console) -> None:
    broken = replace(captured(), body=BODY + b"\n", body_size=len(BODY) + 1)
    found = explain.json(explain.file(broken), *BY_GITHUB, status=1)
    (finding,) = found.pop("findings")
    assert finding.keys() == {"code", "message", "mend", "certain"}
    assert (finding["code"], finding["certain"]) == ("body_newline", True)
    assert base64.b64decode(found.pop("signed")["content_base64"]) == BODY + b"\n"
    assert base64.b64decode(found.pop("signed_once_mended")["content_base64"]) == BODY
    assert found.pop("scheme").startswith("HMAC-SHA256 of {body}, in X-Hub-Signature-256")
    assert found == {
        "verified": False,
        "reason": "signature_mismatch",
        "secret": {"tried": ["env:SECRET"], "fits": "env:SECRET", "position": 1},
    }


def test_reads_a_request_from_stdin(explain: Console) -> None:
    explain("-", *BY_GITHUB, input=captured().to_json().encode())


@pytest.mark.parametrize("at", ["1700003600", "2023-11-14T23:13:20+00:00", "2023-11-14T23:13:20"])
def test_the_time_can_be_given_in_seconds_or_as_a_date(explain: Console, at: str) -> None:
    file = explain.file(captured("slack"))
    explain(file, *BY_SLACK)
    found = explain.json(file, *BY_SLACK, "--at", at, status=1)
    assert found["findings"][0]["code"] == "stale"
    assert " 1 h old" in found["findings"][0]["message"]


def test_a_whole_url_or_the_option_is_what_a_provider_has_signed(explain: Console) -> None:
    by_square = ("--preset", "square", "--secret", "env:SECRET")
    request = captured("square")
    explain(explain.file(request), *by_square, "--url", "https://hooks.example.com/hooks/x")
    explain(explain.file(replace(request, url="https://hooks.example.com/hooks/x")), *by_square)
    found = explain.json(explain.file(request), *by_square, "--url", "https://a.test/", status=1)
    assert found["reason"] == "signature_mismatch"


def test_several_secrets_are_tried_and_the_one_that_fits_is_named(explain: Console) -> None:
    out = explain(
        explain.file(captured()), "--preset", "github", "--secret", "env:BILLING", *BY_GITHUB[2:]
    )
    assert "env:SECRET (number 2 of 2) matches" in out.stdout


def test_a_weak_secret_is_good_enough_to_explain_a_sample(explain: Console) -> None:
    explain.environ["WEAK"] = "test"
    explain(explain.file(captured(secret="test")), "--preset", "github", "--secret", "env:WEAK")


def test_a_secret_from_a_file_keeps_what_is_wrong_with_it(explain: Console, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f'"{SECRET}"\n')
    file = explain.file(captured())
    secret = f"file:{tmp_path / 'secret'}"
    found = explain.json(file, "--preset", "github", "--secret", secret, status=1)
    assert [each["code"] for each in found["findings"]] == ["secret_quoted"]


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (("--preset", "github", "--secret", "a canary of a secret"), 2, "never the secret itself"),
        (("--preset", "github"), 2, "Add --secret"),
        ((), 2, "Name the SOURCE"),
        (("github", *BY_GITHUB), 2, "either SOURCE or --preset"),
        (("--preset", "githop", "--secret", "env:SECRET"), 3, "did you mean 'github'?"),
        ((*BY_GITHUB, "--option", "a"), 2, "NAME=VALUE"),
        ((*BY_GITHUB, "--option", "a=b"), 2, "a: is no option"),
        ((*BY_GITHUB, "--at", "noon"), 2, "is no time"),
        ((*BY_GITHUB, "--at", "1700000000000"), 2, "not milliseconds"),
        ((*BY_GITHUB, "--url", "hooks"), 2, "is not a URL"),
        (("--preset", "github", "--secret", "env:UNSET_HERE"), 2, "UNSET_HERE is not set"),
        (("github",), 78, "fault"),
    ],
)
def test_what_was_asked_wrongly_has_its_own_status(
    explain: Console, args: tuple[str, ...], status: int, said: str
) -> None:
    assert said in explain(explain.file(captured()), *args, status=status).output


def test_a_file_that_is_missing_or_no_request_is_told(explain: Console, tmp_path: Path) -> None:
    assert "cannot be read" in explain("nowhere.json", *BY_GITHUB, status=3).output
    (tmp_path / "broken.json").write_text('{"method": "POST"}')
    said = explain(str(tmp_path / "broken.json"), *BY_GITHUB, status=2).output
    assert "body is missing" in said
    half = captured().to_json().replace("/hooks/x", "/\\ud800")
    explain("-", *BY_GITHUB, status=2, input=half.encode())


# With a deployment


def test_a_source_judges_by_its_own_secrets(explain: Console) -> None:
    explain.deploy()
    assert "Source    github" in explain(explain.file(captured()), "github").stdout
    assert "No source is named" in explain(explain.file(captured()), "gitlob", status=3).output


def test_the_source_that_a_capture_names_is_the_default(explain: Console) -> None:
    explain.deploy()
    explain(explain.file(replace(captured(), source="github")))


def test_names_the_source_whose_secret_would_match(explain: Console) -> None:
    explain.deploy()
    (finding,) = explain.json(explain.file(captured(secret=BILLING)), "github", status=1)["findings"]
    assert finding["code"] == "other_secret"
    assert "billing (env:BILLING)" in finding["message"]


def test_names_the_source_that_a_request_belongs_to(explain: Console) -> None:
    explain.deploy()
    found = explain.json(explain.file(captured("stripe", BILLING)), "github", status=1)
    assert [each["code"] for each in found["findings"]] == ["other_source"]


def test_another_secret_may_be_tried_in_place_of_the_sources(explain: Console) -> None:
    explain.deploy()
    explain(explain.file(captured(secret=BILLING)), "github", "--secret", "env:BILLING")


# From a server


def test_a_stored_event_is_explained_as_it_arrived(
    explain: Console, redis: "Redis", redis_url: str
) -> None:
    explain.deploy()
    explain.environ["REDIS_URL"] = redis_url
    request, id_ = a_request(), event_id("github", "id", b"d-1")
    event = Event(id_, "github", "push", "d-1", request.headers.raw, BODY, NOW)
    run(redis, Keys(), ledger.accept([(event, explain.source("github"), ("watch",))]))
    assert "It verifies" in explain(id_).stdout
    assert explain.json(id_, "billing", status=1)["reason"] == "missing_signature"
    assert "not known" in explain("evt_" + "a" * 26, status=3).output


def test_a_quarantined_request_is_explained_and_a_logged_one_cannot_be(
    explain: Console, redis: "Redis", redis_url: str
) -> None:
    explain.deploy()
    explain.environ["REDIS_URL"] = redis_url
    source, request = explain.source("github"), a_request(secret=BILLING)
    kept = whole(request, source, "signature_mismatch")
    run(redis, Keys(), refuse("quarantine", QUARANTINE, [kept]))
    logged = for_the_log(request, source, "signature_mismatch", LOG.body)
    run(redis, Keys(), refuse("refused", LOG, [logged]))
    assert "other_secret" in explain(kept.id, status=1).stdout
    assert 'on_bad_signature = "quarantine"' in explain(logged.id, status=1).output
    assert "is no refused request" in explain("ref_" + "a" * 26, status=3).output


# How bytes are shown


def test_every_byte_can_be_seen() -> None:
    (line,) = shown_bytes(b" a\tb\r\n\xff\x1b\xc2\xa0 ", 80)
    assert line == "·a⇥b␍⏎\\xff\\x1b\\xa0·"


def test_of_what_is_long_both_ends_and_the_place_are_shown() -> None:
    lines = shown_bytes(b"A" * 5000 + b"!" + b"Z" * 5000, 40, around=5000)
    assert lines == [
        "A" * 40,
        "··· 4,940 bytes ···",
        "A" * 20 + "!" + "Z" * 19,
        "··· 4,941 bytes ···",
        "Z" * 40,
    ]


def test_options_that_only_fetch_keys_or_answer_challenges_need_not_be_given(tmp_path: Path) -> None:
    """The key is at hand: what the preset would ask the provider with is not needed."""
    from tests.core.examples import private_key

    key = private_key("p256")
    body = b'{"metadata": {"topic": "MARKETPLACE_ACCOUNT_DELETION"}}'
    signature = base64.b64encode(key.sign(body, ECDSA(SHA1()))).decode()
    header = base64.b64encode(
        json.dumps({"kid": "1", "signature": signature, "digest": "SHA1"}).encode()
    )
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(public)
    captured = {"method": "POST", "url": "/", "headers": {"X-EBAY-SIGNATURE": header.decode()}}
    captured["body"] = base64.b64encode(body).decode()
    (tmp_path / "captured.json").write_text(json.dumps(captured))
    secret = f"file:{tmp_path / 'key.pem'}"
    words = [
        "explain",
        str(tmp_path / "captured.json"),
        "--preset",
        "ebay",
        "--secret",
        secret,
        "--json",
    ]
    result = CliRunner().invoke(main, words, prog_name="hookline")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["verified"] is True
