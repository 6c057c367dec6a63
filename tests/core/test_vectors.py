"""Requests that others signed (tests/vectors/*.json), judged at the time that is recorded in them."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.catalogue import Verify, load_preset, preset_names
from gateway.core.request import Headers, InboundRequest
from gateway.core.verification import VerifiedRequest, verify

VECTORS = Path(__file__).parent.parent / "vectors"


def _vectors() -> list[Any]:
    found = []
    for path in sorted(VECTORS.glob("*.json")):
        for vector in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
            found.append(pytest.param(path.stem, vector, id=vector["id"]))
    return found


@pytest.mark.parametrize(("name", "vector"), _vectors())
def test_judges_a_published_request_as_its_publisher_does(name: str, vector: dict[str, Any]) -> None:
    described = vector.get("verify")
    table = TypeAdapter(Verify).validate_python(described) if described else load_preset(name).verify
    scheme = table.build()
    pairs = [(key.encode(), value.encode()) for key, value in vector["headers"].items()]
    request = InboundRequest(
        "POST", "/", b"", Headers.of(pairs), vector["body"].encode(), None, vector["now"]
    )
    keys = [scheme.load_key(secret.encode()) for secret in vector["secrets"]]
    found = verify(request, scheme, keys, vector["now"])
    if vector["verdict"] == "accepted":
        assert isinstance(found, VerifiedRequest), found
        assert found.key_index == vector.get("key_index", 0)
    else:
        assert found == vector["verdict"]


def test_every_preset_has_a_vector_that_is_accepted_and_one_that_is_refused() -> None:
    verdicts: dict[str, set[bool]] = {}
    for path in VECTORS.glob("*.json"):
        vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
        verdicts[path.stem] = {vector["verdict"] == "accepted" for vector in vectors}
    lacking = [name for name in preset_names() if verdicts.get(name) != {True, False}]
    assert not lacking, f"add tests/vectors/NAME.json for {lacking}: facts, each with its source"
