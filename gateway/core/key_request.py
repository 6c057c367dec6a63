"""Which key a request names, and how to ask for it: decided purely, from key source and request."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

from gateway.core.allowed_urls import allowed
from gateway.core.fields import Fields, dig, parse_json
from gateway.core.key_source import DAY, KeyForm, KeyIdIn, KeySource, KeyText, Named
from gateway.core.outcomes import Refusal

KEY_ID: Final = re.compile(rb"[!-~]{1,256}")
HEADER_VALUE: Final = re.compile(rb"[ -~]{0,8192}")


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """One key to fetch: the URL has passed the allow-list. Headers and body may hold credentials."""

    owner: str
    url: str
    form: KeyForm
    host: str
    target: str = "/"
    value: str = ""
    key_id: str = ""
    subject: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    token: "KeyRequest | None" = None
    max_age: float = DAY
    stale: float = DAY

    @property
    def place(self) -> tuple[str, str, str, bytes]:
        """What is fetched, whichever of the keys there is wanted."""
        return (self.owner, self.method, self.url, self.body)

    @property
    def has_credentials(self) -> bool:
        return bool(self.headers or self.body or self.token)


class _Unfit(Exception):  # noqa: N818 - ends `wanted`, seen by nobody else
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def wanted(source: KeySource, fields: Fields) -> KeyRequest | Refusal:
    """The key that this request names, or why it may not be asked for. Total: never raises."""
    try:
        return _request(source, fields, _key_id(source, fields))
    except _Unfit as unfit:
        return unfit.refusal


def _request(source: KeySource, fields: Fields, key_id: bytes) -> KeyRequest:
    escaped = quote(key_id, safe="").encode()
    url = allowed(_rendered(source.url, fields, escaped), source.hosts, source.path)
    if url is None:
        raise _Unfit(Refusal.KEY_NOT_ALLOWED)
    body_headers, body = _body(source, fields, key_id)
    return KeyRequest(
        owner=source.owner,
        url=str(url),
        form=source.form,
        host=url.host,
        target=url.target,
        value=source.value,
        key_id=key_id.decode(),
        subject=source.subject,
        method=source.method,
        headers=(*_headers(source, fields, key_id), *body_headers),
        body=body,
        token=_request(source.token, fields, key_id) if source.token else None,
        max_age=source.max_age,
        stale=source.stale,
    )


def _key_id(source: KeySource, fields: Fields) -> bytes:
    if source.key_id is None:
        return b""
    text = _rendered(source.key_id, fields)
    key_id = text if source.key_id_in == "text" else _kid(text, source.key_id_in)
    if key_id is None or not KEY_ID.fullmatch(key_id):
        raise _Unfit(Refusal.MALFORMED_KEY_ID)
    return key_id


def _kid(text: bytes, where: KeyIdIn) -> bytes | None:
    """The `kid` of a JWS's header, or of JSON in base64."""
    word = text.split()[-1] if text.split() else b""
    if where == "jws":
        word = word.partition(b".")[0]
    padded = word.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(word) % 4)
    try:
        kid = dig(parse_json(base64.b64decode(padded, validate=True)), "kid")
    except ValueError:
        return None
    return kid.encode("utf-8", "surrogatepass") if isinstance(kid, str) else None


def _headers(source: KeySource, fields: Fields, key_id: bytes) -> tuple[tuple[str, str], ...]:
    headers = [(name, _rendered(text, fields, key_id)) for name, text in source.headers]
    if source.basic:
        credentials = base64.b64encode(_rendered(source.basic, fields, key_id))
        headers.append(("Authorization", b"Basic " + credentials))
    if not all(HEADER_VALUE.fullmatch(value) for _, value in headers):
        raise _Unfit(Refusal.MALFORMED_KEY_ID)
    return tuple((name, value.decode()) for name, value in headers)


def _body(
    source: KeySource, fields: Fields, key_id: bytes
) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """The body's headers, and the body."""
    if source.json_fields:
        named = _values(source.json_fields, fields, key_id)
        return (("Content-Type", "application/json"),), json.dumps(named).encode()
    if source.form_fields:
        named = _values(source.form_fields, fields, key_id)
        return (("Content-Type", "application/x-www-form-urlencoded"),), urlencode(named).encode()
    return (), b""


def _values(named: Named, fields: Fields, key_id: bytes) -> dict[str, str]:
    return {name: _rendered(text, fields, key_id).decode("utf-8", "replace") for name, text in named}


def _rendered(text: KeyText, fields: Fields, key_id: bytes = b"") -> bytes:
    value = text.render(fields, key_id)
    if value is None:
        raise _Unfit(Refusal.MISSING_KEY_ID)
    return value
