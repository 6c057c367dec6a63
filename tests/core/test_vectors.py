"""Requests that others signed (tests/vectors/*.json), judged at the time that is recorded in them."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.catalogue import Options, Verify, load_preset, preset_names
from gateway.core.outcomes import Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.verification import Scheme, VerifiedRequest, verify

from .examples import key_format, public_algorithm

VECTORS = Path(__file__).parent.parent / "vectors"
DESCRIBED = "described"  # vectors that say how to verify them, of no preset
KEYS = {"id", "source", "secrets", "headers", "body", "now", "verdict", "method", "url", "query"}
KEYS |= {"options", "key_index", "verify", "note", "body_encoding"}


def vectors_of(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return found


def _vectors() -> list[Any]:
    return [
        pytest.param(path.stem, vector, id=vector["id"])
        for path in sorted(VECTORS.glob("*.json"))
        for vector in vectors_of(path)
    ]


def _accepted() -> list[Any]:
    accepted = [each for each in _vectors() if each.values[1]["verdict"] == "accepted"]
    return [each for each in accepted if each.values[0] != DESCRIBED]


def scheme_of(name: str, vector: dict[str, Any]) -> Scheme:
    described = vector.get("verify")
    table = TypeAdapter(Verify).validate_python(described) if described else load_preset(name).verify
    options: Options = {key: text.encode() for key, text in vector.get("options", {}).items()}
    scheme: Scheme = table.build(options)
    return scheme


def request_of(vector: dict[str, Any]) -> InboundRequest:
    """`url` is the public URL, with its query if that is not given by itself."""
    base, mark, asked = vector.get("url", "").partition("?")
    query = vector.get("query", asked)
    pairs = vector["headers"]
    headers = pairs.items() if isinstance(pairs, dict) else pairs
    return InboundRequest(
        vector.get("method", "POST"),
        "/",
        query.encode(),
        Headers.of([(name.encode(), value.encode()) for name, value in headers]),
        vector["body"].encode(),
        None,
        vector["now"],
        base + mark + asked if "query" in vector else base,
    )


@pytest.mark.parametrize(("name", "vector"), _vectors())
def test_judges_a_published_request_as_its_publisher_does(name: str, vector: dict[str, Any]) -> None:
    scheme = scheme_of(name, vector)
    keys = [scheme.load_key(secret.encode()) for secret in vector["secrets"]]
    found = verify(request_of(vector), scheme, keys, vector["now"])
    if vector["verdict"] == "accepted":
        assert isinstance(found, VerifiedRequest), found
        assert found.key_index == vector.get("key_index", 0)
    else:
        assert found == vector["verdict"]


@pytest.mark.parametrize(("name", "vector"), _vectors())
def test_a_vector_says_what_it_is_and_where_it_is_from(name: str, vector: dict[str, Any]) -> None:
    assert set(vector) <= KEYS, "a mistyped key would leave something untested"
    assert vector["source"]
    assert vector["verdict"] in ("accepted", *Refusal)
    if name != DESCRIBED:
        assert "verify" not in vector, "a preset is judged as it ships"
        assert set(vector.get("options", ())) <= set(load_preset(name).options)


@pytest.mark.parametrize(("name", "vector"), _accepted())
def test_a_request_that_its_publisher_accepts_is_refused_with_another_body_or_secret(
    name: str, vector: dict[str, Any]
) -> None:
    preset, scheme = load_preset(name), scheme_of(name, vector)
    keys = [scheme.load_key(secret.encode()) for secret in vector["secrets"]]
    if preset.body_signed:
        changed = request_of(vector | {"body": vector["body"] + "&x=1"})
        assert isinstance(verify(changed, scheme, keys, vector["now"]), Refusal)
    if scheme.needs_secret and not public_algorithm(scheme):
        form = key_format(scheme)
        key = form.decode(vector["secrets"][vector.get("key_index", 0)].encode()) + b"x"
        other = scheme.load_key(form.encode(key) if not form.derive else key)
        assert isinstance(verify(request_of(vector), scheme, [other], vector["now"]), Refusal)


def test_every_file_of_vectors_is_of_a_preset_and_accepts_something() -> None:
    """A preset without a file has no vector that anybody has published: the rules that hold for every
    preset, and the providers' own libraries, are what it is judged by."""
    for path in VECTORS.glob("*.json"):
        assert path.stem == DESCRIBED or path.stem in preset_names(), path.stem
        assert any(vector["verdict"] == "accepted" for vector in vectors_of(path)), path.stem


def test_ids_of_vectors_are_unique_in_their_file() -> None:
    for path in VECTORS.glob("*.json"):
        ids = [vector["id"] for vector in vectors_of(path)]
        assert len(ids) == len(set(ids)), path.stem
