"""The parts of a request that a message signature can cover (RFC 9421, section 2), and the text that is
signed of them.
"""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from gateway.core.request import InboundRequest
from gateway.core.schemes.structured import InnerList, Item, unquoted

FIELD_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)", re.IGNORECASE)
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def signature_base(request: InboundRequest, covered: InnerList) -> bytes | None:
    """The signature base; None when a component is missing, unknown, or would break its line."""
    lines = []
    for item in covered.items:
        value = _component(request, item)
        if value is None or b"\n" in value or b"\r" in value:
            return None
        lines.append(item.text + b": " + value)
    return b"\n".join((*lines, b'"@signature-params": ' + covered.text))


def _component(request: InboundRequest, item: Item) -> bytes | None:
    if item.value.startswith(b"@"):
        if item.text.startswith(b'"@query-param";name=') and len(item.params) == 1:
            return _query_value(request, unquoted(item.params[b"name"]))
        derive = None if item.params else DERIVED.get(item.value)
        return derive(request) if derive else None
    if item.params or not FIELD_NAME.fullmatch(item.value):
        return None
    values = [value.strip(b" \t") for value in request.headers.all(item.value)]
    return b", ".join(values) if values else None


def _url(request: InboundRequest) -> re.Match[str] | None:
    """The public URL as configured. What the caller says in Host counts only when none is."""
    return URL.match(request.url)


def _authority(request: InboundRequest) -> bytes | None:
    url = _url(request)
    if not url:
        host = request.headers.one(b"host")
        return host.strip().lower() if host else None
    port = DEFAULT_PORTS[url["scheme"].lower()]
    return url["authority"].lower().removesuffix(port).encode()


def _scheme(request: InboundRequest) -> bytes | None:
    url = _url(request)
    return url["scheme"].lower().encode() if url else None


def _path(request: InboundRequest) -> bytes:
    url = _url(request)
    # A path may hold any character, and lone surrogates in it are no valid text.
    return ((url["path"] if url else request.path) or "/").encode("utf-8", "surrogatepass")


def _query(request: InboundRequest) -> bytes:
    return b"?" + request.query


def _request_target(request: InboundRequest) -> bytes:
    return _path(request) + (_query(request) if request.query else b"")


def _target_uri(request: InboundRequest) -> bytes | None:
    url = _url(request)
    if not url:
        return None
    origin = f"{url['scheme'].lower()}://{url['authority'].lower()}".encode()
    return origin + _request_target(request)


def _query_value(request: InboundRequest, name: bytes | None) -> bytes | None:
    """The value of a parameter that stands once, percent-encoded as the RFC has it."""
    values: dict[bytes, list[bytes]] = {}
    for pair in request.query.replace(b"+", b" ").split(b"&"):
        key, _, value = pair.partition(b"=")
        values.setdefault(unquote_to_bytes(key), []).append(unquote_to_bytes(value))
    found = values.get(unquote_to_bytes(name or b""), [])
    return (
        quote_from_bytes(found[0], safe="*").replace("~", "%7E").encode() if len(found) == 1 else None
    )


DERIVED: Final[dict[bytes, Callable[[InboundRequest], bytes | None]]] = {
    b"@method": lambda request: request.method.encode("utf-8", "surrogatepass"),
    b"@authority": _authority,
    b"@scheme": _scheme,
    b"@path": _path,
    b"@query": _query,
    b"@request-target": _request_target,
    b"@target-uri": _target_uri,
}
