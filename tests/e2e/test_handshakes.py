"""Every way in which a provider asks whether we own the URL, answered over HTTP byte for byte."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.embedded.server import EmbeddedServer
from gateway.adapters.ledger import lessons
from gateway.adapters.ledger.redis_clients import blocking_client
from gateway.adapters.ledger.redis_keys import Keys
from gateway.catalogue import Preset, load_preset
from gateway.core.request import Headers, InboundRequest
from tests.e2e.deployments import processors, settings
from tests.e2e.rig import Deployment, Gateway
from tests.e2e.wire import exchange, request

PAIRS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "handshakes.json").read_text(encoding="utf-8")
)["pairs"]
SECRET = "a-secret-of-the-handshakes-9d2f"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _name(pair: dict[str, Any]) -> str:
    name: str = pair["provider"]
    return name


def _secret(pair: dict[str, Any]) -> str:
    preset = load_preset(pair["provider"])
    key_encoding = getattr(preset.verify, "key_encoding", "utf8")
    if getattr(preset.verify, "algorithm", "") == "ed25519":
        return PUBLIC
    text: str = pair.get("secret", SECRET)
    return base64.b64encode(text.encode()).decode() if key_encoding == "base64" else text


def _options(pair: dict[str, Any], preset: Preset) -> dict[str, str]:
    """What the pair says, and something for every other option that must be given."""
    unset = [name for name, each in preset.options.items() if each.default is None]
    needed = {name: f"given-{name}-5d0c7e21" for name in unset}
    said = {name: value for name, value in pair.get("options", {}).items() if name in preset.options}
    return needed | said


def _deployment(root: Path) -> Deployment:
    sources, environ = {}, {}
    for pair in PAIRS:
        name, preset = _name(pair), load_preset(pair["provider"])
        variable = f"S{PAIRS.index(pair)}"
        environ[variable] = _secret(pair)
        lines = [f'preset = "{pair["provider"]}"', f'public_url = "https://hooks.test/{name}"']
        lines.append(f'secrets = ["env:{variable}"]')
        lines.append("[options]")
        for option, value in _options(pair, preset).items():
            secret = preset.options[option].secret
            if secret:
                environ[f"{variable}_{option}"] = value
            lines.append(f'{option} = "{f"env:{variable}_{option}" if secret else value}"')
        sources[name] = "\n".join(lines)
    wishes = [(name, "*") for name in sources]
    return Deployment(root, sources, settings(), {"nothing": processors(*wishes)}, environ)


@pytest.fixture(scope="module")
def greeted(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(_deployment(tmp_path_factory.mktemp("handshakes")), server.url) as running:
        yield running


def _call(gateway: Gateway, pair: dict[str, Any], *, proven: bool = True) -> Any:
    """The pair's request, signed as the provider would where its preset asks for that."""
    asked = pair["request"]
    body = json.dumps(asked["json"]).encode() if "json" in asked else asked.get("body", "").encode()
    headers = [(name.encode(), value.encode()) for name, value in asked.get("headers", {}).items()]
    path, query = f"/hooks/{_name(pair)}", asked.get("query", "").encode()
    url = f"https://hooks.test/{_name(pair)}"
    made = InboundRequest(
        asked["method"], path, query, Headers.of(headers), body, None, time.time(), url
    )
    if proven and pair.get("proof") == "signed":
        scheme = load_preset(pair["provider"]).verify.build()
        key = PRIVATE if _secret(pair) == PUBLIC else scheme.load_key(_secret(pair).encode())
        made = scheme.sign(made, key, time.time())
    target = path.encode() + (b"?" + made.query if made.query else b"")
    return exchange(gateway.address, request(made.method, target, made.body, made.headers.raw))


def _arm(gateway: Gateway, pair: dict[str, Any]) -> None:
    with blocking_client(gateway.redis_url, 5.0) as client:
        lessons.arm(client, Keys(), _name(pair), 60.0)


@pytest.mark.parametrize("pair", PAIRS, ids=_name)
def test_a_handshake_is_answered_byte_for_byte(greeted: Gateway, pair: dict[str, Any]) -> None:
    if pair.get("proof") == "armed":
        _arm(greeted, pair)
    answer, wanted = _call(greeted, pair), pair["response"]
    assert answer.status == wanted["status"]
    assert answer.body == _body(wanted)
    for name, value in wanted.get("headers", {}).items():
        assert f"\r\n{name.lower()}: {value}\r\n".encode() in answer.raw
    if content_type := wanted.get("content_type"):
        assert answer.headers["content-type"].partition(";")[0] == content_type


def _body(wanted: dict[str, Any]) -> bytes:
    if "json" in wanted:
        return json.dumps(wanted["json"], separators=(",", ":")).encode()
    body: str = wanted.get("body", "")
    return body.encode()


@pytest.mark.parametrize("pair", [each for each in PAIRS if each.get("proof") == "signed"], ids=_name)
def test_a_handshake_that_must_be_signed_is_refused_without(
    greeted: Gateway, pair: dict[str, Any]
) -> None:
    assert _call(greeted, pair, proven=False).status == 401


TAUGHT = [each for each in PAIRS if each.get("proof") == "armed"]


@pytest.mark.parametrize("pair", TAUGHT, ids=_name)
def test_nothing_is_learnt_from_a_source_that_nobody_armed(
    greeted: Gateway, pair: dict[str, Any]
) -> None:
    with blocking_client(greeted.redis_url, 5.0) as client:
        lessons.disarm(client, Keys(), _name(pair))
        before = lessons.learnt(client, Keys(), _name(pair))
        assert _call(greeted, pair).status == 401
        assert lessons.learnt(client, Keys(), _name(pair)) == before


@pytest.mark.parametrize("pair", [each for each in TAUGHT if "learned" in each], ids=_name)
def test_one_arming_teaches_one_secret_and_that_one_verifies_from_then_on(
    greeted: Gateway, pair: dict[str, Any]
) -> None:
    _arm(greeted, pair)
    assert _call(greeted, pair).status == pair["response"]["status"]
    assert _call(greeted, pair).status == pair["response"]["status"]  # our answer was lost: again
    other = json.loads(json.dumps(pair).replace(pair["learned"], "another-secret-0123456789"))
    assert _call(greeted, other).status == 401
    scheme = load_preset(pair["provider"]).verify.build()
    body = b'{"id": "1", "type": "page.created", "events": []}'
    path = f"/hooks/{_name(pair)}"
    made = InboundRequest("POST", path, b"", Headers(), body, None, time.time())
    signed = scheme.sign(made, scheme.load_key(pair["learned"].encode()), time.time())
    data = request("POST", path, signed.body, signed.headers.raw)
    assert exchange(greeted.address, data).status == 200


@pytest.mark.parametrize(
    "token",
    [
        '%7B"tweet_create_events":[]%7D',
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "a%0d%0aSet-Cookie:x",
        "x" * 2000,
        "",
    ],
)
def test_what_could_be_a_body_a_page_or_a_header_is_never_echoed_or_signed(
    greeted: Gateway, token: str
) -> None:
    pair = next(each for each in PAIRS if each["provider"] == "x-twitter")
    path = f"/hooks/{_name(pair)}?crc_token={token}".encode()
    assert exchange(greeted.address, request("GET", path)).status == 401
