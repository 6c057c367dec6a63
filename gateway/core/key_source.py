"""Where a key is that a request names: the URL, the hosts that it may be on, the form of the answer.

A preset says it. `gateway/core/key_request.py` makes of it, and of one request, what to fetch; an
adapter fetches that; `gateway/crypto/fetched.py` reads the keys out of the answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from gateway.core.fields import Fields
from gateway.core.template import Template, compile_template

KeyForm = Literal["certificate", "jwks", "jwk", "pem", "text"]
KeyIdIn = Literal["text", "jws", "base64-json"]
DAY: Final = 86_400.0
FIXED_HOST: Final = re.compile(rb"https://([A-Za-z0-9.-]+)(?::443)?/")


@dataclass(frozen=True, slots=True)
class KeyText:
    """A template that knows one more name, ``{key_id}``, which lies between its pieces."""

    pieces: tuple[Template, ...]

    def bind(self, options: Mapping[str, bytes]) -> "KeyText":
        """The same with each option's value in place of its ``config.NAME``."""
        return KeyText(tuple(piece.bind(options) for piece in self.pieces))

    def render(self, fields: Fields, key_id: bytes = b"") -> bytes | None:
        """None when a name is missing."""
        rendered = [piece.render(fields) for piece in self.pieces]
        if any(parts is None for parts in rendered):
            return None
        return key_id.join(b"".join(parts or ()) for parts in rendered)

    @property
    def fixed_host(self) -> str | None:
        """The host of this URL when no request can change it."""
        start = b""
        for part in self.pieces[0].parts:
            if not isinstance(part, bytes):
                break
            start += part
        found = FIXED_HOST.match(start)
        return found[1].decode().lower() if found else None


def key_text(text: str) -> KeyText:
    """Raises TemplateError, as `compile_template` does."""
    return KeyText(tuple(compile_template(piece) for piece in text.split("{key_id}")))


Named = tuple[tuple[str, KeyText], ...]


@dataclass(frozen=True, slots=True)
class KeySource:
    """How to ask for the key that a request names, and where it may be.

    `hosts` are regular expressions, each matched against the whole host; `path` likewise ("": any).
    `key_id_in` says how to read the key's id out of `key_id`: the text itself, the `kid` of a JWS's
    header (a word before it, such as Bearer, is skipped), or the `kid` of JSON in base64.
    `value` is a dotted path to the key in a JSON answer. `subject` must match a name of a certificate.
    `token` is asked for first and sent as `Authorization: Bearer`.
    `max_age` in seconds; for `stale` seconds more it serves while the key cannot be fetched.
    `owner` is the name of the configured source: fetches are counted for each.
    """

    url: KeyText
    form: KeyForm
    hosts: tuple[str, ...] = ()
    path: str = ""
    value: str = ""
    subject: str = ""
    key_id: KeyText | None = None
    key_id_in: KeyIdIn = "text"
    method: Literal["GET", "POST"] = "GET"
    headers: Named = ()
    basic: KeyText | None = None
    json_fields: Named = ()
    form_fields: Named = ()
    token: "KeySource | None" = None
    max_age: float = DAY
    stale: float = DAY
    owner: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for an expression that is none."""
        for expression in (*self.hosts, self.path, self.subject):
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"{expression!r} is no regular expression: {error}") from error

    def bind(self, options: Mapping[str, bytes], owner: str) -> "KeySource":
        """The same for one configured source, with the options that its owner has set.

        Without `hosts`, the URL's own host is allowed if the configuration alone decides it.
        """
        url = self.url.bind(options)
        host = url.fixed_host
        return replace(
            self,
            url=url,
            hosts=self.hosts or ((re.escape(host),) if host else ()),
            key_id=self.key_id and self.key_id.bind(options),
            headers=_bound(self.headers, options),
            basic=self.basic and self.basic.bind(options),
            json_fields=_bound(self.json_fields, options),
            form_fields=_bound(self.form_fields, options),
            # A token that has ended is worth nothing: it never serves for longer than max_age.
            token=self.token and replace(self.token.bind(options, owner), stale=0.0),
            owner=owner,
        )


def _bound(named: Named, options: Mapping[str, bytes]) -> Named:
    return tuple((name, text.bind(options)) for name, text in named)
