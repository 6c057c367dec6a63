"""The family of a proof of origin: what kind of thing is signed, in one word, for lists and docs."""

from typing import Final

from gateway.catalogue.proof import Verify, key_source_of
from gateway.catalogue.signature import SignatureVerify
from gateway.catalogue.tokens import JwtVerify
from gateway.core.template import Reference, compile_template
from gateway.options import NEEDS_URL

FAMILIES: Final = {
    "hmac-body": "a keyed hash of the body alone",
    "hmac-template": "a keyed hash of the body and more: an id, the time, a version",
    "hmac-structured": "as those, with the time, or several signatures, in one header",
    "hmac-url": "a keyed hash of the public URL and more: we must know it as the provider does",
    "hmac-form": "a keyed hash of form fields",
    "hmac-fields": "a keyed hash of some values; the body itself is not covered",
    "hash": "a plain hash with the secret among what is hashed",
    "public-key": "a signature made with the provider's private key; you configure the public one",
    "fetched-key": "as that, and the key that a request names is fetched from the provider",
    "jwt": "a signed token that says nothing of the body",
    "jwt-body-hash": "a signed token that holds a hash of the body",
    "token": "a secret that comes along with each request",
    "basic-auth": "a user name and a password",
    "http-message-signature": "HTTP message signatures (RFC 9421)",
    "unverified": "nothing: anybody who knows the URL is believed",
}
FORMS: Final = frozenset({"sorted_form", "twilio_form", "vonage_sms"})  # of `core/canonical/`


def family_of(verify: Verify) -> str:
    """A word of FAMILIES."""
    if key_source_of(verify):
        return "fetched-key"
    if isinstance(verify, SignatureVerify):
        return _of_signature(verify)
    if isinstance(verify, JwtVerify):
        named = [name for text in verify.claims.values() for name in _names(text)]
        return "jwt-body-hash" if any(_is_body(name) for name in named) else "jwt"
    return verify.scheme


def _of_signature(verify: SignatureVerify) -> str:
    algorithm: str = next(iter(verify.algorithm_by_prefix.values()), verify.algorithm or "hmac-")
    if algorithm.startswith("hash-"):
        return "hash"
    if not algorithm.startswith("hmac-"):
        return "public-key"
    names = {name for text in verify.message for name in _names(text)}
    if any(_is_url(name) for name in names):
        return "hmac-url"
    if any(_is_form(name) for name in names):
        return "hmac-form"
    if not any(_is_body(name) for name in names):
        return "hmac-fields"
    if verify.form != "single":
        return "hmac-structured"
    return "hmac-body" if names == {Reference("body")} else "hmac-template"


def _names(text: str) -> set[Reference]:
    return set(compile_template(text).references())


def _is_url(name: Reference) -> bool:
    return name.kind in ("url", "url.base") or (name.kind == "canonical" and name.name in NEEDS_URL)


def _is_form(name: Reference) -> bool:
    return name.kind in ("form", "form_json") or (name.kind == "canonical" and name.name in FORMS)


def _is_body(name: Reference) -> bool:
    """The body, or a rendering of it."""
    return name.kind in ("body", "canonical")
