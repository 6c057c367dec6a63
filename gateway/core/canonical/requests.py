"""What is built of several parts of a request."""

import json
import re
from typing import Final
from urllib.parse import quote_from_bytes

from gateway.core.canonical.urls import configured
from gateway.core.fields import Fields

AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
# What encodeURIComponent and encodeURI of JavaScript leave as it is, but for letters and digits.
COMPONENT_KEPT: Final = "-_.!~*'()"
URI_KEPT: Final = COMPONENT_KEPT + ";,/?:@&=+$#"

SIGNED_HEADERS: Final = b"x-contentful-signed-headers"
CONTENTFUL_NEEDED: Final = {SIGNED_HEADERS, b"x-contentful-timestamp"}

GCMS_SIGNATURE: Final = re.compile(rb"sign=[^,]*, env=([^,]*), t=(0|[1-9][0-9]{0,15})")
HYGRAPH_ESCAPED: Final = {"&": r"\\u0026", "<": r"\\u003c", ">": r"\\u003e"}


def contentful(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Contentful: method, path, the listed headers and the body, a line each.

    The list of headers and the timestamp must be on the list.
    https://github.com/contentful/node-apps-toolkit/blob/main/src/requests/sign-request.ts
    """
    path, headers = _contentful_path(fields), _contentful_headers(fields)
    if path is None or headers is None:
        return None
    return b"\n".join((fields.request.method.encode(), path, headers, fields.request.body))


def _contentful_path(fields: Fields) -> bytes | None:
    """Encoded once more by the vendor's code, its query twice; None with a second question mark,
    behind which that code signs nothing."""
    own = fields.request.path.encode() + (b"?" + fields.request.query if fields.request.query else b"")
    target = AUTHORITY.sub(b"", configured(fields) or own, count=1)
    path, _, query = target.partition(b"?")
    if b"?" in query:
        return None
    encoded = (b"?" + quote_from_bytes(query, COMPONENT_KEPT).encode()) if query else b""
    return quote_from_bytes((path or b"/") + encoded, URI_KEPT).encode()


def _contentful_headers(fields: Fields) -> bytes | None:
    headers = fields.request.headers
    listed = headers.one(SIGNED_HEADERS) or b""
    names = sorted({name.strip().lower() for name in listed.split(b",")})
    values = dict(headers.raw)
    repeated = len(headers.raw) - len(values)
    if not CONTENTFUL_NEEDED.issubset(names) or not values.keys() >= set(names):
        return None
    if repeated and any(len(headers.all(name)) > 1 for name in names):
        return None
    values[SIGNED_HEADERS] = b",".join(names)
    return b";".join(name + b":" + values[name].strip() for name in names)


def hygraph(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Hygraph: a JSON object of the body's text, the environment and the time, some of it escaped.

    https://github.com/hygraph/hygraph-utils/blob/main/index.js
    """
    found = GCMS_SIGNATURE.fullmatch(fields.request.headers.one(b"gcms-signature") or b"")
    try:
        body, environment = fields.request.body.decode(), found[1].decode() if found else ""
    except UnicodeDecodeError:
        return None
    if not found:
        return None
    signed = {"Body": body, "EnvironmentName": environment, "TimeStamp": int(found[2])}
    text = json.dumps(signed, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in HYGRAPH_ESCAPED.items():
        text = text.replace(character, escaped)
    return text.encode()
