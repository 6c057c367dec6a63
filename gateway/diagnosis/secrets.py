"""Secrets that were copied, stored or read in another way than the provider means them."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.core.schemes.key_format import KeyFormat
from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import key_format_of, with_key_format
from gateway.secret_refs import SecretValue

PREFIX: Final = re.compile(rb"^([A-Za-z]{2,12}[_-])(?:.{8,})", re.DOTALL)
ASSIGNMENT: Final = re.compile(rb"^(?:export +)?[A-Za-z_][A-Za-z0-9_]*=(.{8,})$", re.DOTALL)
READINGS: Final = {"utf8": "as text", "hex": "decoded from hex", "base64": "decoded from base64"}
STORE: Final = "Store it without: `printf %s` writes a secret as it is, `echo` adds a line break."


def secrets(case: Case) -> Iterator[Suspicion]:
    for each in case.secrets:
        yield from _cleaned(case, each)
        yield from _prefixed(case, each)
        yield from _decoded(case, each)
        yield from _read_otherwise(case, each)
        yield from _encoded(case, each)


def _cleaned(case: Case, secret: SecretValue) -> Iterator[Suspicion]:
    value, name = secret.value, secret.reference
    spaces = f"{name} has white space or a line break around it: the proof matches without."
    if value.strip() != value:
        yield Suspicion(Code.SECRET_SPACES, case.with_secret(name, value.strip()), spaces, STORE)
    bare = value.strip().strip(b"\"'`").strip()
    if bare != value.strip():
        text = f"{name} has quotes around it: the proof matches without."
        mend = "Store it without them: env files and secret stores often keep quotes as they are."
        yield Suspicion(Code.SECRET_QUOTED, case.with_secret(name, bare), text, mend)
    if found := ASSIGNMENT.match(value):
        text = f"{name} holds NAME=VALUE: the proof matches with the value alone."
        mend = "Store only what stands after the =."
        yield Suspicion(Code.SECRET_PREFIX, case.with_secret(name, found[1].strip(b"\"'")), text, mend)
    for end in (b"\n", b"\r\n"):
        text = f"{name} lost the line break at its end: the proof matches with it."
        mend = "The provider has a line break in its copy: set the secret there anew, without."
        yield Suspicion(Code.SECRET_SPACES, case.with_secret(name, value + end), text, mend)


def _prefixed(case: Case, secret: SecretValue) -> Iterator[Suspicion]:
    value, name = secret.value, secret.reference
    form = key_format_of(case.scheme)
    if found := PREFIX.match(value):
        prefix = found[1].decode()
        text = f"{name} begins with {prefix} here: the proof matches without it."
        mend = f"Store it without {prefix}; this provider's secrets are used without."
        yield Suspicion(Code.SECRET_PREFIX, case.with_secret(name, value[len(prefix) :]), text, mend)
        if form and form.prefix:
            kept = replace(form, prefix=b"")
            yield from _with_form(
                case, secret, kept, Code.SECRET_PREFIX, "with its prefix as part of it"
            )
    if not value.startswith(b"whsec_"):
        text = f"{name} lacks its prefix whsec_: the proof matches with it."
        mend = "Copy the whole secret from the provider, with its prefix."
        yield Suspicion(Code.SECRET_PREFIX, case.with_secret(name, b"whsec_" + value), text, mend)


def _decoded(case: Case, secret: SecretValue) -> Iterator[Suspicion]:
    """What a secret store has encoded once more."""
    name, text = secret.reference, secret.value.strip()
    ways = {"base64": _from_base64(text), "hex": _from_hex(text), "percent": unquote_to_bytes(text)}
    for way, value in ways.items():
        if value and value != secret.value:
            said = f"{name} is encoded once more ({way}): the proof matches once that is decoded."
            mend = "Store it as the provider shows it: some stores (Kubernetes) encode by themselves."
            yield Suspicion(Code.SECRET_ENCODING, case.with_secret(name, value), said, mend)
            if value.strip() != value:
                yield Suspicion(Code.SECRET_ENCODING, case.with_secret(name, value.strip()), said, mend)


def _encoded(case: Case, secret: SecretValue) -> Iterator[Suspicion]:
    name = secret.reference
    encoded = {"hex": secret.value.hex().encode(), "base64": base64.b64encode(secret.value)}
    for way, value in encoded.items():
        said = f"{name} was decoded: the proof matches with its {way} text."
        mend = "Store the secret as the provider shows it, undecoded."
        yield Suspicion(Code.SECRET_ENCODING, case.with_secret(name, value), said, mend)


def _read_otherwise(case: Case, secret: SecretValue) -> Iterator[Suspicion]:
    """The same text, taken for bytes in another way than the preset or [verify] says."""
    form = key_format_of(case.scheme)
    if form is None or form.encoding == "pem":
        return
    found = PREFIX.match(secret.value)
    prefixes = dict.fromkeys((form.prefix, found[1] if found else b"", b""))
    for encoding, reading in READINGS.items():
        for prefix in prefixes:
            other = KeyFormat(encoding, prefix)
            if other != form:
                off = " after its prefix" if prefix and not form.prefix else ""
                said = f"when it is read {reading}{off}, not {READINGS[form.encoding]}"
                yield from _with_form(case, secret, other, Code.SECRET_ENCODING, said)


def _with_form(
    case: Case, secret: SecretValue, form: KeyFormat, code: Code, said: str
) -> Iterator[Suspicion]:
    changed = replace(case, scheme=with_key_format(case.scheme, form), secrets=(secret,))
    mend = (
        "Is it the secret of this endpoint, and this its preset? `hookline presets show"
        f" {case.preset}` says how it writes secrets."
        if case.preset
        else f'In [verify], write key_encoding = "{form.encoding}"'
        + (f' and key_prefix = "{form.prefix.decode()}".' if form.prefix else ".")
    )
    yield Suspicion(code, changed, f"The proof matches {secret.reference} {said}.", mend)


def _from_base64(text: bytes) -> bytes | None:
    padded = text + b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded.translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except (binascii.Error, ValueError):
        return None


def _from_hex(text: bytes) -> bytes | None:
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        return None
