"""`hookline capture` as a developer meets it: on a real server, and what it prints is really run."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

import gateway
from gateway import samples
from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.refused import Refusals
from gateway.cli import main
from gateway.core.event import Event, event_id
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.fixture import SECRETS, Fixture
from tests.adapters.ledger_rig import Rig, a_source
from tests.e2e.rig import PATIENT

ROOT = Path(gateway.__file__).parents[1]
SECRET = "whsec_the_secret_of_production_0000"
SOURCES = {
    "stripe": 'preset = "stripe"\nsecrets = ["env:SECRET"]\n',
    "github": 'preset = "github"\nsecrets = ["env:SECRET"]\n',
    "open": '[verify]\nscheme = "unverified"\n',
    "batch": '[verify]\nscheme = "token"\nheader = "X-Door"\n'
    '[identity]\nevent_id = ["{item.id}"]\nevent_type = ["{item.what}"]\nbatch = "items"\n',
}
PROCESSORS = """
from typing import Literal

from pydantic import BaseModel

from gateway.plugins import Event, Registry

registry = Registry()


class Invoice(BaseModel):
    customer: str
    customer_email: str
    amount_paid: int
    status: Literal["paid", "clawed_back"]


class InvoiceData(BaseModel):
    object: Invoice


class InvoicePaid(BaseModel):
    data: InvoiceData


@registry.processor(source="stripe", events=["invoice.paid"])
def book(event: Event, paid: InvoicePaid) -> None:
    assert "@" in paid.data.object.customer_email


@registry.processor(source="github", when={"field": "repository.name", "equals": "orchard"})
def mirror(event: Event) -> None:
    print(event.payload["repository"]["name"])


@registry.processor(source="batch", events=["made"])
@registry.processor(source="open", name="take")
def count(event: Event) -> None: ...
"""
MAIL, NAME = "nell.okonkwo@marigold-bakery.io", "Nell Okonkwo of Marigold"
CUSTOMER = "cus_9sKd82JfQ0Ab"


class Project:
    """A deployment in a directory of its own, and what its gateway has kept."""

    def __init__(self, redis: "Redis", url: str, folder: Path) -> None:
        self.rig, self.folder = Rig(redis), folder
        self.environ = {
            "REDIS_URL": url,
            "SECRET": SECRET,
            "HOOKLINE_CONFIG": str(folder / "config"),
            "HOOKLINE_PROCESSORS": str(folder / folder.name),
            "HOOKLINE_CAPTURE_SEED": "a seed",
        }
        (folder / "config" / "sources").mkdir(parents=True)
        (folder / "config" / "gateway.toml").write_text(PATIENT)
        for name, text in SOURCES.items():
            secrets = 'secrets = ["env:SECRET"]\n' if name == "batch" else ""
            (folder / "config" / "sources" / f"{name}.toml").write_text(secrets + text)
        self.code = folder / folder.name / "shop.py"
        self.code.parent.mkdir()
        self.code.write_text(PROCESSORS)

    def __call__(self, *args: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, ["capture", *args], env=self.environ, prog_name="hookline")
        assert result.exit_code == status, (result.output, result.exception)
        assert SECRET not in result.output
        return result

    def accept(
        self,
        source: str,
        kind: str,
        body: bytes,
        *names: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        content: bytes = b"application/json",
    ) -> str:
        pairs = ((b"content-type", content), *headers)
        event = Event(event_id(source, "id", b"7"), source, kind, "7", pairs, body, time.time())
        self.rig.run(ledger.accept([(event, a_source(source), names or ("book",))]))
        return event.id

    def invoice(self, **changes: Any) -> str:
        body = json.loads(samples.load("stripe", "invoice.paid").body)
        own = {"customer": CUSTOMER, "customer_email": MAIL, "customer_name": NAME}
        body["data"]["object"] |= own | changes
        proofs = [
            (b"stripe-signature", b"t=1,v1=abcdef0123456789"),
            (b"authorization", b"Bearer canary"),
        ]
        return self.accept("stripe", "invoice.paid", json.dumps(body).encode(), headers=proofs)

    def refuse(self, request: InboundRequest, *, quarantined: bool) -> None:
        async def work() -> None:
            async with async_client(self.environ["REDIS_URL"], 5.0) as client:
                refusals = Refusals(client, Keys())
                if quarantined:
                    assert await refusals.quarantine(
                        request, a_source("stripe"), Refusal.SIGNATURE_MISMATCH
                    )
                else:
                    refusals.note(request, a_source("stripe"), Refusal.SIGNATURE_MISMATCH)
                await refusals.aclose()

        asyncio.run(work())

    def refused(self) -> list[str]:
        words = ["refused", "list", "--json"]
        result = CliRunner().invoke(main, words, env=self.environ, prog_name="hookline")
        return [row["id"] for row in json.loads(result.stdout)]

    def pytest(self, text: str) -> "subprocess.CompletedProcess[str]":
        (self.folder / "tests" / "test_captured.py").write_text(text)
        environ = {**os.environ, **self.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        return subprocess.run(
            command,
            env=environ,
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def project(redis: "Redis", redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Project(redis, redis_url, tmp_path)


def test_a_redacted_fixture_has_no_canary_and_its_test_passes_until_the_processor_breaks(
    project: Project,
) -> None:
    result = project(project.invoice(), "--redact", "--print-test")
    text = (project.folder / "tests/fixtures/stripe-invoice-paid.toml").read_text()
    for canary in (MAIL, "marigold", "Marigold", "okonkwo", "Okonkwo", CUSTOMER, "9sKd82", SECRET):
        assert canary not in text
    assert SECRETS[0] in text
    passed = project.pytest(result.stdout)
    assert passed.returncode == 0, passed.stdout + passed.stderr

    project.code.write_text(PROCESSORS.replace('assert "@" in', 'assert "nobody" in'))
    failed = project.pytest(result.stdout)
    assert failed.returncode == 1
    assert "expected the delivery to be done" in failed.stdout
    assert "shop.py:" in failed.stdout


def test_the_fixture_is_genuine_by_its_own_secret_and_the_same_event(project: Project) -> None:
    project(project.invoice(), "--redact")
    fixture = Fixture.read(project.folder / "tests/fixtures/stripe-invoice-paid.toml")
    assert (fixture.source, fixture.type, fixture.preset) == ("stripe", "invoice.paid", "stripe")
    body = json.loads(fixture.captured.body)
    paid = body["data"]["object"]
    assert paid["status"] == "paid"
    assert paid["customer_email"].endswith(".example.com")
    assert fixture.provider_id == body["id"]
    headers = dict(fixture.captured.headers)
    assert list(headers) == [b"content-type", b"stripe-signature"]


def test_two_fixtures_of_one_seed_name_a_customer_alike_and_another_seed_does_not(
    project: Project,
) -> None:
    first = project.invoice()
    customers = []
    for number, seed in enumerate(("one", "one", "two")):
        to = f"{number}.toml"
        project(first, "--redact", "--seed", seed, "--to", to)
        body = tomllib.loads(Path(to).read_text())["body"]
        customers.append(json.loads(body)["data"]["object"]["customer"])
    assert customers[0] == customers[1] != customers[2]
    assert all(each.startswith("cus_") for each in customers)


def test_the_seed_of_a_place_is_made_once_and_for_its_owner_only(project: Project) -> None:
    del project.environ["HOOKLINE_CAPTURE_SEED"]
    event = project.invoice()
    project(event, "--redact", "--to", "a.toml")
    project(event, "--redact", "--to", "b.toml")
    assert Path("a.toml").read_text() == Path("b.toml").read_text()
    seed = Path(".hookline/capture.seed")
    assert stat.S_IMODE(seed.stat().st_mode) == 0o600
    assert seed.read_text() not in Path("a.toml").read_text()


def test_words_of_a_processors_own_list_stay_and_others_are_told(project: Project) -> None:
    result = project(project.invoice(status="clawed_back", billing_reason="whim"), "--redact")
    assert "--keep data.object.billing_reason" in result.stderr
    assert "--keep data.object.status" not in result.stderr
    assert "clawed_back" in Path("tests/fixtures/stripe-invoice-paid.toml").read_text()
    assert "whim" not in result.output


def test_a_field_is_kept_when_it_is_asked_for(project: Project) -> None:
    project(project.invoice(), "--redact", "--keep", "customer_name", "--keep", "data.object.number")
    text = Path("tests/fixtures/stripe-invoice-paid.toml").read_text()
    assert NAME in text
    assert "7QK2MHVX-0014" in text
    assert MAIL not in text


def test_without_redacting_it_is_what_came_but_for_the_proof_and_for_nobody_else(
    project: Project,
) -> None:
    result = project(project.invoice())
    path = Path("tests/fixtures/stripe-invoice-paid.toml")
    assert "keep it to yourself" in result.stderr
    assert "NOT redacted" in path.read_text()
    assert MAIL in path.read_text()
    assert "abcdef0123456789" not in path.read_text()
    assert "Bearer" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_condition_compares_with_stays_so_that_the_same_processors_take_it(
    project: Project,
) -> None:
    body = samples.load("github", "push").body
    headers = [(b"x-github-event", b"push"), (b"x-github-delivery", b"72d3162e-cc78-11e3-81ab")]
    event = project.accept("github", "push", body, "mirror", headers=headers)
    facts = json.loads(project(event, "--redact", "--json").stdout)
    assert facts["processors"] == ["mirror"]
    assert (facts["verifies"], facts["type"], facts["redacted"]) == (True, "push", True)
    assert facts["replaced"] > 50
    body_made = json.loads(Fixture.read(facts["fixture"]).captured.body)
    assert body_made["repository"]["name"] == "orchard"
    assert "okonkwo" not in json.dumps(body_made)


def test_an_event_that_came_in_a_batch_is_a_batch_of_one(project: Project) -> None:
    item = b'{"id": "item-canary-1", "what": "made", "who": "canary"}'
    event = project.accept("batch", "made", item, "count", headers=[(b"x-door", b"canary-token")])
    facts = json.loads(project(event, "--redact", "--json").stdout)
    assert (facts["verifies"], facts["processors"]) == (True, ["count"])
    text = Path(facts["fixture"]).read_text()
    assert "canary" not in text
    assert list(json.loads(Fixture.from_toml(text).captured.body)) == ["items"]


def test_a_source_that_proves_nothing_needs_no_secret(project: Project) -> None:
    event = project.accept("open", "", b'{"who": "canary"}', "take")
    facts = json.loads(project(event, "--redact", "--json").stdout)
    assert facts["verifies"]
    assert Fixture.read(facts["fixture"]).secret == ""
    assert project.pytest(facts["test"]).returncode == 0


def test_an_event_whose_source_is_gone_becomes_a_test_of_its_processors(project: Project) -> None:
    event = project.invoice()
    (project.folder / "config/sources/stripe.toml").unlink()
    result = project(event, "--redact", "--print-test")
    assert "Only its provider can sign" in result.stderr
    assert 'run_delivery("book", make_event(FIXTURE)).assert_done()' in result.stdout
    passed = project.pytest(result.stdout)
    assert passed.returncode == 0, passed.stdout


def test_an_event_that_nobody_wants_says_so_in_its_test(project: Project) -> None:
    event = project.accept("stripe", "charge.updated", b'{"id": "7", "type": "charge.updated"}')
    result = project(event, "--redact", "--print-test")
    assert "no processor of this deployment" in result.stderr
    assert project.pytest(result.stdout).returncode == 0


def test_a_refused_request_becomes_what_its_provider_meant(project: Project) -> None:
    headers = ((b"content-type", b"application/json"), (b"stripe-signature", b"t=1,v1=abcdef01234567"))
    body = samples.load("stripe", "invoice.paid").body.replace(b"accounts@", b"canary@")
    request = InboundRequest(
        "POST", "/hooks/stripe", b"key=canary", Headers(headers), body, "192.0.2.9", time.time()
    )
    project.refuse(request, quarantined=True)
    (row,) = project.refused()
    facts = json.loads(project("--refused", row, "--redact", "--json").stdout)
    assert (facts["type"], facts["verifies"], facts["processors"]) == ("invoice.paid", True, ["book"])
    text = Path(facts["fixture"]).read_text()
    assert "canary" not in text
    assert "192.0.2.9" not in text
    assert project.pytest(facts["test"]).returncode == 0


def test_a_provider_that_signs_the_url_is_given_a_made_up_one(project: Project) -> None:
    source = 'preset = "twilio"\nsecrets = ["env:SECRET"]\npublic_url = "https://canary.io/hooks/sms"\n'
    (project.folder / "config/sources/sms.toml").write_text(source)
    body = b"MessageSid=SM0123456789abcdef0123456789abcdef&From=%2B14155550199&Body=canary"
    form = b"application/x-www-form-urlencoded"
    event = project.accept("sms", "", body, "text", content=form)
    facts = json.loads(project(event, "--redact", "--json").stdout)
    text = Path(facts["fixture"]).read_text()
    assert facts["verifies"], text
    assert "canary" not in text
    assert "4155550199" not in text


def test_of_a_refused_request_in_the_log_only_a_masked_part_is_kept(project: Project) -> None:
    request = InboundRequest("POST", "/hooks/stripe", b"", Headers(), b"{}", None, time.time())
    project.refuse(request, quarantined=False)
    (row,) = project.refused()
    assert 'on_bad_signature = "quarantine"' in project(row, "--redact", status=1).stderr


# What cannot be captured.


def test_what_is_not_there_is_not_found(project: Project) -> None:
    assert "never accepted" in project("stripe:evt_none", status=3).stderr
    assert "is no id" in project("nonsense", status=3).stderr
    assert "is no refused request" in project("ref_none", status=3).stderr
    assert "is no refused request" in project("--refused", "ref_none", status=3).stderr
    assert not Path("tests").exists()


def test_a_body_that_is_gone_is_told_with_a_mend(project: Project) -> None:
    event = project.invoice()
    project.rig.redis.delete(project.rig.keys.body(event))
    stderr = project(event, "--redact", status=3).stderr
    assert "retention has ended" in stderr
    assert "sources/stripe.toml" in stderr


def test_a_body_that_cannot_be_redacted_is_refused_and_nothing_is_written(project: Project) -> None:
    event = project.accept("open", "", b"<who>canary</who>", "take")
    stderr = project(event, "--redact", status=1).stderr
    assert "neither JSON nor a form" in stderr
    assert "canary" not in stderr
    assert not Path("tests").exists()


def test_a_file_that_is_there_is_not_overwritten_by_chance(project: Project) -> None:
    event = project.invoice()
    project(event, "--redact")
    assert "--force" in project(event, "--redact", status=1).stderr
    project(event, "--redact", "--force")


@pytest.mark.parametrize(
    "words", [[], ["evt_a", "--refused", "ref_a"], ["evt_a", "--keep", "name"]], ids=" ".join
)
def test_wrong_usage_is_told_before_anything_is_read(project: Project, words: list[str]) -> None:
    project(*words, status=2)
