"""A request as it was caught, and as a JSON file that `hookline explain` reads.

`{"method", "url", "headers": [[name, value], ...], "body": BASE64}`, and where they are known
`received_at` (Unix seconds), `source`, `reason`, `client` and `body_size`.
"""

import base64
import binascii
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.core.masking import Pairs
from gateway.core.request import Headers, InboundRequest

REF_PREFIX: Final = "ref_"
FORM: Final = 'write {"method": ..., "url": ..., "headers": [[name, value], ...], "body": BASE64}'


class CaptureError(ValueError):
    """A text is no captured request. `problem` says what is wrong and where, `mend` what to do."""

    def __init__(self, problem: str, mend: str) -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(f"{problem} → {mend}")


@dataclass(frozen=True, slots=True)
class Captured:
    """`url` is a path with its query, or a whole URL. `body_size` in bytes: more than `body` has when
    that was cut. Headers and body are kept out of repr: they may hold a secret."""

    method: str
    url: str
    headers: Pairs = field(repr=False)
    body: bytes = field(repr=False)
    body_size: int
    received_at: float | None = None
    source: str = ""
    reason: str = ""
    client: str | None = None

    @classmethod
    def of(cls, request: InboundRequest, source: str = "", reason: str = "") -> "Captured":
        url = request.path + ("?" + request.query.decode("latin-1") if request.query else "")
        return cls(
            request.method,
            url,
            request.headers.raw,
            request.body,
            len(request.body),
            request.received_at,
            source,
            reason,
            request.client,
        )

    @property
    def whole(self) -> bool:
        return len(self.body) == self.body_size

    def request(self, at: float | None = None, url: str = "") -> InboundRequest:
        """As it arrived; `at` (Unix seconds) in place of its own time. `url`: the source's public one,
        else its own if that is a whole one. Raises CaptureError when no time is known."""
        received_at = self.received_at if at is None else at
        if received_at is None:
            raise CaptureError("received_at is missing", "add it in Unix seconds, or say the time")
        base, _, query = self.url.partition("?")
        scheme, colons, place = base.partition("://")
        path = "/" + place.partition("/")[2] if colons else scheme
        public = url or (base if colons else "")
        headers = Headers.of(self.headers)
        return InboundRequest(
            self.method, path, _bytes(query), headers, self.body, self.client, received_at, public
        )

    def head(self) -> dict[str, Any]:
        """Everything but the body, as JSON has it."""
        known = {
            "received_at": self.received_at,
            "source": self.source,
            "reason": self.reason,
            "client": self.client,
        }
        return {
            "method": self.method,
            "url": self.url,
            "headers": [
                [name.decode("latin-1"), text.decode("latin-1")] for name, text in self.headers
            ],
            "body_size": self.body_size,
        } | {name: value for name, value in known.items() if value not in (None, "")}

    def to_json(self) -> str:
        """For a file: `from_json` gives an equal value back."""
        return json.dumps(self.head() | {"body": base64.b64encode(self.body).decode()}, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Captured":
        """Any text in. Raises CaptureError for one that is no captured request."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CaptureError("is no JSON", f"{FORM}: {type(error).__name__}") from None
        if not isinstance(value, dict):
            raise CaptureError("is no JSON object", FORM)
        return cls.from_parts(value, _body(value))

    @classmethod
    def from_parts(cls, head: dict[str, Any], body: bytes) -> "Captured":
        """What `head` gave, with the body that was kept beside it. Raises CaptureError."""
        return cls(
            _text(head, "method").upper(),
            _text(head, "url"),
            _headers(head),
            body,
            _size(head, len(body)),
            _time(head),
            _text(head, "source", ""),
            _text(head, "reason", ""),
            _text(head, "client", "") or None,
        )


def refusal_id(captured: Captured, *, once: bool) -> str:
    """`once`: the same request has the same id whenever it comes, so that a repeat is kept once."""
    when = None if once else captured.received_at
    head = (once, when, captured.source, captured.method, captured.url, captured.headers)
    digest = hashlib.blake2b(repr(head).encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(captured.body)
    return REF_PREFIX + base64.b32encode(digest.digest()).decode().rstrip("=").lower()


def _text(head: dict[str, Any], name: str, default: str | None = None) -> str:
    value = head.get(name, default)
    if value is None and name not in head:
        raise CaptureError(f"{name} is missing", FORM)
    if not isinstance(value, str):
        raise CaptureError(f"{name} is no text", f'write "{name}": "..."')
    return value


def _headers(head: dict[str, Any]) -> Pairs:
    value = head.get("headers")
    if value is None:
        raise CaptureError("headers is missing", f'{FORM}; "headers": [] when there were none')
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list):
        raise CaptureError("headers is no list", "write [[name, value], ...]")
    for index, pair in enumerate(pairs):
        sound = isinstance(pair, list | tuple) and len(pair) == 2
        if not sound or not all(isinstance(each, str) for each in pair):
            raise CaptureError(f"headers[{index}] is no pair of texts", "write [name, value]")
    return tuple((_bytes(name).lower(), _bytes(text)) for name, text in pairs)


def _body(head: dict[str, Any]) -> bytes:
    text = _text(head, "body")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CaptureError(
            "body is no base64", "encode the raw bytes in standard base64, on one line"
        ) from None


def _size(head: dict[str, Any], known: int) -> int:
    value = head.get("body_size", known)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise CaptureError("body_size is no number of bytes", "leave it out, or write the whole body's")
    return value


def _time(head: dict[str, Any]) -> float | None:
    value = head.get("received_at")
    if value is None:
        return None
    sound = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    if not sound or not math.isfinite(value):
        raise CaptureError("received_at is no time", "write Unix seconds, such as 1767225600.0")
    return float(value)


def _bytes(text: str) -> bytes:
    """As the wire had it; what a person wrote beyond Latin-1 is meant as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
