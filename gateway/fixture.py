"""A captured webhook as a file of TOML that tests use, signed with a secret that was made up for it.

    source = "stripe"
    type = "invoice.paid"
    secret = "whsec_..."
    headers = [["content-type", "application/json"], ["stripe-signature", "t=...,v1=..."]]
    body = '''{"id": "evt_1", ...}'''

A body that is no UTF-8 is `body_base64`. Without a secret only its provider could have signed it.
"""

import base64
import binascii
import json
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gateway.core.capture import Captured, CaptureError
from gateway.core.event import Event
from gateway.core.identity import IdentityRules, identify
from gateway.core.json_slices import slices
from gateway.core.placing import put
from gateway.core.request import InboundRequest
from gateway.core.source import Source
from gateway.core.template import Reference
from gateway.core.verification import VerifiedRequest, verify

# Known to everybody, and worth nothing: one as text or base64, one in hexadecimal, a user's.
SECRETS: Final = (
    "whsec_" + base64.b64encode(b"made up for a fixture 24").decode(),
    b"made up, and good for nothing !!".hex(),
    "fixture:made-up-password-for-tests",
)
TEXTS: Final = ("type", "provider_id", "preset", "secret")
HEAD: Final = "# {}, captured by `hookline capture`. {}\n# The secret is made up: it signs this file.\n"
PLAIN: Final = "NOT redacted: it is what the sender wrote. Keep it to yourself."
REDACTED: Final = "Personal data and secrets are replaced."
NOTHING: Final = Captured("", "", (), b"", 0, 0.0)


class FixtureError(ValueError):
    """A file is no fixture: the message says which, what is wrong, and the mend."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """`captured` is signed with `secret`; "": it could not be signed, or needs no signature."""

    captured: Captured
    type: str
    provider_id: str = ""
    preset: str = ""
    secret: str = field(default="", repr=False)
    redacted: bool = False

    @property
    def source(self) -> str:
        return self.captured.source

    def request(self) -> InboundRequest:
        """As it was captured, at its own time."""
        return self.captured.request()

    def at_home(self, source: Source) -> Source:
        """The source as this fixture's request meets it: with its secret, and its public URL."""
        base = self.captured.url.partition("?")[0]
        url = base if "://" in base else source.url
        if not self.secret:
            return replace(source, url=url, rate_limit=None)
        keys = (source.scheme.load_key(self.secret.encode()),)
        return replace(source, url=url, keys=keys, key_source=None, rate_limit=None)

    @property
    def own_words(self) -> str:
        """What stands in every such file."""
        return replace(self, captured=NOTHING, type="", provider_id="", preset="").to_toml()

    def to_toml(self) -> str:
        """For a file: `from_toml` gives an equal value back."""
        head = self.captured.head()
        facts = {name: getattr(self, name) for name in TEXTS}
        lines = [
            HEAD.format(
                _one_line(f"{self.source}'s {self.type or 'event'}"),
                REDACTED if self.redacted else PLAIN,
            ),
            f"source = {_basic(self.source)}",
            *(f"{name} = {_basic(text)}" for name, text in facts.items() if text),
            f"redacted = {json.dumps(self.redacted)}",
            f"received_at = {float(self.captured.received_at or 0.0)!r}",
            f"method = {_basic(head['method'])}",
            f"url = {_basic(head['url'])}",
            "headers = [",
            *(f"  [{_basic(name)}, {_basic(text)}]," for name, text in head["headers"]),
            "]",
            _body_line(self.captured.body),
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str = "fixture") -> "Fixture":
        """Any text in. Raises FixtureError."""
        try:
            data: dict[str, Any] = tomllib.loads(text)
            captured = Captured.from_parts(data, _body(data))
        except (ValueError, RecursionError) as error:
            mend = "`hookline capture` writes such a file"
            raise FixtureError(f"{where} is no fixture: {error} → {mend}") from None
        texts = {name: data.get(name, "") for name in TEXTS}
        wrong = [name for name, value in texts.items() if not isinstance(value, str)]
        if wrong or not captured.source:
            raise FixtureError(f"{where}: {', '.join(wrong or ['source'])} must be a text")
        if captured.received_at is None:
            raise FixtureError(f"{where}: received_at is missing → add it in Unix seconds")
        return cls(captured, **texts, redacted=data.get("redacted") is True)

    @classmethod
    def read(cls, path: Path | str) -> "Fixture":
        """Raises FixtureError, also when there is no such file."""
        try:
            return cls.from_toml(Path(path).read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise FixtureError(f"{path} cannot be read: {error} → name a fixture's file") from None


def signed_fixture(fixture: Fixture, source: Source) -> tuple[Fixture, bool]:
    """With a proof of origin by a made-up secret; and whether `source`, given that, believes it.

    A provider that signs with a private key of its own cannot be imitated: the fixture stays as it is.
    """
    for secret in SECRETS if source.scheme.needs_secret else ():
        made = _signed(fixture, source, secret)
        if made and believed(made, source):
            return made, True
    return fixture, believed(fixture, source) is not None


def _signed(fixture: Fixture, source: Source, secret: str) -> Fixture | None:
    captured, home = fixture.captured, replace(fixture, secret=secret)
    request = fixture.request()
    try:
        key = source.scheme.load_key(secret.encode())
        made = source.scheme.sign(request, key, request.received_at)
    except Exception:  # it wants a key of another kind, and each kind says so in its own way
        return None
    query = f"?{made.query.decode('latin-1')}" if made.query else ""
    url = captured.url.partition("?")[0] + query
    again = replace(
        captured, url=url, headers=made.headers.raw, body=made.body, body_size=len(made.body)
    )
    return replace(home, captured=again)


def believed(fixture: Fixture, source: Source) -> VerifiedRequest | None:
    """What the gate makes of it at its own time; None: it is refused."""
    try:
        home, request = fixture.at_home(source), fixture.request()
    except ValueError:
        return None
    found = verify(request, home.scheme, home.keys, request.received_at)
    return found if isinstance(found, VerifiedRequest) else None


def events_of(fixture: Fixture, source: Source) -> tuple[Event, ...]:
    """What is in it; nothing when it is refused."""
    verified = believed(fixture, source)
    return identify(verified, source.name, source.identity) if verified else ()


def whole_batch(request: InboundRequest, rules: IdentityRules) -> InboundRequest:
    """A batch of this one item: of an event that came in a batch no more than that is kept.

    What is the whole request already stays as it is.
    """
    if not rules.batch or (not rules.batch_field and slices(request.body, rules.batch) is not None):
        return request
    path = [] if rules.batch == "$" else rules.batch.split(".")
    value = b"[" + request.body + b"]"
    for step in reversed(path):
        value = (
            b"[" + value + b"]"
            if step == "*"
            else b"{" + json.dumps(step).encode() + b": " + value + b"}"
        )
    if rules.batch_field:
        return put(replace(request, body=b""), Reference("form", rules.batch_field), value)
    return replace(request, body=value)


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _body_line(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"body_base64 = {_basic(base64.b64encode(body).decode())}"
    plain = all(sign in "\n\t" or sign >= " " for sign in text) and "\x7f" not in text
    if plain and "'''" not in text and not text.endswith("'"):
        return f"body = '''\n{text}'''"
    return f"body = {_basic(text)}"


def _body(data: dict[str, Any]) -> bytes:
    if isinstance(text := data.get("body"), str):
        return text.encode("utf-8")
    if not isinstance(coded := data.get("body_base64"), str):
        raise CaptureError("body is missing", "write body = '''...''', or body_base64")
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise CaptureError("body_base64 is no base64", "encode the bytes in standard base64") from None
