"""`refused` as an operator meets it, on a real server: nothing secret is shown, nothing is lost."""

import asyncio
import json
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.adapters.ledger.redis_clients import async_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.adapters.ledger.refused import Refusals
from gateway.adapters.ledger.refused_reader import RefusedReader
from gateway.adapters.ledger.secret_use import SecretUse
from gateway.cli import main
from gateway.core.capture import Captured
from gateway.core.request import Headers, InboundRequest
from gateway.wiring import Place, load_application
from tests.e2e.rig import PATIENT

SECRET = "a secret of 27 random bytes"
SHOP = 'secrets = ["env:SECRET", "env:OLD"]\n[verify]\nscheme = "token"\nheader = "X-Door"\n'
PROCESSORS = """
from gateway.plugins import Event, Registry

registry = Registry()

@registry.processor(source="shop")
def pack(event: Event) -> None: ...
"""
DOOR = b"sesame-open-thyself-now"


class Console:
    """A deployment's command line, and what its gateway keeps."""

    def __init__(self, redis: "Redis", url: str, folder: Path, processors: Path) -> None:
        self.redis = redis
        self.environ = {
            "REDIS_URL": url,
            "SECRET": SECRET,
            "OLD": f"{SECRET}, the former",
            "HOOKLINE_CONFIG": str(folder / "config"),
            "HOOKLINE_PROCESSORS": str(processors),
        }
        self.sources = folder / "config" / "sources"
        self.sources.mkdir(parents=True)
        (folder / "config" / "gateway.toml").write_text(PATIENT)
        (self.sources / "shop.toml").write_text(SHOP)

    def __call__(self, *args: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, args, env=self.environ, prog_name="hookline")
        assert result.exit_code == status, (result.output, result.exception)
        assert SECRET not in result.output
        return result

    def json(self, *args: str, status: int = 0) -> Any:
        return json.loads(self(*args, "--json", status=status).stdout)

    def keep(self, *requests: InboundRequest, quarantined: bool = True, source: str = "shop") -> None:
        place = Place(Path(self.environ["HOOKLINE_CONFIG"]), Path(self.environ["HOOKLINE_PROCESSORS"]))
        shop = load_application(place, self.environ).config.source("shop")
        assert shop
        named = replace(shop, name=source)

        async def work() -> None:
            async with async_client(self.environ["REDIS_URL"], 5.0) as client:
                refusals = Refusals(client, Keys())
                for request in requests:
                    if quarantined:
                        assert await refusals.quarantine(request, named, "signature_mismatch")
                    else:
                        refusals.note(request, named, "signature_mismatch")
                await refusals.aclose()

        asyncio.run(work())

    def use(self, use: SecretUse) -> None:
        async def work() -> None:
            async with async_client(self.environ["REDIS_URL"], 5.0) as client:
                await use.flush(client, Keys())

        asyncio.run(work())


def a_request(number: int = 1, door: bytes = DOOR, body: bytes = b"") -> InboundRequest:
    headers = Headers(((b"x-door", door), (b"user-agent", b"Shop/1")))
    text = body or b'{"number": %d}' % number
    return InboundRequest(
        "POST", "/hooks/shop", b"page=2", headers, text, "192.0.2.9", 1_767_000_000.0 + number
    )


@pytest.fixture(scope="session")
def processors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole run: Python knows one folder of a name."""
    folder = tmp_path_factory.mktemp("refused_processors")
    (folder / "packing.py").write_text(PROCESSORS)
    return folder


@pytest.fixture
def hookline(redis: "Redis", redis_url: str, tmp_path: Path, processors: Path) -> Console:
    return Console(redis, redis_url, tmp_path, processors)


# list and show


def test_refused_requests_are_listed_newest_first_with_what_tells_them_apart(hookline: Console) -> None:
    hookline.keep(a_request(1))
    hookline.keep(a_request(2), quarantined=False)
    head, logged, whole = hookline("refused").stdout.splitlines()
    columns = ["RECEIVED", "ID", "SOURCE", "REASON", "SIZE", "CLIENT", "QUARANTINED", "LEFT OUT"]
    assert re.split("  +", head) == columns
    assert re.split("  +", logged)[2:] == ["shop", "signature_mismatch", "13B", "192.0.2.9", "no", "-"]
    assert re.split("  +", whole)[6] == "yes"


def test_the_list_can_be_narrowed_and_is_data_with_json(hookline: Console) -> None:
    hookline.keep(a_request(1))
    hookline.keep(a_request(2), quarantined=False)
    hookline.keep(a_request(3), source="former")
    assert len(hookline.json("refused", "list")) == 3
    (row,) = hookline.json("refused", "list", "--quarantined", "--source", "shop")
    assert (row["received"], row["size"]) == ("2025-12-29T09:20:01.000+00:00", 13)
    assert [each["source"] for each in hookline.json("refused", "--source", "former")] == ["former"]
    assert "there are more" in hookline("refused", "--limit", "2").stderr
    assert "did you mean 'shop'?" in hookline("refused", "--source", "shpo", status=3).stderr


def test_an_empty_list_is_no_failure(hookline: Console) -> None:
    assert hookline("refused").stderr == "No refused requests.\n"
    assert hookline("refused", "release").stderr == "Nothing is in quarantine.\n"
    assert hookline.json("refused", "release") == hookline.json("refused") == []


@pytest.mark.parametrize("quarantined", [True, False])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_one_is_shown_without_what_could_prove_its_origin(
    hookline: Console, quarantined: bool, more: tuple[str, ...]
) -> None:
    hookline.keep(a_request(), quarantined=quarantined)
    (row,) = hookline.json("refused")
    text = hookline("refused", "show", row["id"], "--body", *more).stdout
    assert DOOR.decode() not in text
    for word in ("x-door", "*** (23 bytes)", "Shop/1", "signature_mismatch", "page=2", "number"):
        assert word in text


def test_what_proved_origin_by_the_configuration_of_then_stays_masked(hookline: Console) -> None:
    hookline.keep(a_request(door=b"short"))
    (row,) = hookline.json("refused")
    (hookline.sources / "shop.toml").write_text(SHOP.replace("X-Door", "X-Other"))
    assert "short" not in hookline("refused", "show", row["id"]).stdout


def test_a_body_that_holds_the_proof_is_not_shown(hookline: Console) -> None:
    hookline.keep(a_request(body=b'{"token": "sesame"}'))
    (row,) = hookline.json("refused")
    changed = SHOP.replace('header = "X-Door"', 'at = "json.token"')
    (hookline.sources / "shop.toml").write_text(changed)
    shown = hookline("refused", "show", row["id"], "--body").stdout
    assert "is not shown" in shown
    assert "sesame" not in shown
    assert "body" not in hookline.json("refused", "show", row["id"], "--body")


def test_nothing_that_a_sender_wrote_commands_the_terminal(hookline: Console) -> None:
    evil = Headers(((b"x-a-id", b"\x1b]0;t\x07"), (b"\x1bn", b"\x9b")))
    request = replace(a_request(), headers=evil, query=b"\x1b[2J", body=b"\x1b[2J")
    hookline.keep(request)
    (row,) = hookline.json("refused")
    text = hookline("refused", "show", row["id"], "--body").output
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_what_is_not_kept_is_not_found(hookline: Console) -> None:
    assert "is no refused request" in hookline("refused", "show", "ref_none", status=3).stderr


def test_a_quarantined_request_is_saved_whole_for_nobody_elses_eyes(
    hookline: Console, tmp_path: Path
) -> None:
    hookline.keep(a_request())
    (row,) = hookline.json("refused")
    file = tmp_path / "request.json"
    hookline("refused", "show", row["id"], "--save", str(file))
    assert Captured.from_json(file.read_text()).request() == a_request()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = hookline("refused", "show", row["id"], "--save", str(file), status=1)
    assert "Name a new file" in again.stderr


def test_what_is_in_the_log_only_cannot_be_saved(hookline: Console, tmp_path: Path) -> None:
    hookline.keep(a_request(), quarantined=False)
    (row,) = hookline.json("refused")
    file = tmp_path / "request.json"
    assert "quarantine" in hookline("refused", "show", row["id"], "--save", str(file), status=1).stderr
    assert not file.exists()


# release and discard


def test_once_the_secret_is_mended_what_came_meanwhile_is_accepted(hookline: Console) -> None:
    hookline.keep(*(a_request(number) for number in range(30)), a_request(99, b"wrong"))
    assert hookline("refused", "release", "--yes", status=1).stderr == (
        "0 of 31 requests released. Still refused: 31 signature_mismatch.\n"
    )
    hookline.environ["SECRET"] = DOOR.decode()
    (counts,) = hookline.json("refused", "release", "shop", "--yes", status=1)
    assert (counts["in"], counts["accepted"], counts["refused"], counts["left"]) == (31, 30, 1, 1)
    assert len(hookline.json("events", "list", "--limit", "99")) == 30
    (left,) = hookline.json("refused", "list", "--quarantined")
    assert left["reason"] == "signature_mismatch"


def test_when_nothing_is_left_it_is_a_success_and_a_repeat_is_a_duplicate(hookline: Console) -> None:
    hookline.environ["SECRET"] = DOOR.decode()
    hookline.keep(a_request())
    assert hookline("refused", "release").stderr == "1 of 1 request released.\n"
    hookline.keep(a_request())
    (counts,) = hookline.json("refused", "release")
    assert (counts["in"], counts["duplicate"], counts["left"]) == (1, 1, 0)


def test_a_dry_run_says_what_would_be_and_changes_nothing(hookline: Console) -> None:
    hookline.environ["SECRET"] = DOOR.decode()
    hookline.keep(a_request(1), a_request(2, b"wrong"))
    result = hookline("refused", "release", "--dry-run", status=1)
    assert "1 of 2 requests would be released; nothing was done." in result.stderr
    assert len(hookline.json("refused", "--quarantined")) == 2
    assert hookline.json("events") == []


def test_beyond_the_quota_it_stops_and_says_so(hookline: Console) -> None:
    hookline.environ["SECRET"] = DOOR.decode()
    (hookline.sources / "shop.toml").write_text('rate_limit = "2/hour"\n' + SHOP)
    hookline.keep(*(a_request(number) for number in range(4)))
    result = hookline("refused", "release", "--yes", status=1)
    assert "rate_limit" in result.stderr
    assert "2 of 4 requests released." in result.stderr
    assert len(hookline.json("refused", "--quarantined")) == 2


def test_a_server_that_goes_away_is_told_with_what_was_done(
    hookline: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise RedisConnectionError("closed")

    hookline.environ["SECRET"] = DOOR.decode()
    hookline.keep(a_request())
    with monkeypatch.context() as patch:
        patch.setattr(RefusedReader, "settle", gone)
        result = hookline("refused", "release", status=69)
    assert "the same command goes on" in result.stderr
    assert hookline.json("refused", "release")[0]["duplicate"] == 1


def test_many_are_not_released_or_discarded_unasked(hookline: Console) -> None:
    hookline.keep(a_request(1), a_request(2))
    for words in (("release",), ("discard", "--source", "shop")):
        assert "add --yes" in hookline("refused", *words, status=2).stderr
    assert len(hookline.json("refused")) == 2


def test_requests_are_given_up_by_id_or_by_source(hookline: Console) -> None:
    hookline.keep(a_request(1), a_request(2), a_request(3))
    hookline.keep(a_request(4), quarantined=False)
    newest, *_ = hookline.json("refused")
    results = hookline.json("refused", "discard", newest["id"], "ref_none", "--yes", status=1)
    assert [each["result"] for each in results] == ["discarded", "missing"]
    result = hookline("refused", "discard", "--source", "shop", "--yes")
    assert result.stderr == "3 discarded.\n"
    assert hookline.json("refused") == []
    assert hookline.json("refused", "discard", "--source", "shop") == []


@pytest.mark.parametrize(
    "words", [("discard",), ("discard", "ref_a", "--source", "shop"), ("list", "--limit", "0")]
)
def test_wrong_usage_is_told_with_status_two(hookline: Console, words: Sequence[str]) -> None:
    assert "Error" in hookline("refused", *words, status=2).stderr


def test_only_a_configured_source_can_be_released(hookline: Console) -> None:
    assert "did you mean 'shop'?" in hookline("refused", "release", "shpo", status=3).stderr


# which secret is in use


def test_a_source_says_which_of_its_secrets_are_in_use(hookline: Console) -> None:
    now = [1_767_000_000.0]
    use = SecretUse(lambda: now[0])
    use.configured({"shop": ["env:SECRET", "env:OLD"]})
    use.count("shop", "env:SECRET")
    use.count("shop", "env:SECRET")
    hookline.use(use)
    text = hookline("sources", "show", "shop").stdout
    assert re.search(r"^secret_use +env:SECRET used 2 times, last at 20", text, re.MULTILINE)
    assert re.search(r"^secret_use +env:OLD unused since it was first seen at 20", text, re.MULTILINE)
    first, second = hookline.json("sources", "show", "shop")["secret_use"]
    assert (first["reference"], first["count"]) == ("env:SECRET", 2)
    assert (second["last_used"], second["first_seen"]) == (None, "2025-12-29T09:20:00.000+00:00")


def test_a_secret_that_no_gateway_has_loaded_is_told_so(hookline: Console) -> None:
    assert "env:OLD not seen by a gateway yet" in hookline("sources", "show", "shop").stdout


def test_without_redis_a_source_is_shown_all_the_same(hookline: Console) -> None:
    for url in ("unix:///nowhere/redis.sock", "no url", ""):
        hookline.environ["REDIS_URL"] = url
        assert "cannot be told" in hookline("sources", "show", "shop").stdout
        assert hookline.json("sources", "show", "shop")["secret_use"] is None
