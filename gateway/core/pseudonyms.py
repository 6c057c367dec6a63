"""Made-up texts in place of real ones: of the same shape and length, the same for the same text.

Letters become consonants, so that no word of a language comes out; digits stay digits, hexadecimal
stays that, an email address an email address. Nothing here keeps a table: a text's replacement is a
keyed digest of it, so that fixtures made with one key fit together, and nobody without it can guess.
"""

import hashlib
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.core.text_parts import (
    DOCUMENTATION,
    HARMLESS_SIGNS,
    MOMENT,
    PREFIXES,
    SCAN,
    SCHEMES,
    URL,
    URL_WORDS,
)

LONGEST_SHARED: Final = 4  # letters in a row that a replacement may have in common with its original
TRIES: Final = 64
LONG: Final = 2000  # letters: in a blob that long some five occur twice whatever one does
DIGITS: Final = "0123456789"
CONSONANTS: Final = "bcdfghjkmnpqrstvwxz"
HEX: Final = "0123456789abcdef"
HEX_RUN: Final = re.compile(r"(?=[^a-fA-F]*[a-fA-F])(?=\D*\d)(?:[0-9a-f]{7,}|[0-9A-F]{7,})")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """`key` decides what stands for what, and by how many seconds times move. Hosts and words of URLs
    that are public knowledge stay."""

    key: bytes = field(repr=False)
    hosts: Collection[str] = ()
    url_words: Collection[str] = URL_WORDS

    @property
    def shift(self) -> int:
        """Seconds by which times move into the past: seven months to two years, and no round number."""
        return 200 * 86400 + int.from_bytes(self._digest("shift", "", 8), "big") % (500 * 86400)

    def text(self, text: str) -> str:
        """Each part of it replaced by one of its kind; what is between the parts stays."""
        return SCAN.sub(lambda found: getattr(self, f"_{found.lastgroup}")(found[0]), text)

    def word(self, run: str) -> str:
        """Letters and digits for as many; the same for a word in capitals and in small letters.

        It has no five letters in a row in common with the original.
        """
        made = ""
        for salt in range(1 if len(run) > LONG else TRIES):
            made = self._made(run, f"{salt}")
            if not shares(run, made):
                break
        return made

    def moved(self, seconds: float) -> float:
        return seconds - self.shift

    def _made(self, run: str, salt: str) -> str:
        chance = self._digest(f"word{salt}", run.casefold(), len(run))
        hexadecimal = bool(HEX_RUN.fullmatch(run))
        made = []
        for at, (sign, byte) in enumerate(zip(run, chance, strict=True)):
            if hexadecimal:
                new = HEX[byte % 16]
            elif sign.isdecimal():
                new = "0" if sign == "0" and not at else DIGITS[1 + byte % 9 if not at else byte % 10]
            else:
                new = CONSONANTS[byte % len(CONSONANTS)]
            made.append(new.upper() if sign.isupper() else new)
        text = "".join(made)
        return text.upper() if hexadecimal and run.isupper() else text

    def _digest(self, kind: str, text: str, size: int) -> bytes:
        """`size` bytes by chance, which the key and the text decide."""
        data = text.encode("utf-8", "surrogatepass")
        found = hashlib.blake2b(data, key=self.key[:64], person=kind.encode()[:16]).digest()
        return found[:size] if size <= len(found) else hashlib.shake_128(found).digest(size)

    # One for each kind of part.

    def _word(self, run: str) -> str:
        return self.word(run)

    def _other(self, sign: str) -> str:
        return sign if sign in HARMLESS_SIGNS else "*"

    def _prefixed(self, text: str) -> str:
        *prefixes, own = text.split("_")
        kept = [each if _is_prefix(each) else self.word(each) for each in prefixes]
        return "_".join((*kept, self.word(own)))

    def _code(self, text: str) -> str:
        """An id such as U0RLIE46COK: its first letter says of what."""
        return text[0] + self.word(text[1:])

    def _email(self, text: str) -> str:
        local, _, host = text.rpartition("@")
        return f"{self.text(local)}@{self._host(host)}"

    def _host(self, host: str) -> str:
        if host.casefold() in self.hosts:
            return host
        made = self._made(f"{'x' * 8}", host.casefold()) if host else ""
        return f"{made}.example.com" if made else ""

    def _url(self, text: str) -> str:
        parts = URL.fullmatch(text)
        assert parts
        scheme, user, host, port, path, query, fragment = parts.groups()
        user = "" if user is None else f"{self.text(user)}@"
        inner = host.strip("[]")
        address = _address(inner)
        host = host.replace(inner, self.text(inner)) if address and inner else self._host(host)
        scheme = scheme if scheme.lower() in SCHEMES else f"{self.text(scheme[:-3])}://"
        port = port or "" if len(port or "") <= LONGEST_SHARED + 1 else ":8080"
        return "".join((scheme, user, host, port, self._path(path), self._query(query or ""))) + (
            f"#{self.text(fragment[1:])}" if fragment else ""
        )

    def _path(self, path: str) -> str:
        parts = re.split(r"([/{}+])", path)
        return "".join(each if each in self.url_words else self.text(each) for each in parts)

    def _query(self, query: str) -> str:
        """The names of its values stay, if they are names."""
        pairs = [pair.partition("=") for pair in query.split("&")]
        return "&".join(
            f"{name if is_name(name.lstrip('?')) else self.text(name)}{equals}{self.text(value)}"
            for name, equals, value in pairs
        )

    def _uuid(self, text: str) -> str:
        """Of the same version and variant."""
        made = self._digest("uuid", text.lower(), 16).hex()
        made = f"{made[:8]}-{made[8:12]}-{text[14]}{made[13:16]}-{text[19]}{made[17:20]}-{made[20:]}"
        return made.upper() if text.isupper() else made

    def _moment(self, text: str) -> str:
        """The time so many seconds earlier, written in the same way."""
        parts = MOMENT.fullmatch(text)
        assert parts
        day, mark, clock, seconds, fraction, zone = parts.groups(default="")
        try:
            moment = datetime.fromisoformat(day + mark + clock + seconds)
            moved = (moment - timedelta(seconds=self.shift)).isoformat(mark or "T")
        except (ValueError, OverflowError):  # the 31st of February
            return re.sub(r"\d+", lambda found: self.word(found[0]), text)
        made = moved[: len(day + mark + clock + seconds)]
        return made + (f".{self.word(fraction[1:])}" if fraction else "") + zone

    def _ref(self, text: str) -> str:
        """Of a branch: what git calls it itself."""
        return text

    def _ip4(self, text: str) -> str:
        if _address(text) is None:
            return ".".join(map(self.word, text.split(".")))
        chance = self._digest("ip", text, 2)
        return f"{DOCUMENTATION[chance[0] % 3]}.{1 + chance[1] % 254}"

    def _ip6(self, text: str) -> str:
        if _address(text) is None:
            return ":".join(self.word(each) if each else each for each in text.split(":"))
        return f"2001:db8::{self._digest('ip', text.lower(), 2).hex()}"  # RFC 3849

    def _phone(self, text: str) -> str:
        """Of the numbers that nobody has: +1 555 01..."""
        digits = re.sub(r"\D", "", text)
        made = iter(("155501" + self._made(digits, "phone")[6:])[: len(digits)])
        return re.sub(r"\d", lambda _: next(made), text)


def shares(original: str, made: str) -> bool:
    """Whether they have more letters in a row in common than may be, or are one and the same."""
    original, made = original.casefold(), made.casefold()
    size = LONGEST_SHARED + 1
    if len(original) < size:
        return original == made
    grams = {original[at : at + size] for at in range(len(original) - size + 1)}
    return any(made[at : at + size] in grams for at in range(len(made) - size + 1))


def is_name(text: str) -> bool:
    """Whether this is how programmers name a field: `address_line1`, not a person, id or address."""
    return re.fullmatch(r"[A-Za-z_$@][A-Za-z_.$:-]{0,59}\d{0,3}(?:_?[A-Za-z]{1,20})?", text) is not None


def _is_prefix(word: str) -> bool:
    return len(word) < LONGEST_SHARED or word.lower() in PREFIXES


def _address(text: str) -> object | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
